import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readDuration, writeDuration } from '../../../src/spec/values/duration.ts'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['0.5s', 500],
  ['2m', 120_000],
  ['1h30m', 5_400_000],
  ['1m500ms', 60_500],
  ['0s', 0]
])('%s', (text, milliseconds) => expect(readDuration(text)).toBe(milliseconds))

test.each(['', '30', 's', '30 s', '1m1h', '1s1s', '-1s', '1e3s', '.5s', '30S'])('not "%s"', (text) => {
  expect(readDuration(text)).toEqual({ problem: 'have a unit (h, m, s or ms), as in 500ms, 30s, 5m or 1h30m' })
})

test('not longer than a timer lasts', () => {
  expect(readDuration('596h')).toBe(2_145_600_000)
  expect(readDuration('597h')).toEqual({ problem: 'be at most 24 days' })
})

test('what is written reads the same', () => {
  expect([0, 1500, 90_000, 5_400_000].map(writeDuration)).toEqual(['0s', '1s500ms', '1m30s', '1h30m'])
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (time) => readDuration(writeDuration(time)) === time))
})
