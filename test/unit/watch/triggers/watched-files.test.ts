import { Buffer } from 'node:buffer'
import { beforeEach, expect, test } from 'vitest'
import { SpanplanError } from '../../../../src/errors.ts'
import { openFiles } from '../../../../src/watch/triggers/watched-files.ts'

/** The files' contents, by path; null: they cannot be read. */
let texts: Record<string, string> | null
let files: ReturnType<typeof openFiles>

const spans = (...names: readonly string[]) =>
  `version: 1\nspans:\n${names.map((name) => `  ${name}: {sources: [{interface: ens192}]}\n`).join('')}`

beforeEach(() => {
  texts = { 'a.yaml': spans('span0'), 'b.yaml': spans('span1') }
  const read = () => {
    if (texts === null) throw new SpanplanError({ code: 'FILE_UNREADABLE', message: 'gone' })
    return Object.entries(texts).map(([path, text]) => ({ path, bytes: Buffer.from(text) }))
  }
  files = openFiles(read, () => null)
})

const inForce = () => files.spec.spans.map(({ name }) => name)

test('what is added or changed is in force at once', () => {
  expect(files.reload(0)).toBe('same')
  texts = { ...texts, 'c.yaml': spans('span2') }
  expect(files.reload(1)).toBe('accepted')
  expect(inForce()).toEqual(['span0', 'span1', 'span2'])
  texts = { ...texts, 'c.yaml': spans('span2').replace('ens192', 'ens224') }
  expect(files.reload(2)).toBe('accepted')
  expect(files.settlesAt).toBeNull()
})

test('a file that is missing is accepted after a second', () => {
  texts = { 'a.yaml': spans('span0') }
  expect(files.reload(100)).toBe('same')
  expect(files.settlesAt).toBe(1100)
  expect(files.reload(1099)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
  expect(files.reload(1100)).toBe('accepted')
  expect(inForce()).toEqual(['span0'])
  expect(files.settlesAt).toBeNull()
})

test('a file that comes back within that time was never missing', () => {
  const before = texts
  texts = { 'a.yaml': spans('span0') }
  expect(files.reload(0)).toBe('same')
  texts = before
  expect(files.reload(500)).toBe('same')
  expect(files.settlesAt).toBeNull()
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
  expect(files.diagnostics).toEqual([])
  expect(files.reload(1000)).toBe('refused')
  expect(files.diagnostics).not.toEqual([])
  expect(files.reload(2000)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
  texts = { 'a.yaml': spans('span0', 'span1') }
  expect(files.reload(2001)).toBe('accepted')
  expect(files.diagnostics).toEqual([])
})

test('that they are as before, after they were invalid, is reported', () => {
  const before = texts
  texts = null
  files.reload(0)
  files.reload(1000)
  texts = before
  expect(files.reload(1001)).toBe('accepted')
})
