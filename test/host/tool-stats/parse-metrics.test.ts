/** What a page in Prometheus' text format says of two counters. */
import { describe, expect, test } from 'vitest'
import { parseMetrics } from '../../../src/host/tool-stats/parse-metrics.ts'

const parse = (page: string) => parseMetrics(page, 'tool_received_total', 'tool_dropped_total', 5)
const dropped = '\ntool_dropped_total 1\n'

test.each([
  ['alone', 'tool_received_total 7'],
  ['as Go writes large numbers', 'tool_received_total 7e+00'],
  ['with a time', 'tool_received_total 7 1767225600000'],
  ['with labels, added up', 'tool_received_total{thread="1"} 3\ntool_received_total{thread="2"} 4'],
  ['with strange labels', String.raw`tool_received_total{a="} 9",b="\"} 8 \\",} 7`],
  ['beside others', 'tool_received_total_more 9\ntool_received 8\n# HELP tool_received_total 6\ntool_received_total 7'],
  [
    'as OpenMetrics has them',
    'tool_received_total{a="x"} 3 # {t="b"} 0.67 1796071811.1\ntool_received_total{a="y"} 4 1796071811.123 # {} 1'
  ],
  ['with line ends of two characters', 'tool_received_total 7\r']
])('a value %s', (_, lines) => {
  expect(parse(`${lines}${dropped}`)).toEqual({
    latest: { at: 5, seconds: null, received: 7, dropped: 1, gaps: null },
    before: null
  })
})

test('what comes after the end of a page of OpenMetrics is not added up', () => {
  expect(parse(`tool_received_total 7${dropped}# EOF\ntool_received_total 7${dropped}`)).toMatchObject({
    latest: { received: 7, dropped: 1 }
  })
  expect(parse(`tool_received_total 7\r\n# EOF\r${dropped}`)).toEqual({
    problem: 'no metric tool_dropped_total is there'
  })
})

describe('says what is wrong', () => {
  test.each([
    'NaN',
    '+Inf',
    '-1',
    '1.5',
    '1e300',
    'seven',
    '',
    '{',
    '{a="b} 7',
    '{a=b"} 7',
    '7 # 8',
    '7 1.2.3',
    '7#{} 1'
  ])('a value %s', (value) => {
    expect(parse(`tool_received_total ${value}\ntool_received_total${value}${dropped}`)).toEqual({
      problem: expect.stringMatching(/^(?:a value of tool_received_total is no number|no metric tool_received_total)/)
    })
  })

  test('a metric that is not there, and a page of nothing', () => {
    expect(parse('tool_received_total 7\n')).toEqual({ problem: 'no metric tool_dropped_total is there' })
    expect(parse('')).toEqual({ problem: 'no metric tool_received_total is there' })
  })

  test('values whose sum no number holds, and lines without end', () => {
    const large = `tool_received_total{a="1"} ${2 ** 53 - 1}\n`
    expect(parse(`${large}${large}${dropped}`)).toEqual({ problem: expect.stringContaining('no number of packets') })
    for (const long of ['{a="', '{', '{a="b"'.repeat(40_000), '\\"'.repeat(100_000)]) {
      const line = `tool_received_total${long.padEnd(200_000, long)} 7`
      expect(parse(`${line}${dropped}`)).toEqual({ problem: expect.any(String) })
    }
  })
})
