import { Buffer } from 'node:buffer'
import { beforeEach, expect, test } from 'vitest'
import { SpanplanError } from '../../../src/errors.ts'
import { openFiles, type Refusals } from '../../../src/watch/triggers/watched-files.ts'

/** The files' contents, by path; null: they cannot be read. */
let texts: Record<string, string> | null
let files: ReturnType<typeof openFiles>
/** What is said of files whose syntax is valid. */
let refusals: Refusals

const spans = (...names: readonly string[]) =>
  `version: 1\nspans:\n${names.map((name) => `  ${name}: {sources: [{interface: ens192}]}\n`).join('')}`

beforeEach(() => {
  texts = { 'a.yaml': spans('span0'), 'b.yaml': spans('span1') }
  const read = () => {
    if (texts === null) throw new SpanplanError({ code: 'FILE_UNREADABLE', message: 'gone' })
    return Object.entries(texts).map(([path, text]) => ({ path, bytes: Buffer.from(text) }))
  }
  refusals = []
  files = openFiles(read, () => refusals)
})

const inForce = () => files.spec().spans.map(({ name }) => name)

test('what is added or changed is in force at once', () => {
  expect(files.reload(0)).toBe('same')
  texts = { ...texts, 'c.yaml': spans('span2') }
  expect(files.reload(1)).toBe('accepted')
  expect(inForce()).toEqual(['span0', 'span1', 'span2'])
  texts = { ...texts, 'c.yaml': spans('span2').replace('ens192', 'ens224') }
  expect(files.reload(2)).toBe('accepted')
  expect(files.settlesAt()).toBe(Infinity)
})

test('a span that is renamed, and keeps its bridge, is not missing', () => {
  texts = { ...texts, 'a.yaml': spans('dmz-mirror').replace('{', '{bridge: span0, ') }
  expect(files.reload(1)).toBe('accepted')
  expect(inForce()).toEqual(['dmz-mirror', 'span1'])
})

test('a file that is missing is accepted after a second', () => {
  texts = { 'a.yaml': spans('span0') }
  expect(files.reload(100)).toBe('same')
  expect(files.settlesAt()).toBe(1100)
  expect(files.reload(1099)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
  expect(files.reload(1100)).toBe('accepted')
  expect(inForce()).toEqual(['span0'])
  expect(files.settlesAt()).toBe(Infinity)
})

test('a file that comes back within that time was never missing', () => {
  const before = texts
  texts = { 'a.yaml': spans('span0') }
  expect(files.reload(0)).toBe('same')
  texts = before
  expect(files.reload(500)).toBe('same')
  expect(files.settlesAt()).toBe(Infinity)
  texts = { 'a.yaml': spans('span0') }
  expect(files.reload(1500)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
})

test('a further change has to last for the whole time again', () => {
  texts = { 'a.yaml': spans('span0') }
  files.reload(0)
  texts = { 'a.yaml': spans('span2') }
  expect(files.reload(900)).toBe('same')
  expect(files.reload(1000)).toBe('same')
  expect(files.reload(1900)).toBe('accepted')
})

test.each([
  ['broken', { 'a.yaml': 'spans: {' }],
  ['unreadable', null]
])('that they are %s is reported after a second, once; the last valid ones stay in force', (_, now) => {
  texts = now
  expect(files.reload(0)).toBe('same')
  expect(files.diagnostics()).toEqual([])
  expect(files.reload(1000)).toBe('refused')
  expect(files.diagnostics()).not.toEqual([])
  expect(files.reload(2000)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
  texts = { 'a.yaml': spans('span0', 'span1') }
  expect(files.reload(2001)).toBe('accepted')
  expect(files.diagnostics()).toEqual([])
})

test('that they are as before, after they were invalid, is reported', () => {
  const before = texts
  texts = null
  files.reload(0)
  files.reload(1000)
  texts = before
  expect(files.reload(1001)).toBe('accepted')
})

test('files are in force only when what they say is known to be good, whole; until then, the last good ones are', () => {
  const faulty = [{ code: 'FILTER_INVALID', message: 'syntax error' } as const]
  texts = { ...texts, 'a.yaml': spans('span0', 'span2') }
  refusals = 'pending'
  expect([files.reload(0), files.pending()?.spans.length, inForce()]).toEqual(['same', 3, ['span0', 'span1']])
  refusals = faulty
  expect([files.reload(1), files.pending(), files.diagnostics()]).toEqual(['refused', null, faulty])
  expect([files.reload(2), inForce()]).toEqual(['same', ['span0', 'span1']])
  // As when the name of a port has come into /etc/services.
  refusals = []
  expect([files.reload(3), files.diagnostics(), inForce()]).toEqual(['accepted', [], ['span0', 'span2', 'span1']])
  expect(files.reload(4)).toBe('same')
})

test('files that are as they were before are judged no longer', () => {
  const before = texts
  texts = { ...texts, 'c.yaml': spans('span2') }
  refusals = 'pending'
  files.reload(0)
  texts = before
  refusals = []
  expect([files.reload(1), files.pending(), inForce()]).toEqual(['accepted', null, ['span0', 'span1']])
})
