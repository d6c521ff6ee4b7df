import { describe, expect, test } from 'vitest'
import type { PacketSocket } from '../../../src/host/parsers/counters.ts'
import type { Sample } from '../../../src/host/read-counters.ts'
import { linkOf } from '../../../src/resources/desired-state.ts'
import { type Hop, makeFlowReport } from '../../../src/status/counters/flow-report.ts'
import type { FramePath } from '../../../src/status/counters/frame-path.ts'
import { path, sampleOf } from './samples.ts'

/** The frames of each hop, and `HOP CAUSE COUNT` of each loss. */
function count(first: Sample, later: Sample, framePath: FramePath = path) {
  const { hops } = makeFlowReport(framePath, first, later)
  const nameOf = (hop: Hop) => (hop.kind === 'sensor' ? hop.container : hop.kind === 'port' ? hop.device : hop.kind)
  return {
    frames: Object.fromEntries(hops.map((hop) => [nameOf(hop), hop.frames])),
    lost: hops.flatMap((hop) => hop.losses.map(({ cause, frames }) => `${nameOf(hop)} ${cause} ${frames}`))
  }
}

const none = sampleOf({})
const all = { at: 1, received: 100, mirror: 100, bridge: 100, ports: [100, 100] } as const

describe('what is lost at each hop, and why', () => {
  test('nothing', () => {
    const frames = { interface: 100, mirror: 100, bridge: 100, veth6: 100, suricata: 100, veth8: 100, zeek: 100 }
    expect(count(none, sampleOf(all))).toEqual({ frames, lost: [] })
  })

  test('the ring of the interface, whichever of its counters the driver uses', () => {
    const rx = { packets: 100, bytes: 0, errors: 2, dropped: 100, missed: 10, over: 5, fifo: 5 }
    const { lost } = count(none, sampleOf({ ...all, links: { 2: { rx } } }))
    expect(lost).toEqual(['interface ring_overrun 15', 'interface damaged 2'])
  })

  test('the carrier of the interface, also where it is back', () => {
    expect(count(none, sampleOf({ ...all, links: { 2: { running: false } } })).lost).toEqual([
      'interface no_carrier null'
    ])
    expect(count(none, sampleOf({ ...all, links: { 2: { carrierChanges: 4 } } })).lost).toEqual([
      'interface carrier_flap null'
    ])
  })

  test('the interface is set down: no cable is at fault, also at the host end of a container', () => {
    const down = sampleOf({ ...all, links: { 2: { up: false, running: false } } })
    expect(count(none, down).lost).toEqual(['interface interface_down null'])
    const mirrors = path.mirrors.map(({ point, ...more }) => ({ ...more, point: { ...point, serves: 'web' } }))
    expect(count(none, down, { ...path, mirrors }).lost).toEqual(['interface host_end_down null'])
  })

  test('a container’s interface has no cable', () => {
    const mirrors = path.mirrors.map(({ point, ...more }) => ({ ...more, point: { ...point, serves: 'web' } }))
    const later = sampleOf({ ...all, links: { 2: { running: false } } })
    expect(count(none, later, { ...path, mirrors }).lost).toEqual(['interface source_down null'])
  })

  test('a bridge, as of another span, has no cable either', () => {
    const mirrors = path.mirrors.map(({ point, ...more }) => {
      const link = linkOf(point.device)
      if (link === undefined) throw new Error('the interface is there')
      const options = { ageing: 0, forwardDelay: 0, groupForward: 0 }
      const bridge = { ...options, stp: false, snooping: false, vlanFiltering: false }
      return { ...more, point: { ...point, device: { name: link.name, link: { ...link, bridge } } } }
    })
    const later = sampleOf({ ...all, links: { 2: { running: false } } })
    expect(count(none, later, { ...path, mirrors }).lost).toEqual(['interface ports_down null'])
  })

  test('before the mirror, where no counter is; what a filter leaves out is no loss', () => {
    const later = sampleOf({ ...all, mirror: 90, bridge: 90, ports: [90, 90] })
    expect(count(none, later).lost).toEqual(['interface unexplained 10'])
    const selection = { expression: 'tcp', everyFrame: false }
    const mirrors = path.mirrors.map(({ point, ...more }) => ({ ...more, point: { ...point, selection } }))
    expect(count(none, later, { ...path, mirrors }).lost).toEqual([])
  })

  test('what is over a limit is no loss: each frame in a merged one counts, and none that came while tc read the counters', () => {
    const limited = (packets: number, exceeded: number, mirror: number, at = 1) =>
      sampleOf({
        ...{ at, received: packets, mirror, bridge: mirror, ports: [mirror, mirror] },
        filter: { policer: { packets, bytes: packets * 100, exceeded } }
      })
    const over = (first: Sample, later: Sample) =>
      makeFlowReport(path, first, later).hops.flatMap((hop) => (hop.kind === 'mirror' ? [hop.overLimit] : []))
    const [before, after] = [limited(0, 0, 0, 0), limited(100, 2, 60)]
    expect(count(before, after)).toMatchObject({ frames: { interface: 100, mirror: 60, bridge: 60 }, lost: [] })
    expect(over(before, after)).toEqual([{ frames: 40, bytes: 4000 }])
    expect(over(after, limited(200, 2, 155))).toEqual([{ frames: 0, bytes: 0 }])
    expect(over(none, sampleOf(all))).toEqual([null])
  })

  test('what a table of senders has dropped; one that is made again counts from 0', () => {
    const refused = (packets: number) => [{ device: 'ens192', packets }]
    const lost = (first: number, later: number) =>
      count({ ...none, refused: refused(first) }, { ...sampleOf(all), refused: refused(later) }).lost
    expect(lost(3, 3)).toEqual([])
    expect(lost(3, 10)).toEqual(['interface refused 7'])
    expect(lost(10, 2)).toEqual(['interface refused 2'])
  })

  test('without a mirror', () => {
    const { frames, lost } = count(sampleOf({ filter: null }), sampleOf({ at: 1, received: 100, filter: null }))
    expect(frames).toMatchObject({ interface: 100, mirror: null, bridge: 0 })
    expect(lost).toEqual(['interface no_mirror 100'])
  })

  test('without a mirror that was there at the first sample: what did not come to the bridge', () => {
    const later = sampleOf({ at: 1, received: 100, filter: null, bridge: 60, ports: [60, 60] })
    const { frames, lost } = count(none, later)
    expect(frames).toMatchObject({ interface: 100, mirror: null, suricata: 60 })
    expect(lost).toEqual(['interface no_mirror 40'])
    expect(count(none, later, { ...path, wire: false }).lost).toEqual(['interface no_mirror null'])
  })

  test('the bridge: down, gone, or without a port', () => {
    const counts = { ...all, bridge: 60, ports: [60, 60], filter: { overlimits: 40 } } as const
    expect(count(none, sampleOf(counts)).lost).toEqual(['mirror target_down 40'])
    const gone = sampleOf({ ...counts, filter: { overlimits: 40, target: '*' } })
    expect(count(none, gone).lost).toEqual(['mirror target_gone 40'])
    expect(count(none, sampleOf(counts), { ...path, ports: [] }).lost).toEqual(['mirror no_sensor 40'])
  })

  test('between mirror and bridge, unless the bridge counts merged frames', () => {
    const later = sampleOf({ ...all, bridge: 60, ports: [60, 60] })
    expect(count(none, later).lost).toEqual(['bridge unexplained 40'])
    expect(count(none, later, { ...path, wire: false }).lost).toEqual([])
  })

  test('at one port: too large, down, refused by the other end, or unknown', () => {
    const counts = { ...all, ports: [100, 70] } as const
    expect(count(none, sampleOf(counts)).lost).toEqual(['veth8 unexplained 30'])
    const jumbo = sampleOf({ ...counts, links: { 2: { mtu: 9000 } } })
    expect(count(none, jumbo).lost).toEqual(['veth8 too_large 30'])
    const down = sampleOf({ ...counts, links: { 8: { running: false } } })
    expect(count(none, down).lost).toEqual(['veth8 port_down 30'])
    const tx = { packets: 70, bytes: 7000, errors: 0, dropped: 30 }
    expect(count(none, sampleOf({ ...counts, links: { 8: { tx } } })).lost).toEqual(['veth8 port_dropped 30'])
  })

  test('at the sockets of a sensor, those of a ring aside', () => {
    const listeners = (...sockets: PacketSocket[]) => [
      { inside: { sandbox: '/run/docker/netns/60', index: 7 }, sockets },
      { inside: { sandbox: '/run/docker/netns/80', index: 7 }, sockets: null }
    ]
    const first = sampleOf({ listeners: listeners({ cookie: '1', device: 'eth0', hears: 'every', drops: 1000 }) })
    const later = sampleOf({
      ...all,
      listeners: listeners(
        { cookie: '1', device: 'eth0', hears: 'every', drops: 1005 },
        { cookie: '2', device: 'eth0', hears: 'every', drops: 3 },
        { cookie: '3', device: 'eth0', hears: 'every', drops: null }
      )
    })
    const { frames, lost } = count(first, later)
    expect(lost).toEqual(['suricata socket_full 8'])
    expect(frames).toMatchObject({ suricata: 92, zeek: 100 })
    // Where the sockets could not be read before, the loss is unknown.
    expect(count(none, later).lost).toEqual([])
  })
})

