import { expect, test } from 'vitest'
import { type Family, histogramPoints, writeExposition } from '../../../src/status/output/exposition.ts'
import { expectMetrics } from '../../lab/metrics/promtool.ts'

test('a counter, a gauge, a histogram', async () => {
  const families: Family[] = [
    {
      name: 'a_frames_total',
      type: 'counter',
      help: 'Frames.',
      points: [
        { labels: { span: 'span0', device: 'ens192' }, value: 9_007_199_254_740_991 },
        { labels: { span: 'span1', device: 'ens192' }, value: 0 }
      ]
    },
    { name: 'a_valid', type: 'gauge', help: 'One.', points: [{ value: 1 }] },
    { name: 'a_missing', type: 'gauge', help: 'None of it.', points: [] },
    {
      name: 'a_duration_seconds',
      type: 'histogram',
      help: 'How long.',
      points: histogramPoints({
        buckets: [
          { bound: 0.05, count: 1 },
          { bound: 1, count: 3 }
        ],
        count: 4,
        sum: 7.25
      })
    }
  ]
  const text = writeExposition(families)
  expect(text).toBe(`# HELP a_frames_total Frames.
# TYPE a_frames_total counter
a_frames_total{span="span0",device="ens192"} 9007199254740991
a_frames_total{span="span1",device="ens192"} 0
# HELP a_valid One.
# TYPE a_valid gauge
a_valid 1
# HELP a_duration_seconds How long.
# TYPE a_duration_seconds histogram
a_duration_seconds_bucket{le="0.05"} 1
a_duration_seconds_bucket{le="1"} 3
a_duration_seconds_bucket{le="+Inf"} 4
a_duration_seconds_sum 7.25
a_duration_seconds_count 4
`)
  await expectMetrics(text)
})

test('names and texts of anybody’s stay within their quotes and lines', async () => {
  const device = 'a"} 1\nb{c="\\\t\r\u0000\u001b[2J ü 🦈'
  const points = [{ labels: { device }, value: 1e300 }]
  const text = writeExposition([{ name: 'a_bytes', type: 'gauge', help: 'A \\ and\na line.', points }])
  expect(text).toBe(`# HELP a_bytes A \\\\ and\\na line.
# TYPE a_bytes gauge
a_bytes{device="a\\"} 1\\nb{c=\\"\\\\\t\r\u0000\u001b[2J ü 🦈"} 1e+300
`)
  await expectMetrics(text)
})

test('numbers are as Go reads them', async () => {
  const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e21, 1e-7, -0.5, 0]
  const points = values.map((value, index) => ({ labels: { index: String(index) }, value }))
  const text = writeExposition([{ name: 'a_ratio', type: 'gauge', help: 'Any.', points }])
  const written = [...text.matchAll(/} (.+)$/gm)].map(([, number]) => number)
  expect(written).toEqual(['+Inf', '-Inf', 'NaN', '1e+21', '1e-7', '-0.5', '0'])
  await expectMetrics(text)
})
