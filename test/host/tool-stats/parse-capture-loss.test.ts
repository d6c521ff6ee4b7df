/** What Zeek's capture_loss.log says, as its formats have it: text with tabs, and JSON. */
import { describe, expect, test } from 'vitest'
import { parseCaptureLoss } from '../../../src/host/tool-stats/parse-capture-loss.ts'

const start = 1_767_225_600
const header = [
  '#separator \\x09',
  '#set_separator\t,',
  '#empty_field\t(empty)',
  '#unset_field\t-',
  '#path\tcapture_loss',
  '#open\t2026-01-01-00-00-00',
  '#fields\tts\tts_delta\tpeer\tgaps\tacks\tpercent_lost',
  '#types\ttime\tinterval\tstring\tcount\tcount\tdouble'
]
const row = (minutes: number, gaps: number, acks: number, peer = 'zeek', delta = 900) =>
  [`${start + minutes * 60}.123456`, `${delta}.000012`, peer, gaps, acks, (100 * gaps) / acks].join('\t')
const parse = (lines: readonly string[], isCut = false) =>
  parseCaptureLoss({ text: lines.map((line) => `${line}\n`).join(''), isCut })
const latest = { seconds: 900.000012, received: 2000, dropped: 5, gaps: null }

describe('the newest row', () => {
  test('of text, whose first row comes after a minute', () => {
    const told = parse([...header, row(1, 0, 10, 'zeek', 60), row(16, 5, 2000)])
    expect(told).toEqual({ latest: { ...latest, at: (start + 960) * 1000 + 123 }, before: null })
    expect(parse([...header, row(16, 5, 2000), '#close\t2026-01-01-01-00-00'])).toMatchObject({ latest })
  })

  test('of text whose beginning is not read, and whose fields are in another order', () => {
    expect(parse([row(16, 5, 2000)], true)).toMatchObject({ latest })
    const fields = '#fields\tacks\tgaps\tpeer\tts_delta\tts'
    expect(parse([fields, `2000\t5\tzeek\t900.000012\t${start}.5`])).toMatchObject({ latest })
  })

  test.each([
    ['a number', start + 0.5],
    ['a text', '2026-01-01T00:00:00.500000Z']
  ])('of JSON, whose time is %s', (_, ts) => {
    const line = JSON.stringify({ ts, ts_delta: 900.000012, peer: 'zeek', gaps: 5, acks: 2000, percent_lost: 0.25 })
    expect(parse([line])).toMatchObject({ latest: { ...latest, at: start * 1000 + 500 } })
  })

  test('of each process of a cluster, added up; of one that has ended, no longer', () => {
    const rows = [row(1, 7, 7, 'worker-3'), row(15, 9, 9, 'worker-1'), row(30, 2, 1200, 'worker-1')]
    expect(parse([...rows, row(30, 3, 800, 'worker-2')])).toMatchObject({ latest })
  })
})

describe('what is no row', () => {
  test.each([
    ['a field is missing', `${start}.5\t900.0\tzeek\t5`],
    ['unset', `${start}.5\t900.0\tzeek\t-\t2000\t0.1`],
    ['negative', row(16, -5, 2000)],
    ['too large', row(16, 5, 1e300)],
    ['a fraction', row(16, 5.5, 2000)],
    ['of no time', row(16, 5, 2000).replace(/^\S+/, 'now')],
    ['an interval of nothing', row(16, 5, 2000, 'zeek', 0).replace('0.000012', '0')],
    ['half of JSON', '{"ts":1767225600.5,"ts_delta":900'],
    ['JSON of other types', '{"ts":[],"ts_delta":{},"gaps":"5","acks":null}'],
    ['a line that is too long', `${row(16, 5, 2000)}\t${'x'.repeat(256 * 1024)}`],
    ['another log', '1767225600.5\tCxyz\t192.0.2.1\t80']
  ])('%s', (_, line) => {
    expect(parse([...header, line])).toEqual({
      hint: expect.any(String),
      problem: expect.stringContaining('no row of it can be read')
    })
  })

  test('none yet', () => {
    expect(parse(header)).toEqual({ hint: expect.any(String), problem: expect.stringContaining('no row is in it yet') })
    expect(parse([])).toEqual({ hint: expect.any(String), problem: expect.stringContaining('no row is in it yet') })
  })

  test('sums that no number holds', () => {
    const most = 2 ** 53 - 1
    expect(parse([row(16, 0, most, 'a'), row(16, 0, most, 'b')])).toEqual({ problem: 'its numbers are too large' })
  })
})