describe('counters that begin at 0 again', () => {
  test('a filter that was recreated: what came since', () => {
    const first = sampleOf({ received: 1000, mirror: 1000, bridge: 1000, ports: [1000, 1000] })
    const counts = { at: 60, received: 1100, mirror: 1010, bridge: 1100, ports: [1100, 1100] } as const
    const later = sampleOf({ ...counts, filter: { installed: 5 } })
    const [, mirror] = makeFlowReport(path, first, later).hops
    expect(mirror).toMatchObject({ frames: 1010, reset: true, losses: [] })
    expect(count(first, later).lost).toEqual([])
  })

  test('a filter whose counter is smaller than before', () => {
    const first = sampleOf({ ...all, at: 0, mirror: 1000 })
    const { hops } = makeFlowReport(path, first, sampleOf({ ...all, mirror: 10 }))
    expect(hops[1]).toMatchObject({ frames: 10, reset: true })
  })

  test('a filter that the first sample did not read, though it was there', () => {
    const { hops } = makeFlowReport(path, sampleOf({ filter: null }), sampleOf({ ...all, mirror: 5000 }))
    expect(hops[1]).toMatchObject({ frames: 0, reset: false })
  })

  test('a bridge that was recreated has another index', () => {
    const first = sampleOf({ received: 1000, mirror: 1000, bridge: 1000, ports: [1000, 1000] })
    const later = sampleOf({
      at: 1,
      received: 1100,
      mirror: 1100,
      bridge: 40,
      ports: [1040, 1040],
      links: { 4: { index: 14 } }
    })
    const { frames, lost } = count(first, later, { ...path, bridge: 14 })
    expect(frames).toMatchObject({ bridge: 40, veth6: 40 })
    expect(lost).toEqual([])
  })

  test('a port that has gone', () => {
    const later = sampleOf({ ...all, links: { 8: { index: 18 } } })
    expect(count(none, later).frames).toMatchObject({ veth8: null })
  })
})

test('frames in flight while counters are read are no losses', () => {
  // 50 frames come to each link while a sample is taken; the mirror is read when all of them have come, or none.
  const first = sampleOf({ received: 0, mirror: 50, bridge: 0, ports: [0, 0], inFlight: 50 })
  const later = sampleOf({ at: 1, received: 1000, mirror: 1000, bridge: 1000, ports: [960, 1000], inFlight: 50 })
  expect(count(first, later).lost).toEqual([])
  const fewer = sampleOf({ at: 1, received: 1000, mirror: 1000, bridge: 1000, ports: [800, 1000], inFlight: 50 })
  expect(count(first, fewer).lost).toEqual(['veth6 unexplained 100'])
})
