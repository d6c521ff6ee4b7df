/** What status --since says to a person. */
import { describe, expect, test } from 'vitest'
import { plain } from '../../../src/printable.ts'
import type { ToldLoss, ToldSilence } from '../../../src/status/history/flow-history.ts'
import { drawSparkline } from '../../../src/status/history/sparkline.ts'
import { historyDocument } from '../../../src/status/output/history-json.ts'
import { renderHistory, type SpanHistory } from '../../../src/status/output/history-text.ts'

const noon = new Date()
noon.setHours(12, 0, 0, 0)
const at = (hour: number, minute: number) => noon.getTime() + (hour - 12) * 3_600_000 + minute * 60_000

const silence: ToldSilence = {
  ...{ span: 'span0', source: 'ens192', title: 'ens192 ingress', arrived: 0, from: at(11, 10), to: at(11, 13) },
  ...{ before: 12_300, asks: "is the switch's mirror session still there?" }
}
const loss: ToldLoss = {
  ...{ span: 'span0', kind: 'sensor', title: 'suricata', cause: 'socket_full', from: at(11, 31), to: at(11, 32) },
  ...{ frames: 1204, of: 301_000 }
}
const quiet: SpanHistory = {
  ...{ name: 'span0', watch: null, counted: at(11, 59), countsCopies: false, silences: [], losses: [], events: [] },
  rates: [12_100, 13_800, 13_000].map((value, index) => ({ begin: at(11, index), end: at(11, index + 1), value }))
}

const render = (span: Partial<SpanHistory>, to = at(12, 0)) =>
  renderHistory([{ ...quiet, ...span }], [], { from: at(11, 0), to }, plain)
    .split('\n')
    .slice(0, -1)

describe('a span', () => {
  test('of which nothing happened has one line more than its picture', () => {
    expect(render({}, at(11, 3))).toEqual([
      'span0  since 11:00',
      '  ▇▇▇▇▇▇▇▇▇▇▇▇▇███████████████████████████',
      '  no silence, no loss on the way; 12,100 to 13,800 frames/s'
    ])
  })

  test('tells in their order when it was silent, what the watch did, and what was lost', () => {
    const event = { at: at(11, 13), text: 'filter   span0  + mirror ens192', isTrouble: false }
    const refused = { at: at(11, 40), text: 'file            it is invalid:\nspans.yaml:1:1', isTrouble: true }
    expect(render({ silences: [silence], losses: [loss], events: [refused, event] }).slice(2)).toEqual([
      '  12,100 to 13,800 frames/s',
      '  11:10–11:13  silent: no frame at ens192 ingress (before: 12,300/s)',
      '  11:13        filter   span0  + mirror ens192',
      "  11:31–11:32  lost 1,204 frames (0.4 %) at suricata: the sensor's socket was full",
      '               the sensor reads too slowly: give it more CPU, or a larger buffer',
      '  11:40        file            it is invalid:',
      '               spans.yaml:1:1'
    ])
  })

  test('what goes on says what to do', () => {
    expect(render({ silences: [{ ...silence, to: null }] }).slice(3)).toEqual([
      '  11:10–now  silent: no frame at ens192 ingress (before: 12,300/s)',
      "             is the switch's mirror session still there?"
    ])
    const filtered = render({ silences: [{ ...silence, to: null, arrived: 5000, before: 0 }] }).slice(3)
    expect(filtered).toEqual([
      '  11:10–now  silent: 5,000 frames came in on ens192, and the filter took none',
      '             is the filter right? spanplan filter test tells what one would take'
    ])
    expect(render({ losses: [loss], counted: at(11, 32) }, at(11, 33))[3]).toMatch(/^ {2}11:31–now {2}lost/)
    expect(render({ losses: [loss], counted: at(11, 33) }, at(11, 33))[3]).toMatch(/^ {2}11:31–11:32 {2}lost/)
  })

  test.each<[string, Partial<ToldLoss>, string]>([
    [
      'a number that nobody knows',
      { cause: 'no_mirror', kind: 'interface', title: 'ens192', frames: null },
      'lost frames, nobody knows how many, at ens192: there is no mirror'
    ],
    [
      'a carrier',
      { cause: 'carrier_flap', kind: 'interface', title: 'ens192', frames: null },
      'ens192: its carrier was gone for a moment'
    ],
    [
      'little of much',
      { frames: 1, of: 1e9 },
      "lost 1 frame (less than 0.01 %) at suricata: the sensor's socket was full"
    ],
    [
      'a name that is hostile',
      { title: 'a\u001b[31m', frames: 2, of: 4 },
      "lost 2 frames (50 %) at a\\u001b[31m: the sensor's socket was full"
    ]
  ])('loss: %s', (_, changed, text) => {
    expect(render({ losses: [{ ...loss, ...changed }] })[3]).toBe(`  11:31–11:32  ${text}`)
  })

  test('of many rows, the last are shown, and it says so', () => {
    const events = Array.from({ length: 100 }, (_, index) => ({
      at: at(11, index / 2),
      text: `event ${index}`,
      isTrouble: false
    }))
    const lines = render({ events })
    expect(lines[3]).toBe('  60 lines before these; events are in: spanplan events span0')
    expect(lines.at(-1)).toContain('event 99')
    expect(lines).toHaveLength(44)
  })

  test.each([
    [[0, 0], 'no silence, no loss on the way; no frame'],
    [[0.0167, 3.25], 'no silence, no loss on the way; 0.017 to 3.3 frames/s'],
    [[5, 5], 'no silence, no loss on the way; 5 frames/s'],
    [[], 'nothing was counted yet: a watch counts about once a minute'],
    [[null, null], 'how much came is not known: the span was paused, or not all of its mirrors could be counted'],
    [[null, 0, 5, null], 'no silence, no loss on the way; 0 to 5 frames/s']
  ])('rates %j: %s', (values, text) => {
    const rates = values.map((value, index) => ({ begin: at(11, index), end: at(11, index + 1), value }))
    expect(render({ rates })).toContain(`  ${text}`)
  })

  test('of several watches says whose; copies are no frames; the host comes last', () => {
    expect(render({ watch: 'b', countsCopies: true })).toEqual(
      expect.arrayContaining([
        'span0  since 11:00  (the watch of b)',
        '  no silence, no loss on the way; 12,100 to 13,800 copies/s'
      ])
    )
    const host = [{ at: at(11, 1), text: 'start    default keeps', isTrouble: false }]
    expect(renderHistory([quiet], host, { from: at(11, 0), to: at(12, 0) }, plain)).toMatch(
      /\n\nhost\n {2}11:01 {2}start {4}default keeps\n$/
    )
  })
})

