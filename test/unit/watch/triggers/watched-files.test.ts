import { Buffer } from 'node:buffer'
import { beforeEach, expect, test } from 'vitest'
import { SpanplanError } from '../../../../src/errors.ts'
import { type FileInForce, openFile } from '../../../../src/watch/triggers/watched-files.ts'

/** What stands in the files, by path; null: they cannot be read. */
let texts: Record<string, string> | null
let file: FileInForce

const spans = (...names: readonly string[]) =>
  `version: 1\nspans:\n${names.map((name) => `  ${name}: {sources: [{interface: ens192}]}\n`).join('')}`

beforeEach(() => {
  texts = { 'a.yaml': spans('span0'), 'b.yaml': spans('span1') }
  const read = () => {
    if (texts === null) throw new SpanplanError({ code: 'FILE_UNREADABLE', message: 'gone' })
    return Object.entries(texts).map(([path, text]) => ({ path, bytes: Buffer.from(text) }))
  }
  file = openFile(read, () => null)
})

const inForce = () => file.spec.spans.map(({ name }) => name)

test('what is added or changed holds at once', () => {
  expect(file.reload(0)).toBe('same')
  texts = { ...texts, 'c.yaml': spans('span2') }
  expect(file.reload(1)).toBe('accepted')
  expect(inForce()).toEqual(['span0', 'span1', 'span2'])
  texts = { ...texts, 'c.yaml': spans('span2').replace('ens192', 'ens224') }
  expect(file.reload(2)).toBe('accepted')
  expect(file.settles).toBeNull()
})

test('a file that is gone is believed to be after a second', () => {
  texts = { 'a.yaml': spans('span0') }
  expect(file.reload(100)).toBe('same')
  expect(file.settles).toBe(1100)
  expect(file.reload(1099)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
  expect(file.reload(1100)).toBe('accepted')
  expect(inForce()).toEqual(['span0'])
  expect(file.settles).toBeNull()
})

test('one that comes again meanwhile was never gone', () => {
  const before = texts
  texts = { 'a.yaml': spans('span0') }
  expect(file.reload(0)).toBe('same')
  texts = before
  expect(file.reload(500)).toBe('same')
  expect(file.settles).toBeNull()
  texts = { 'a.yaml': spans('span0') }
  expect(file.reload(1500)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
})

test('what differs again has to last anew', () => {
  texts = { 'a.yaml': spans('span0') }
  file.reload(0)
  texts = { 'a.yaml': spans('span2') }
  expect(file.reload(900)).toBe('same')
  expect(file.reload(1000)).toBe('same')
  expect(file.reload(1900)).toBe('accepted')
})

test.each([
  ['broken', { 'a.yaml': 'spans: {' }],
  ['unreadable', null]
])('that it is %s is told after a second, once; the last good one stays in force', (_, now) => {
  texts = now
  expect(file.reload(0)).toBe('same')
  expect(file.diagnostics).toEqual([])
  expect(file.reload(1000)).toBe('refused')
  expect(file.diagnostics).not.toEqual([])
  expect(file.reload(2000)).toBe('same')
  expect(inForce()).toEqual(['span0', 'span1'])
  texts = { 'a.yaml': spans('span0', 'span1') }
  expect(file.reload(2001)).toBe('accepted')
  expect(file.diagnostics).toEqual([])
})

test('that it is as before again, after it was broken, is told', () => {
  const before = texts
  texts = null
  file.reload(0)
  file.reload(1000)
  texts = before
  expect(file.reload(1001)).toBe('accepted')
})
