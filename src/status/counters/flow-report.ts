import type { LinkCounters, MirrorCounters, PacketSocket } from '../../host/parsers/counters.ts'
import type { Sample } from '../../host/read-counters.ts'
import type { TcHook } from '../../spec/spec.ts'
import type { Cause } from './causes.ts'
import {
  type CounterDelta,
  deltaOf,
  findMirror,
  frameDelta,
  missing,
  type Pair,
  pairLinks,
  pairMirrors,
  sum
} from './counter-delta.ts'
import type { FramePath, PathMirror, PathPort } from './frame-path.ts'

/** Frames that did not go on from a place. */
export interface Loss {
  readonly cause: Cause
  /** null: how many nobody can know. */
  readonly frames: number | null
}

/** What passed a place from one sample to the next. */
interface Passage {
  /** null: it is not there. */
  readonly frames: number | null
  /** With their Ethernet headers; null where it is not counted. */
  readonly bytes: number | null
  /** It was made anew between the samples: what came before is not in these numbers. */
  readonly reset: boolean
  readonly losses: readonly Loss[]
}

/** One place on the way of a span's frames. What is lost at it did not come to the next one. */
export type Hop = Passage &
  (
    | { readonly kind: 'interface'; readonly device: string }
    | {
        readonly kind: 'mirror'
        readonly device: string
        readonly tcHook: TcHook
        readonly expression: string | null
        /** Since the filter was put in place; null: it is not there. */
        readonly counters: MirrorCounters | null
      }
    | { readonly kind: 'bridge' | 'port'; readonly device: string }
    | {
        readonly kind: 'sensor'
        /** The host's end of its interface. */
        readonly device: string
        readonly container: string
        /** By which it listens; null: we may not look. */
        readonly sockets: readonly PacketSocket[] | null
      }
  )

/** Where the frames of one span went from one sample to the next. */
export interface FlowReport {
  readonly span: string
  readonly seconds: number
  /** In the order of the way; ports and sensors side by side. */
  readonly hops: readonly Hop[]
}

/** The two samples. */
type Window = readonly [first: Sample, later: Sample]

/** The difference of two samples, along the way of one span. */
export function makeFlowReport(path: FramePath, first: Sample, later: Sample): FlowReport {
  const window = [first, later] as const
  const received = path.mirrors.filter(({ tcHook }) => tcHook === 'ingress')
  return {
    span: path.span,
    seconds: (later.at - first.at) / 1000,
    hops: [
      ...received.map((mirror) => cardHop(path, mirror, window)),
      ...path.mirrors.map((mirror) => mirrorHop(path, mirror, window)),
      bridgeHop(path, window),
      ...path.ports.flatMap((port) => portHops(path, port, window))
    ]
  }
}

/** The same in frames; a cause without any is none. */
function lost(cause: Cause, frames: number): Loss[] {
  return frames > 0 ? [{ cause, frames }] : []
}

const nowhere: Passage = { frames: null, bytes: null, reset: false, losses: [] }

function cardHop(path: FramePath, mirror: PathMirror, window: Window): Hop {
  const card = { kind: 'interface', device: mirror.device } as const
  const pair = pairLinks(mirror.index, ...window)
  if (pair === undefined) return { ...card, ...nowhere }
  const came = frameDelta(pair, 'rx', window)
  const count = (read: (rx: LinkCounters['rx']) => number) => deltaOf(pair, ({ rx }) => read(rx)).count
  // Drivers use the two for the same.
  const overrun = Math.max(
    count(({ over }) => over),
    count(({ fifo }) => fifo)
  )
  return {
    ...card,
    frames: came.count,
    bytes: count(({ bytes }) => bytes),
    reset: came.reset,
    losses: [
      ...(isBroken(pair) ? [{ cause: 'no_carrier', frames: null } as const] : []),
      ...lost('ring_overrun', count(({ missed }) => missed) + overrun),
      ...lost(
        'damaged',
        count(({ errors }) => errors)
      ),
      ...unseen(path, mirror, came, window)
    ]
  }
}

/** It has no carrier, or had none for a while. */
function isBroken({ first, later }: Pair<LinkCounters>): boolean {
  return !later.running || first?.running === false || (first?.carrierChanges ?? 0) !== later.carrierChanges
}

/** What a card has received, and its mirror not. What a filter leaves out is not lost; how much that is, nobody knows. */
function unseen(path: FramePath, mirror: PathMirror, came: CounterDelta, window: Window): Loss[] {
  const pair = pairMirrors(mirror, ...window)
  if (pair === undefined) {
    const frames = mirror.expression === null ? countWithout(path, mirror, came, window) : null
    return frames === null ? [{ cause: 'no_mirror', frames }] : lost('no_mirror', frames)
  }
  if (mirror.expression !== null) return []
  return lost('unexplained', missing(came, deltaOf(pair, countPackets)))
}

