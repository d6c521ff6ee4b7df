/** What tools say of themselves, beside what the kernel counts: what has come lately, what is old, and what is a problem. */
import { describe, expect, test } from 'vitest'
import type { Sample } from '../../src/host/read-counters.ts'
import type { ToolReading } from '../../src/host/tool-stats/read-tools.ts'
import type { Told, ToolCount } from '../../src/host/tool-stats/tool-count.ts'
import { plain } from '../../src/printable.ts'
import type { StatsSpec } from '../../src/spec/items/stats-key.ts'
import { framePathsOf } from '../../src/status/counters/frame-path.ts'
import { addLosses } from '../../src/status/counters/loss-totals.ts'
import { writeExposition } from '../../src/status/output/exposition.ts'
import { makeMetrics } from '../../src/status/output/metrics.ts'
import { statusDocument } from '../../src/status/output/status-json.ts'
import { renderReport } from '../../src/status/output/status-text.ts'
import { makeReport } from '../../src/status/report.ts'
import { converged, fixture, samplesOf, see, watch } from '../lab/fixtures/converged.ts'
import { expectMetrics } from '../lab/metrics/promtool.ts'

const now = Date.parse('2026-01-01T00:00:00.000Z')

const specs = {
  eve: { kind: 'eve', path: '/logs/eve.json' },
  zeek: { kind: 'zeek', path: '/logs/capture_loss.log' },
  prometheus: { kind: 'prometheus', url: 'http://127.0.0.1:9900/', received: 'in', dropped: 'lost' }
} as const satisfies Record<string, StatsSpec>

const texts = {
  eve: '{eve: /logs/eve.json}',
  zeek: '{zeek: /logs/capture_loss.log}',
  prometheus: '{prometheus: "http://127.0.0.1:9900/", received: in, dropped: lost}'
}

/** A count so many seconds ago, of a tool that has run for some time. */
const count = (ago: number, seconds: number | null, received: number, dropped: number, gaps = 0): ToolCount => ({
  at: now - ago * 1000,
  seconds,
  received,
  dropped,
  gaps
})

const problem = (text: string) => ({ problem: text })
const told = (latest: ToolCount, before: ToolCount | null = null): Told => ({ latest, before })

/** A report on the fixture's span, whose suricata says this at the two samples. */
function look(kind: keyof typeof specs, first: ToolReading['told'] | null, later: ToolReading['told']) {
  const text = fixture('spans.yaml').replace('[suricata,', `[{container: suricata, stats: ${texts[kind]}},`)
  const view = see(converged, text)
  const samples = samplesOf(view)
  const withTool = (sample: Sample, one: ToolReading['told'] | null): Sample =>
    one === null ? { ...sample, tools: [] } : { ...sample, tools: [{ stats: specs[kind], readAt: now, told: one }] }
  const [before, after] = [withTool(samples.first, first), withTool(samples.later, later)]
  const report = makeReport({ view, pauses: [], watch, window: null, ...samples, first: before, later: after })
  const paths = framePathsOf(view)
  const losses = addLosses(addLosses(new Map(), paths, before), paths, after)
  const document = statusDocument(report, 'now')
  const hop = document.spans[0]?.hops.find((one) => one.kind === 'sensor')
  const exposition = writeExposition(makeMetrics('0.1.0', watch, { report, paths, sample: after, losses }))
  return {
    changes: view.plan.changes,
    text: renderReport(report, plain).replace(/\s+/g, ' '),
    tool: hop !== undefined && 'tool' in hop ? hop.tool : null,
    unhealthy: report.spans[0]?.unhealthy ?? [],
    warnings: report.warnings,
    exposition,
    metrics: Object.fromEntries(
      [...exposition.matchAll(/^spanplan_sensor_tool_(\w+)\{[^}]*\} (\S+)$/gm)].map(([, name, value]) => [
        name,
        Number(value)
      ])
    )
  }
}

const codes = (all: readonly { readonly code: string }[]) => all.map(({ code }) => code)

