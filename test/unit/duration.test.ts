import { expect, test } from 'vitest'
import { parseDuration } from '../../src/cli/duration.ts'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['0.5s', 500],
  ['2m', 120_000],
  ['1h30m', 5_400_000],
  ['1m500ms', 60_500],
  ['0s', 0]
])('%s', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds))

test.each(['', '30', 's', '30 s', '1m1h', '1s1s', '-1s', '1e3s', '.5s', '30S'])('not "%s"', (text) => {
  expect(() => parseDuration(text)).toThrow('A duration has a unit')
})

test('not longer than a timer lasts', () => {
  expect(parseDuration('596h')).toBe(2_145_600_000)
  expect(() => parseDuration('597h')).toThrow('24 days at most')
})