describe('a sparkline', () => {
  const timed = (...values: (number | null)[]) =>
    values.map((value, index) => ({ begin: index, end: index + 1, value }))

  test('goes from 0 to the greatest; 0 alone is the lowest, and a gap what nobody knows', () => {
    expect(drawSparkline(timed(0, 1, 500, 1000, null, 700), 0, 6, 6)).toBe('▁▂▅█ ▆')
  })

  test('has the mean where there is more than there is room for, and goes on where there is less', () => {
    expect(drawSparkline(timed(0, 1000, 500, 500), 0, 4, 2)).toBe('██')
    expect(drawSparkline(timed(0, 1000), 0, 2, 4)).toBe('▁▁██')
    expect(drawSparkline(timed(0, 0), 0, 2, 2)).toBe('▁▁')
    expect(drawSparkline([], 0, 2, 2)).toBe('')
    expect(drawSparkline(timed(5), 1, 1, 3)).toBe('')
  })
})

test('as JSON, each watch has its periods, and each span its times, hops and events', () => {
  const [begin, end] = [at(11, 0), at(11, 1)]
  const hop = { span: 'span0', kind: 'mirror', title: 'ens192 ingress', device: 'ens192', countsCopies: false } as const
  const flows = {
    ...{ began: begin, counted: end, dropped: null, spans: ['span0'], periods: [{ begin, end }] },
    ...{ hops: [{ ...hop, frames: [null], bytes: [1200], unknown: [0] }], silences: [silence], losses: [loss] }
  }
  const events = [
    { span: 'span1', document: { type: 'changed' } },
    { span: null, document: { type: 'started' } }
  ]
  const iso = (time: number) => new Date(time).toISOString()
  const times = { since: iso(begin), created: iso(end) }
  const { watches } = historyDocument([{ name: 'default', flows, events }], () => true, times)
  expect(watches).toEqual([
    {
      ...{ name: 'default', began: iso(begin), counted: iso(end), dropped: null },
      periods: [{ from: iso(begin), to: iso(end) }],
      spans: [
        {
          name: 'span0',
          silences: [
            {
              ...{ source: 'ens192', title: 'ens192 ingress', from: iso(silence.from), to: iso(at(11, 13)) },
              ...{ arrived_frames: 0, frames_per_second_before: 12_300 }
            }
          ],
          losses: [
            {
              ...{ kind: 'sensor', title: 'suricata', cause: 'socket_full', from: iso(loss.from), to: iso(loss.to) },
              ...{ frames: 1204, of: 301_000, counted_by: 'kernel', message: "the sensor's socket was full" }
            }
          ],
          hops: [
            {
              ...{ kind: 'mirror', title: 'ens192 ingress', device: 'ens192', counts_copies: false },
              ...{ frames_per_second: [null], bytes_per_second: [1200] }
            }
          ],
          events: []
        },
        { name: 'span1', silences: [], losses: [], hops: [], events: [{ type: 'changed' }] }
      ],
      events: [{ type: 'started' }]
    }
  ])
})
