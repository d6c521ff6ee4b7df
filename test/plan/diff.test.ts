import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diff, type Fates } from '../../src/plan/diff.ts'
import type { Kind, Owner, Resource } from '../../src/resources/kind.ts'

interface Thing extends Resource {
  readonly kind: 'thing'
  readonly size: number
  readonly tags: readonly string[]
  readonly place: string
  readonly note: string
}

/** A kind of nothing: what differs in `place` has to be made anew, `note` is not compared. */
const kind: Kind<Thing> = {
  kind: 'thing',
  fields: {
    size: { label: 'size', words: String },
    tags: { label: 'tags', words: (tags) => tags.join(' ') },
    place: { label: 'place', words: String, immutable: true }
  },
  desire: () => [],
  observe: () => [],
  summary: () => '',
  conflict: (live) => ({ code: 'BRIDGE_FOREIGN', message: `${live.id} is taken` }),
  hangsOn: { kind: 'place', id: ({ place }) => place }
}

const thing = (id: string, more: Partial<Thing> = {}): Thing => ({
  kind: 'thing',
  id,
  spans: ['span0'],
  owner: 'ours',
  size: 1,
  tags: [],
  place: 'here',
  note: '',
  ...more
})

const none: Fates = new Map()

/** What is done, as words. */
function changesOf(live: readonly Thing[], desired: readonly Thing[], fates = none) {
  return diff(kind, live, desired, fates, false).changes.map((change) => {
    const { id } = change.action === 'remove' ? change.before : change.after
    const fields = 'fields' in change ? `: ${change.fields.join(' ')}` : ''
    return `${change.action} ${id}${fields}`
  })
}

describe('diff', () => {
  test('what is missing is created, what nobody wants is removed', () => {
    expect(changesOf([thing('old')], [thing('new')])).toEqual(['create new', 'remove old'])
  })

  test('names the fields that differ, and no other', () => {
    expect(changesOf([thing('a')], [thing('a', { size: 2, note: 'x', spans: ['span1'] })])).toEqual(['update a: size'])
    expect(changesOf([thing('a', { tags: ['x'] })], [thing('a', { tags: ['x'] })])).toEqual([])
    expect(changesOf([thing('a', { tags: ['x'] })], [thing('a', { tags: ['y'], size: 3 })])).toEqual([
      'update a: size tags'
    ])
  })

  test('what cannot be changed is made anew', () => {
    expect(changesOf([thing('a')], [thing('a', { place: 'there', size: 2 })])).toEqual(['replace a: size place'])
  })

  test('what is on something that is made anew or removed shares its fate', () => {
    expect(changesOf([thing('a')], [thing('a')], new Map([['place here', 'replace']]))).toEqual(['replace a: '])
    const removed: Fates = new Map([['place here', 'remove']])
    expect(changesOf([thing('a', { owner: 'shared' })], [], removed)).toEqual(['remove a'])
  })

  test.each<[Owner, string[]]>([
    ['ours', ['remove a']],
    ['shared', []],
    ['foreign', []]
  ])('what is %s and not desired', (owner, expected) => {
    expect(changesOf([thing('a', { owner })], [])).toEqual(expected)
  })

  test('what is foreign is a conflict, never a change', () => {
    const { changes, conflicts } = diff(
      kind,
      [thing('a', { owner: 'foreign' })],
      [thing('a', { size: 2 })],
      none,
      false
    )
    expect(changes).toEqual([])
    expect(conflicts).toEqual([{ live: thing('a', { owner: 'foreign' }), desired: thing('a', { size: 2 }) }])
  })

  test('carried out, it leaves nothing to do; nothing that is not ours is removed', () => {
    const things = fc
      .uniqueArray(
        fc.record({
          id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
          size: fc.integer({ min: 0, max: 2 }),
          tags: fc.subarray(['x', 'y']),
          place: fc.constantFrom('here', 'there'),
          owner: fc.constantFrom<Owner>('ours', 'shared')
        }),
        { selector: ({ id }) => id }
      )
      .map((list) => list.map(({ id, ...more }) => thing(id, more)))
    fc.assert(
      fc.property(things, things, (live, desired) => {
        const state = new Map(live.map((one) => [one.id, one]))
        for (const change of diff(kind, live, desired, none, false).changes) {
          if (change.action === 'remove') {
            expect(change.before.owner).toBe('ours')
            state.delete(change.before.id)
          } else state.set(change.after.id, change.after)
        }
        expect(changesOf([...state.values()], desired)).toEqual([])
      })
    )
  })
})
