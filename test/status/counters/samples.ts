import type { LinkCounters, MirrorCounters } from '../../../src/host/parsers/counters.ts'
import type { Sample } from '../../../src/host/read-counters.ts'
import { everyFrame } from '../../../src/host/tc-conventions.ts'
import type { FramePath } from '../../../src/status/counters/frame-path.ts'
import { converged } from '../../lab/fixtures/converged.ts'

const origin = { file: 'spans.yaml', line: 1, column: 1 }

/** An interface of which every frame is mirrored to a bridge with two ports, and a sensor behind each port. */
export const path: FramePath = {
  span: 'span0',
  device: 'span0',
  wire: true,
  mirrors: converged.links
    .filter(({ name }) => name === 'ens192')
    .map((link) => ({
      point: {
        source: ['ens192'],
        serves: null,
        device: { name: 'ens192', link },
        tcHook: 'ingress',
        direction: 'received',
        selection: { expression: null, everyFrame: true },
        program: everyFrame,
        sample: null,
        settings: [],
        maxIdle: null,
        limit: null,
        item: 'ens192',
        origin
      },
      handles: [8],
      beside: [],
      countsCopies: false,
      underlay: null,
      isGuarded: false
    })),
  bridge: 4,
  feedsBridge: true,
  outputs: [],
  ports: [
    {
      device: 'veth6',
      index: 6,
      sensor: { container: 'suricata', inside: { sandbox: '/run/docker/netns/60', index: 7 } },
      feeds: null,
      part: null
    },
    {
      device: 'veth8',
      index: 8,
      sensor: { container: 'zeek', inside: { sandbox: '/run/docker/netns/80', index: 7 } },
      feeds: null,
      part: null
    }
  ]
}

/** Frames of 100 bytes that each hop has counted, and exceptions. */
interface Counts {
  /** Seconds. */
  readonly at?: number
  readonly received?: number
  readonly mirror?: number
  readonly bridge?: number
  readonly ports?: readonly [number, number]
  /** Changes to the counters of links, by index, to the mirror's, and to the sample. */
  readonly links?: Readonly<Record<number, Partial<LinkCounters>>>
  readonly filter?: Partial<MirrorCounters> | null
  readonly listeners?: Sample['listeners']
  /** Frames that came to every link while the sample was taken. */
  readonly inFlight?: number
}

/** A sample of {@link path}; hops that are not given have counted nothing. */
export function sampleOf(counts: Counts): Sample {
  const { at = 0, received = 0, mirror = 0, bridge = 0, ports = [0, 0], inFlight = 0, filter = {} } = counts
  const names: Readonly<Record<number, string>> = { 2: 'ens192', 4: 'span0', 6: 'veth6', 8: 'veth8' }
  const packets: Readonly<Record<number, number>> = { 2: received, 4: bridge, 6: ports[0], 8: ports[1] }
  const links = [2, 4, 6, 8].map((index): LinkCounters => {
    const frames = packets[index] ?? 0
    return {
      index,
      name: names[index] ?? '',
      mtu: 1500,
      up: true,
      running: true,
      carrierChanges: 2,
      rx: { packets: frames, bytes: frames * 100, errors: 0, dropped: 0, missed: 0, over: 0, fifo: 0 },
      tx: { packets: frames, bytes: frames * 100, errors: 0, dropped: 0 },
      ...counts.links?.[index]
    }
  })
  return {
    at: at * 1000,
    links,
    mirrors: filter === null ? [] : [{ ...mirrorOf(mirror, at), ...filter }],
    listeners: counts.listeners ?? [],
    totals: links.map(({ name, rx, tx }) => ({ name, rx: rx.packets + inFlight, tx: tx.packets + inFlight })),
    refused: []
  }
}

function mirrorOf(packets: number, at: number): MirrorCounters {
  return {
    device: 'ens192',
    tcHook: 'ingress',
    handle: 8,
    target: 'span0',
    packets,
    bytes: packets * 100,
    overlimits: 0,
    drops: 0,
    installed: 1000 + at,
    idle: 0
  }
}