/** What a mirror that has gone copied before, it tells no more; but that cannot be more than came to the bridge. */
function countWithout(path: FramePath, mirror: PathMirror, came: CounterDelta, window: Window): number | null {
  if (findMirror(mirror, window[0]) === undefined) return came.count
  const bridge = pairLinks(path.bridge, ...window)
  const away = bridge !== undefined && path.wire ? missing(came, frameDelta(bridge, 'tx', window)) : 0
  return away > 0 ? away : null
}

const countPackets = ({ packets }: MirrorCounters) => packets
const countRefused = ({ overlimits }: MirrorCounters) => overlimits
const countDropped = ({ drops }: MirrorCounters) => drops

function mirrorHop(path: FramePath, mirror: PathMirror, window: Window): Hop {
  const pair = pairMirrors(mirror, ...window)
  const { device, tcHook, expression } = mirror
  const filter = { kind: 'mirror', device, tcHook, expression, counters: pair?.later ?? null } as const
  if (pair === undefined) return { ...filter, ...nowhere }
  const delta = deltaOf(pair, countPackets)
  return {
    ...filter,
    frames: delta.count,
    bytes: deltaOf(pair, ({ bytes }) => bytes).count,
    reset: delta.reset,
    losses: [
      ...lost(whyRefused(path, pair.later), deltaOf(pair, countRefused).count),
      ...lost('action_dropped', deltaOf(pair, countDropped).count)
    ]
  }
}

function whyRefused({ ports }: FramePath, { target }: MirrorCounters): Cause {
  if (target === '*') return 'target_gone'
  return ports.length === 0 ? 'no_sensor' : 'target_down'
}

/** What the bridge was handed, and what of it never came. */
function bridgeHop(path: FramePath, window: Window): Hop {
  const bridge = { kind: 'bridge', device: path.span } as const
  const pair = pairLinks(path.bridge, ...window)
  if (pair === undefined) return { ...bridge, ...nowhere }
  const went = frameDelta(pair, 'tx', window)
  const mirrors = path.mirrors.flatMap((mirror) => pairMirrors(mirror, ...window) ?? [])
  const known = mirrors.reduce(
    (total, one) => total + deltaOf(one, countRefused).count + deltaOf(one, countDropped).count,
    0
  )
  const came = sum(mirrors.map((one) => deltaOf(one, countPackets)))
  return {
    ...bridge,
    frames: went.count,
    bytes: deltaOf(pair, ({ tx }) => tx.bytes).count,
    reset: went.reset,
    // A mirror counts what is in a merged frame, the bridge the merged one, unless they are taken apart.
    losses: path.wire ? lost('unexplained', missing(came, went, known)) : []
  }
}

function portHops(path: FramePath, port: PathPort, window: Window): Hop[] {
  const pair = pairLinks(port.index, ...window)
  if (pair === undefined) return [{ kind: 'port', device: port.device, ...nowhere }]
  const went = frameDelta(pair, 'tx', window)
  const refused = deltaOf(pair, ({ tx }) => tx.dropped + tx.errors).count
  const bridge = pairLinks(path.bridge, ...window)
  const away = bridge === undefined ? 0 : missing(frameDelta(bridge, 'tx', window), went, refused)
  return [
    {
      kind: 'port',
      device: port.device,
      frames: went.count,
      bytes: deltaOf(pair, ({ tx }) => tx.bytes).count,
      reset: went.reset,
      losses: [...lost('port_dropped', refused), ...lost(whyAway(path, pair, window), away)]
    },
    ...(port.sensor === null ? [] : [sensorHop(port.device, port.sensor, went, window)])
  ]
}

/** Why a port does not get what the bridge has: the kernel does not say, so it is told from what can be the cause. */
function whyAway(path: FramePath, port: Pair<LinkCounters>, [, later]: Window): Cause {
  if (isBroken(port)) return 'port_down'
  const interfaces = later.links.filter(({ index }) => path.mirrors.some((mirror) => mirror.index === index))
  return interfaces.some(({ mtu }) => mtu > port.later.mtu) ? 'too_large' : 'unexplained'
}

function countFull(before: readonly PacketSocket[], now: readonly PacketSocket[]): number {
  return now.reduce((total, { cookie, drops }) => {
    const earlier = before.find((socket) => socket.cookie === cookie)?.drops ?? 0
    return total + (drops ?? 0) - earlier
  }, 0)
}

function sensorHop(
  device: string,
  { container, inside }: NonNullable<PathPort['sensor']>,
  came: CounterDelta,
  [first, later]: Window
): Hop {
  const find = (sample: Sample) =>
    sample.listeners.find((one) => one.inside.sandbox === inside.sandbox && one.inside.index === inside.index)
      ?.sockets ?? null
  const sockets = find(later)
  const before = find(first)
  const full = before === null ? 0 : countFull(before, sockets ?? [])
  return {
    ...{ kind: 'sensor', device, container, sockets },
    ...{ frames: Math.max(0, came.count - full), bytes: null, reset: came.reset },
    losses: lost('socket_full', full)
  }
}