describe('what has come lately', () => {
  test('between the samples', () => {
    const { tool, text, unhealthy, metrics } = look(
      'eve',
      told(count(10, 100, 1000, 5)),
      told(count(2, 108, 3000, 5), count(3, 107, 2999, 5))
    )
    expect(tool).toEqual({
      says: 'suricata',
      unread: null,
      at: '2025-12-31T23:59:58.000Z',
      age_seconds: 2,
      old: false,
      total: { seconds: 108, received: 3000, dropped: 5, gaps: 0 },
      recent: { seconds: 8, received: 2000, dropped: 0, loss: 0 }
    })
    expect(text).toContain(
      'listens on a ring Suricata says: 0 of 2,000 packets dropped in 8s; in all 5 of 3,000 packets dropped in 1m48s (2s ago)'
    )
    expect(unhealthy).toEqual([])
    expect(metrics).toEqual({ readable: 1, packets_total: 3000, dropped_total: 5, loss_ratio: 0 })
  })

  test('between the last two counts, where nothing new has come between the samples', () => {
    const same = told(count(4, 108, 3000, 25), count(12, 100, 1000, 5))
    expect(look('eve', same, same).tool?.recent).toEqual({ seconds: 8, received: 2000, dropped: 20, loss: 0.01 })
    expect(look('eve', null, same).tool?.recent).toMatchObject({ dropped: 20 })
    expect(look('eve', problem('it does not exist'), same).tool?.recent).toMatchObject({ dropped: 20 })
    expect(look('eve', null, told(count(4, 8, 3000, 25))).tool?.recent).toBeNull()
  })

  test('since its start, where it has started again meanwhile', () => {
    const again = told(count(1, 8, 2000, 3))
    expect(look('eve', told(count(20, 9000, 1000, 1)), again).tool?.recent).toMatchObject({
      seconds: 8,
      received: 2000,
      dropped: 3
    })
    // The last count but one is of the run before.
    expect(look('eve', null, told(count(1, 8, 2000, 3), count(9, 9000, 1000, 1))).tool?.recent).toMatchObject({
      dropped: 3
    })
    // Metrics do not say since when.
    expect(look('prometheus', told(count(9, null, 1000, 50)), told(count(0, null, 200, 3))).tool?.recent).toEqual({
      seconds: null,
      received: 200,
      dropped: 3,
      loss: 0.015
    })
  })

  test('of metrics, from one sample to the next', () => {
    const { text, tool } = look('prometheus', told(count(10, null, 1000, 5)), told(count(0, null, 3000, 5)))
    expect(tool).toMatchObject({ says: 'prometheus', recent: { seconds: 10, received: 2000, dropped: 0 } })
    expect(text).toContain(
      'its metrics say: 0 of 2,000 packets dropped in 10s; in all 5 of 3,000 packets dropped port zeek '
    )
  })

  test('numbers that contradict each other are not said', () => {
    const wrong = told(count(2, 108, 5, 1000))
    for (const { text, warnings, metrics } of [
      look('eve', null, wrong),
      look('zeek', null, told(count(2, 900, 5, 1000))),
      look('eve', told(count(10, 100, 1000, 0)), told(count(2, 108, 1005, 1000)))
    ]) {
      expect(text).toContain('is not known: its numbers contradict each other')
      expect(codes(warnings)).toEqual(['SENSOR_STATS'])
      expect(metrics).toEqual({ readable: 0 })
    }
    // The two counters of metrics may be such that one is not a part of the other.
    expect(codes(look('prometheus', told(count(10, null, 0, 0)), told(count(0, null, 5, 1000))).unhealthy)).toEqual([
      'SENSOR_DROPS'
    ])
  })

  test('of Zeek, in its last interval', () => {
    const { text, tool, metrics } = look('zeek', null, told(count(300, 900, 2000, 5)))
    expect(tool).toMatchObject({ says: 'zeek', recent: { seconds: 900, received: 2000, dropped: 5, loss: 0.0025 } })
    expect(text).toContain('Zeek says: 5 of 2,000 ACKs are for data that never came to it in 15m (5m ago)')
    expect(metrics).toEqual({ readable: 1, loss_ratio: 0.0025 })
  })
})

test('a time that goes back tells nothing', () => {
  expect(
    look('eve', told(count(1, 100, 1000, 0)), told(count(2, 108, 3000, 9), count(1, 100, 1000, 0))).tool?.recent
  ).toBeNull()
})

describe('a loss is a problem', () => {
  const grow = (kind: 'eve' | 'prometheus', received: number, dropped: number) =>
    look(kind, told(count(9, 100, 1000, 7)), told(count(1, 108, 1000 + received, 7 + dropped)))

  test.each(['eve', 'prometheus'] as const)('of %s from a thousandth on', (kind) => {
    expect(codes(grow(kind, 10_000, 9).unhealthy)).toEqual([])
    const { unhealthy, text, warnings } = grow(kind, 10_000, 10)
    expect(unhealthy).toMatchObject([
      { code: 'SENSOR_DROPS', subject: { span: 'span0', kind: 'sensor', id: ['suricata'] } }
    ])
    expect(text).toMatch(
      /^span0: NOT HEALTHY, the sensor suricata: (?:Suricata says|its metrics say) 10 of 10,000 packets dropped in 8s\. /
    )
    expect(text).toContain(' it reads too slowly: ')
    expect(warnings).toEqual([])
  })

  test('also where it counts what it dropped beside what it received, and where nothing else came', () => {
    expect(grow('prometheus', 0, 5).tool?.recent).toMatchObject({ loss: 1 })
    expect(codes(grow('prometheus', 0, 5).unhealthy)).toEqual(['SENSOR_DROPS'])
  })

  test('of Zeek from a hundredth on', () => {
    expect(look('zeek', null, told(count(9, 900, 1000, 9))).unhealthy).toEqual([])
    expect(codes(look('zeek', null, told(count(9, 900, 1000, 10))).unhealthy)).toEqual(['SENSOR_DROPS'])
  })

  test('not what was lost before anybody looked', () => {
    const same = told(count(1, 108, 1000, 500), count(9, 100, 900, 500))
    expect(look('eve', null, same).unhealthy).toEqual([])
  })
})

