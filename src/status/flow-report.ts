import type { LinkCounters, MirrorCounters, PacketSocket } from '../host/parsers/counters.ts'
import type { Sample } from '../host/read-counters.ts'
import type { Hook } from '../spec/spec.ts'
import type { Cause } from './causes.ts'
import {
  findMirror,
  type Growth,
  grow,
  growFrames,
  missing,
  type Pair,
  pairLinks,
  pairMirrors,
  sum
} from './counter-delta.ts'
import type { Chain, ChainMirror, ChainPort } from './frame-path.ts'

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
    | { readonly kind: 'card'; readonly device: string }
    | {
        readonly kind: 'mirror'
        readonly device: string
        readonly hook: Hook
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
export interface Ledger {
  readonly span: string
  readonly seconds: number
  /** In the order of the way; ports and sensors side by side. */
  readonly hops: readonly Hop[]
}

/** The two samples. */
type Window = readonly [first: Sample, later: Sample]

/** The difference of two samples, along the way of one span. */
export function makeLedger(chain: Chain, first: Sample, later: Sample): Ledger {
  const window = [first, later] as const
  const received = chain.mirrors.filter(({ hook }) => hook === 'ingress')
  return {
    span: chain.span,
    seconds: (later.at - first.at) / 1000,
    hops: [
      ...received.map((mirror) => cardHop(chain, mirror, window)),
      ...chain.mirrors.map((mirror) => mirrorHop(chain, mirror, window)),
      bridgeHop(chain, window),
      ...chain.ports.flatMap((port) => portHops(chain, port, window))
    ]
  }
}

/** The same in frames; a cause without any is none. */
function lost(cause: Cause, frames: number): Loss[] {
  return frames > 0 ? [{ cause, frames }] : []
}

const nowhere: Passage = { frames: null, bytes: null, reset: false, losses: [] }

function cardHop(chain: Chain, mirror: ChainMirror, window: Window): Hop {
  const card = { kind: 'card', device: mirror.device } as const
  const pair = pairLinks(mirror.index, ...window)
  if (pair === undefined) return { ...card, ...nowhere }
  const came = growFrames(pair, 'rx', window)
  const count = (read: (rx: LinkCounters['rx']) => number) => grow(pair, ({ rx }) => read(rx)).count
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
      ...unseen(chain, mirror, came, window)
    ]
  }
}

/** It has no carrier, or had none for a while. */
function isBroken({ first, later }: Pair<LinkCounters>): boolean {
  return !later.running || first?.running === false || (first?.carrierChanges ?? 0) !== later.carrierChanges
}

/** What a card has received, and its mirror not. What a filter leaves out is not lost; how much that is, nobody knows. */
function unseen(chain: Chain, mirror: ChainMirror, came: Growth, window: Window): Loss[] {
  const pair = pairMirrors(mirror, ...window)
  if (pair === undefined) {
    const frames = mirror.expression === null ? countWithout(chain, mirror, came, window) : null
    return frames === null ? [{ cause: 'no_mirror', frames }] : lost('no_mirror', frames)
  }
  if (mirror.expression !== null) return []
  return lost('unexplained', missing(came, grow(pair, countPackets)))
}

/** What a mirror that has gone copied before, it tells no more; but that cannot be more than came to the bridge. */
function countWithout(chain: Chain, mirror: ChainMirror, came: Growth, window: Window): number | null {
  if (findMirror(mirror, window[0]) === undefined) return came.count
  const bridge = pairLinks(chain.bridge, ...window)
  const away = bridge !== undefined && chain.wire ? missing(came, growFrames(bridge, 'tx', window)) : 0
  return away > 0 ? away : null
}

const countPackets = ({ packets }: MirrorCounters) => packets
const countRefused = ({ overlimits }: MirrorCounters) => overlimits
const countDropped = ({ drops }: MirrorCounters) => drops

function mirrorHop(chain: Chain, mirror: ChainMirror, window: Window): Hop {
  const pair = pairMirrors(mirror, ...window)
  const { device, hook, expression } = mirror
  const filter = { kind: 'mirror', device, hook, expression, counters: pair?.later ?? null } as const
  if (pair === undefined) return { ...filter, ...nowhere }
  const growth = grow(pair, countPackets)
  return {
    ...filter,
    frames: growth.count,
    bytes: grow(pair, ({ bytes }) => bytes).count,
    reset: growth.reset,
    losses: [
      ...lost(whyRefused(chain, pair.later), grow(pair, countRefused).count),
      ...lost('action_dropped', grow(pair, countDropped).count)
    ]
  }
}

function whyRefused({ ports }: Chain, { target }: MirrorCounters): Cause {
  if (target === '*') return 'target_gone'
  return ports.length === 0 ? 'no_sensor' : 'target_down'
}

/** What the bridge was handed, and what of it never came. */
function bridgeHop(chain: Chain, window: Window): Hop {
  const bridge = { kind: 'bridge', device: chain.span } as const
  const pair = pairLinks(chain.bridge, ...window)
  if (pair === undefined) return { ...bridge, ...nowhere }
  const went = growFrames(pair, 'tx', window)
  const mirrors = chain.mirrors.flatMap((mirror) => pairMirrors(mirror, ...window) ?? [])
  const known = mirrors.reduce((total, one) => total + grow(one, countRefused).count + grow(one, countDropped).count, 0)
  const came = sum(mirrors.map((one) => grow(one, countPackets)))
  return {
    ...bridge,
    frames: went.count,
    bytes: grow(pair, ({ tx }) => tx.bytes).count,
    reset: went.reset,
    // A mirror counts what is in a merged frame, the bridge the merged one, unless they are taken apart.
    losses: chain.wire ? lost('unexplained', missing(came, went, known)) : []
  }
}

function portHops(chain: Chain, port: ChainPort, window: Window): Hop[] {
  const pair = pairLinks(port.index, ...window)
  if (pair === undefined) return [{ kind: 'port', device: port.device, ...nowhere }]
  const went = growFrames(pair, 'tx', window)
  const refused = grow(pair, ({ tx }) => tx.dropped + tx.errors).count
  const bridge = pairLinks(chain.bridge, ...window)
  const away = bridge === undefined ? 0 : missing(growFrames(bridge, 'tx', window), went, refused)
  return [
    {
      kind: 'port',
      device: port.device,
      frames: went.count,
      bytes: grow(pair, ({ tx }) => tx.bytes).count,
      reset: went.reset,
      losses: [...lost('port_dropped', refused), ...lost(whyAway(chain, pair, window), away)]
    },
    ...(port.sensor === null ? [] : [sensorHop(port.device, port.sensor, went, window)])
  ]
}

/** Why a port does not get what the bridge has: the kernel does not say, so it is told from what can be the cause. */
function whyAway(chain: Chain, port: Pair<LinkCounters>, [, later]: Window): Cause {
  if (isBroken(port)) return 'port_down'
  const cards = later.links.filter(({ index }) => chain.mirrors.some((mirror) => mirror.index === index))
  return cards.some(({ mtu }) => mtu > port.later.mtu) ? 'too_large' : 'unexplained'
}

function countFull(before: readonly PacketSocket[], now: readonly PacketSocket[]): number {
  return now.reduce((total, { cookie, drops }) => {
    const earlier = before.find((socket) => socket.cookie === cookie)?.drops ?? 0
    return total + (drops ?? 0) - earlier
  }, 0)
}

function sensorHop(
  device: string,
  { container, inside }: NonNullable<ChainPort['sensor']>,
  came: Growth,
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
