/** What Suricata's eve.json says of its own losses: as Suricata writes it, and as whoever controls the sensor may. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseEve } from '../../../src/host/tool-stats/parse-eve.ts'

const at = Date.parse('2026-01-01T00:00:00.000Z')
const stamp = (seconds: number) => new Date(at + seconds * 1000).toISOString().replace('Z', '000+0000')

/** A stats event, and others' values in place of its own. */
function event(seconds: number, stats: object = {}, more: object = {}): string {
  const counted = { uptime: seconds, capture: { kernel_packets: 100 * seconds, kernel_drops: seconds }, ...stats }
  return JSON.stringify({ timestamp: stamp(seconds), event_type: 'stats', stats: counted, ...more })
}

const parse = (lines: readonly string[], isCut = false) =>
  parseEve({ text: lines.map((line) => `${line}\n`).join(''), isCut })
const alert = JSON.stringify({ timestamp: stamp(0), event_type: 'alert', payload_printable: '"stats"' })

test('as Suricata 7 has written it, but for its threads: a burst was too much for its ring', () => {
  const lines = readFileSync(new URL('../../fixtures/tools/eve.json', import.meta.url), 'utf8')
    .trim()
    .split('\n')
  expect(parse(lines)).toEqual({
    latest: { at: Date.parse('2026-11-30T19:38:47.254Z'), seconds: 11, received: 10_500, dropped: 8964, gaps: 0 },
    before: { at: Date.parse('2026-11-30T19:38:46.253Z'), seconds: 10, received: 500, dropped: 0, gaps: 0 }
  })
})

describe('the newest stats events', () => {
  test('among others, the last two', () => {
    expect(parse([event(8), alert, event(16), alert, event(24), alert])).toEqual({
      latest: { at: at + 24_000, seconds: 24, received: 2400, dropped: 24, gaps: 0 },
      before: { at: at + 16_000, seconds: 16, received: 1600, dropped: 16, gaps: 0 }
    })
    expect(parse([alert, event(8)])).toMatchObject({ latest: { received: 800 }, before: null })
  })

  test('with what the interface dropped, and with gaps; without what is 0', () => {
    const capture = { kernel_packets: 10, kernel_drops: 1, kernel_ifdrops: 2 }
    expect(parse([event(8, { capture, tcp: { reassembly_gap: 7 } })])).toMatchObject({
      latest: { received: 12, dropped: 3, gaps: 7 }
    })
    expect(parse([event(8, { capture: undefined })])).toMatchObject({ latest: { received: 0, dropped: 0, gaps: 0 } })
    expect(parse([event(8, { capture: undefined, decoder: { pkts: 5 } })])).toMatchObject({
      latest: { received: 5, dropped: 0 }
    })
  })

  test.each([
    ['2026-01-01T01:00:00.5+0100', 500],
    ['2025-12-31T19:30:00-04:30', 0],
    ['2026-01-01T00:00:00Z', 0]
  ])('at %s', (timestamp, milliseconds) => {
    expect(parse([event(8, {}, { timestamp })])).toMatchObject({ latest: { at: at + milliseconds } })
  })
})

describe('what is no stats event', () => {
  const hostile: readonly (readonly [string, string])[] = [
    ['half a line', event(8).slice(0, -3)],
    ['a text', '"stats"'],
    ['a list', '["stats"]'],
    ['another type', JSON.stringify({ event_type: 'alert', stats: { uptime: 1 } })],
    ['no time', event(8, {}, { timestamp: 'now' })],
    ['a number as the time', event(8, {}, { timestamp: 5 })],
    ['no uptime', event(8, { uptime: undefined })],
    ['an uptime of more than ten years', event(8, { uptime: 315_360_001 })],
    ['a negative uptime', event(8, { uptime: -1 })],
    ['too many packets', event(8).replace('800', '1e400')],
    ['a fraction of a packet', event(8).replace('800', '800.5')],
    ['negative drops', event(8, { capture: { kernel_packets: 1, kernel_drops: -1 } })],
    ['a text as drops', event(8, { capture: { kernel_packets: 1, kernel_drops: '1' } })],
    ['a sum that no number holds', event(8, { capture: { kernel_drops: 2 ** 53 - 1, kernel_ifdrops: 1 } })],
    ['a prototype', event(8).replace('"capture"', '"__proto__"').replace('"uptime":8,', '')],
    ['threads alone', event(8, { capture: undefined, threads: { W: {} } })],
    ['deep', `{"stats":${'['.repeat(100_000)}`],
    ['a line that is too long', event(8, { more: 'x'.repeat(256 * 1024) })]
  ]

  test.each(hostile)('%s', (_, line) => {
    expect(parse([line])).toEqual({ problem: expect.any(String), hint: expect.any(String) })
    // What is good before it still tells.
    expect(parse([event(4), line])).toMatchObject({ latest: { seconds: 4 }, before: null })
  })

  test('says why nothing is known', () => {
    const says = (problem: string, hint: string) => ({ problem, hint: expect.stringContaining(hint) })
    expect(parse([])).toEqual(says('nothing is in it yet', 'whether Suricata runs'))
    expect(parse([alert])).toEqual(says('no stats event is in it', '"stats" among the "types"'))
    expect(parse([], true)).toEqual(says('no stats event is in its last MiB', 'eve-log of their own'))
    expect(parse([alert], true)).toEqual(says('no stats event is in its last MiB', 'eve-log of their own'))
    const threads = event(8, { capture: undefined, threads: {} })
    expect(parse([threads])).toEqual(says('its stats events have no counters of the capture', 'totals: yes'))
    const wrong = says('the time or the numbers of its stats events cannot be right', 'is it of Suricata?')
    for (const bad of [event(8, {}, { timestamp: 'now' }), event(8, { uptime: -1 })]) {
      expect(parse([bad])).toEqual(wrong)
      // The last one tells what is wrong now.
      expect(parse([threads, bad])).toEqual(wrong)
    }
  })

  test('nothing of it is in what is said', () => {
    const problems = hostile.map(([, line]) => JSON.stringify(parse([line.replaceAll('8', 'EVIL')])))
    expect(problems.filter((problem) => problem.includes('EVIL'))).toEqual([])
  })
})
