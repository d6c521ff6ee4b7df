import { expect, test } from 'vitest'
import type { Sample } from '../../../src/host/read-counters.ts'
import { type FlowReport, makeFlowReport } from '../../../src/status/counters/flow-report.ts'
import type { FramePath } from '../../../src/status/counters/frame-path.ts'
import { addLosses, type LossTotals, withTotals } from '../../../src/status/counters/loss-totals.ts'
import { path, sampleOf } from './samples.ts'

/** `HOP CAUSE COUNT` of each loss from sample to sample. */
function lostIn(samples: readonly Sample[], framePath: FramePath = path): string[] {
  const losses = samples.reduce<LossTotals>((before, sample) => addLosses(before, [framePath], sample), new Map())
  return [...losses.values()].flatMap(({ hops }) =>
    hops.flatMap(({ kind, device, losses }) =>
      losses.map(({ cause, frames }) => `${kind} ${device} ${cause} ${frames}`)
    )
  )
}

const frames = (count: number) => ({ at: count / 100, received: count, mirror: count, bridge: count }) as const

test('nothing is lost before the first sample', () => {
  expect(lostIn([sampleOf({ ...frames(1000), bridge: 0, filter: { overlimits: 1000 } })])).toEqual([])
})

test('what is lost adds up, each cause by itself, in the order in which they came', () => {
  const samples = [
    sampleOf({}),
    sampleOf({ ...frames(100), ports: [100, 90] }),
    sampleOf({ ...frames(200), ports: [200, 180], links: { 8: { running: false } } }),
    sampleOf({ ...frames(300), ports: [300, 280] }),
    sampleOf({ ...frames(400), bridge: 350, ports: [350, 330], filter: { overlimits: 50 } })
  ]
  expect(lostIn(samples)).toEqual([
    'mirror ens192 target_down 50',
    'port veth8 unexplained 10',
    'port veth8 port_down 10'
  ])
})

test('a bridge, a filter and a port that are recreated count from 0 again, which is no loss', () => {
  const before = sampleOf({ ...frames(1000), bridge: 900, ports: [900, 900], filter: { overlimits: 100 } })
  const after = sampleOf({ ...frames(1100), mirror: 60, bridge: 60, ports: [60, 60], filter: { installed: 1 } })
  expect(lostIn([before, after, sampleOf({ ...frames(1200), mirror: 160, bridge: 160, ports: [160, 160] })])).toEqual(
    []
  )
})

test('without a mirror, all is lost but what came to the bridge while there was one', () => {
  const samples = [0, 1000, 2000].map((count) => sampleOf({ ...frames(count), ports: [count, count] }))
  const without = (count: number) =>
    sampleOf({ ...frames(count), mirror: 0, bridge: 2000, ports: [2000, 2000], filter: null })
  expect(lostIn([...samples, without(2010), without(2017)])).toEqual(['interface ens192 no_mirror 17'])
})

test('a loss that frames in flight hide in each sample shows in the end', () => {
  // 1 frame of 100 is too large, while each sample takes as long as 10 frames.
  const samples = Array.from({ length: 31 }, (_, index) => {
    const [all, small] = [index * 100, index * 99]
    return sampleOf({ ...frames(all), ports: [small, all], inFlight: 10, links: { 2: { mtu: 9000 } } })
  })
  const [first, second, last] = [samples[0], samples[1], samples.at(-1)]
  if (!(first && second && last)) throw new Error('there are no samples')
  expect(makeFlowReport(path, first, second).hops.flatMap(({ losses }) => losses)).toEqual([])
  const [, lost = ''] = /^port veth6 too_large (\d+)$/.exec(lostIn(samples).join()) ?? []
  expect(Number(lost)).toBeGreaterThan(0)
  expect(Number(lost)).toBeLessThanOrEqual(30)
})

test('what is over a limit adds up, once each, while nothing is lost', () => {
  const samples = [0, 1, 2, 3].map((second) =>
    sampleOf({
      ...{ ...frames(second * 100), mirror: second * 60, bridge: second * 60, ports: [second * 60, second * 60] },
      filter: { policer: { packets: second * 100, bytes: second * 10_000, exceeded: second * 40 } }
    })
  )
  const losses = samples.reduce<LossTotals>((before, sample) => addLosses(before, [path], sample), new Map())
  const over = losses.get('span0')?.hops.flatMap((hop) => (hop.kind === 'mirror' ? [hop.overLimit] : []))
  expect(over).toEqual([{ frames: 120, bytes: 12_000 }])
  expect(lostIn(samples)).toEqual([])
})

test('a hop that has gone is forgotten', () => {
  const lossy = [sampleOf({}), sampleOf({ ...frames(100), ports: [100, 90] })]
  const [first] = path.ports
  const without = { ...path, ports: first ? [first] : [] }
  const losses = lossy.reduce<LossTotals>((before, sample) => addLosses(before, [path], sample), new Map())
  const later = addLosses(losses, [without], sampleOf({ ...frames(200), ports: [200, 90] }))
  expect(later.get('span0')?.hops.map(({ device }) => device)).not.toContain('veth8')
  expect(addLosses(later, [], sampleOf({}))).toEqual(new Map())
})

test('a report gets all losses, also those of unknown number', () => {
  const carrier = (running: boolean) => ({ 2: { running, carrierChanges: running ? 4 : 3 } })
  const samples = [
    sampleOf({ links: carrier(false) }),
    sampleOf({ ...frames(100), ports: [100, 90], links: carrier(true) }),
    sampleOf({ ...frames(200), ports: [200, 190], links: carrier(true) })
  ] as const
  const losses = samples.reduce<LossTotals>((before, sample) => addLosses(before, [path], sample), new Map())
  const report = makeFlowReport(path, samples[1], samples[2])
  const listed = ({ hops }: FlowReport) =>
    hops.flatMap(({ kind, losses }) => losses.map(({ cause, frames }) => [kind, cause, frames]))
  expect(listed(report)).toEqual([])
  expect(listed(withTotals(report, losses))).toEqual([
    // It is back by now.
    ['interface', 'carrier_flap', null],
    ['port', 'unexplained', 10]
  ])
  expect(withTotals(report, losses).hops[0]?.frames).toBe(100)
  expect(withTotals(report, new Map())).toEqual(report)
})