describe('what is old, or not known, is no truth, and no problem', () => {
  test.each([
    ['eve', 60, 61, 8],
    ['prometheus', 60, 61, null],
    // Its rows come every 15 minutes, the first one after a minute.
    ['zeek', 2700, 2701, 60]
  ] as const)('%s: %i s are not old, and %i are', (kind, young, old, seconds) => {
    expect(look(kind, null, told(count(young, seconds, 10, 5))).tool).toMatchObject({ old: false })
    const { tool, text, unhealthy, warnings, metrics } = look(
      kind,
      told(count(old + 8, seconds, 5, 0)),
      told(count(old, seconds, 10, 5))
    )
    expect(tool).toMatchObject({ old: true, recent: null })
    expect(text).toMatch(/ says? nothing new for \w+: what it counts now is not known /)
    expect([unhealthy, codes(warnings), metrics]).toEqual([[], ['SENSOR_STATS'], { readable: 0 }])
  })

  test('with a longer interval, it is old later', () => {
    const rare = (ago: number) => told(count(ago, 200, 10, 0), count(ago + 100, 100, 10, 0))
    expect(look('eve', null, rare(300)).tool).toMatchObject({ old: false })
    expect(look('eve', null, rare(301)).tool).toMatchObject({ old: true })
    // Zeek's 45 minutes are within an hour; whatever a tool says, it is no more than that.
    const old = (...tool: Parameters<typeof look>) => look(...tool).tool?.old
    expect([2700, 2701].map((ago) => old('zeek', null, told(count(ago, 900, 10, 0))))).toEqual([false, true])
    expect([3600, 3601].map((ago) => old('zeek', null, told(count(ago, 3600, 10, 0))))).toEqual([false, true])
    const days = (ago: number) => told(count(ago, 20 * 86_400, 3000, 5), count(ago + 15 * 86_400, 5 * 86_400, 1000, 5))
    expect([3600, 3601].map((ago) => old('eve', null, days(ago)))).toEqual([false, true])
  })

  test('of a time to come', () => {
    expect(look('eve', null, told(count(-60, 8, 10, 0))).tool).toMatchObject({ unread: null, age_seconds: 0 })
    const { tool, warnings } = look('eve', null, told(count(-61, 8, 10, 0)))
    expect(tool).toMatchObject({ unread: 'the time of what it says is yet to come', total: null })
    expect(codes(warnings)).toEqual(['SENSOR_STATS'])
  })

  test('why it is not known', () => {
    const { tool, text, unhealthy, warnings, metrics } = look('eve', null, problem('it does not exist'))
    expect(tool).toMatchObject({ says: 'suricata', unread: 'it does not exist', at: null, total: null, recent: null })
    expect(text).toContain('what Suricata says is not known: it does not exist')
    expect(warnings).toMatchObject([
      { message: 'what the sensor suricata says of itself is not known: /logs/eve.json: it does not exist' }
    ])
    expect([unhealthy, metrics]).toEqual([[], { readable: 0 }])
  })
})

test('where nobody has asked, nothing is said', () => {
  const view = see()
  const samples = samplesOf(view)
  const report = makeReport({ view, pauses: [], watch, window: null, ...samples })
  expect(statusDocument(report, 'now').spans[0]?.hops.filter((hop) => 'tool' in hop && hop.tool !== null)).toEqual([])
  expect(renderReport(report, plain).replace(/\s+/g, ' ')).toContain('only the sensor knows what it loses there')
})

test('it is known too where an earlier item selects the same container', () => {
  const { docker } = converged
  if (docker.state !== 'read') throw new Error('the fixture has changed')
  const containers = docker.containers.map((one) =>
    one.name === 'suricata' ? { ...one, labels: { role: 'ids' } } : one
  )
  const sensors = `[{label: role=ids}, {container: suricata, stats: ${texts.eve}},`
  const view = see(
    { ...converged, docker: { ...docker, containers } },
    fixture('spans.yaml').replace('[suricata,', sensors)
  )
  const told = framePathsOf(view).flatMap(({ ports }) => ports.map(({ sensor }) => sensor?.stats ?? null))
  expect(told).toEqual([specs.eve, null])
  expect(view.plan.changes).toEqual([])
})

test('nothing on the host differs for it, and Prometheus takes its metrics', async () => {
  const { changes, exposition } = look('eve', null, told(count(1, 108, 3000, 25), count(9, 100, 1000, 5)))
  expect(changes).toEqual([])
  await expectMetrics(exposition)
  expect(exposition).toContain(
    'spanplan_sensor_tool_packets_total{span="span0",sensor="suricata",tool="suricata"} 3000\n'
  )
})
