import type { LinkCounters, MirrorCounters, PacketSocket } from '../../host/parsers/counters.ts'
import type { Sample } from '../../host/read-counters.ts'
import { type CopyPoint, linkOf, linksOf, type Part } from '../../resources/desired-state.ts'
import { writePoint, writeSourceName } from '../../resources/sources/host-source-kind.ts'
import type { CarrierCause, Cause } from './causes.ts'
import {
  type CounterDelta,
  type CounterPair,
  counterDelta,
  findLink,
  findListener,
  findMirror,
  frameDelta,
  missingFrames,
  pairLinks,
  pairMirrors,
  sumDeltas
} from './counter-delta.ts'
import type { Feeds, FramePath, PathMirror, PathOutput, PathPort } from './frame-path.ts'
import { makeToolReport, type ToolReport } from './tool-report.ts'

/** Frames that were lost at a hop. */
export interface Loss {
  readonly cause: Cause
  /** null: their number is unknown. */
  readonly frames: number | null
}

/** Frames, and their bytes with their Ethernet headers. */
export interface Traffic {
  readonly frames: number
  readonly bytes: number
}

/** What a hop counted from one sample to the next. */
interface HopCounts {
  /** null: the hop is not there. */
  readonly frames: number | null
  /** With their Ethernet headers; null: they are not counted. */
  readonly bytes: number | null
  /** The hop was recreated between the samples: these numbers are what came since. */
  readonly reset: boolean
  readonly losses: readonly Loss[]
}

/** One hop of a frame path. What is lost at a hop did not come to the next one. */
export type Hop = HopCounts & {
  /** Where it counts: of a sensor, the host's end of its interface. */
  readonly device: string
} & (
    | { readonly kind: 'interface'; readonly point: CopyPoint; readonly underlay: PathMirror['underlay'] }
    | {
        readonly kind: 'mirror'
        readonly point: CopyPoint
        /** Since the filter was made; null: there is no filter. */
        readonly counters: MirrorCounters | null
        /** Somebody takes its frames: else there is nothing to copy for. */
        readonly isNeeded: boolean
        /** What is counted are copies: a frame that several receivers take is counted for each. */
        readonly countsCopies: boolean
        /** What was not copied since it was over the mirror's limit, which is no loss; null: it has no limit. */
        readonly overLimit: Traffic | null
      }
    | { readonly kind: 'bridge' }
    | {
        readonly kind: 'port'
        readonly part: Part | null
        /** The sensor that it leads to; null: to none, or it is not known. */
        readonly container: string | null
      }
    | {
        readonly kind: 'output'
        readonly name: string
        readonly underlay: PathOutput['underlay']
        readonly isDetached: boolean
        readonly part: Part | null
      }
    | {
        readonly kind: 'sensor'
        readonly container: string
        readonly part: Part | null
        /** The packet sockets with which it listens; null: they could not be read. */
        readonly sockets: readonly PacketSocket[] | null
        /** There are more of them than are read. */
        readonly hasMore: boolean
        /** What its tool says of itself; null: nobody has asked. */
        readonly tool: ToolReport | null
      }
  )

/** What a hop is called beside its kind: the interface, with the tc hook of a mirror; the container, with its port or without. */
export function hopTitle(hop: Hop): string {
  if (hop.kind === 'mirror') return writePoint(hop.point)
  if (hop.kind === 'interface') return writeSourceName(hop.point.source)
  if (hop.kind === 'output') return hop.name
  if (hop.kind === 'port' && hop.container !== null) return `${hop.container} (${hop.device})`
  return hop.kind === 'sensor' ? hop.container : hop.device
}

/** Where the frames of one span went from one sample to the next. */
export interface FlowReport {
  readonly span: string
  /** Between the samples. */
  readonly seconds: number
  /** In the order of the frame path. Each sensor comes after its port. */
  readonly hops: readonly Hop[]
}

/** The two samples. */
type Interval = readonly [first: Sample, later: Sample]

/** Compares two samples along the frame path of one span. */
export function makeFlowReport(path: FramePath, first: Sample, later: Sample): FlowReport {
  const interval = [first, later] as const
  const received = path.mirrors.filter(({ point }) => point.tcHook === 'ingress')
  return {
    span: path.span,
    seconds: (later.at - first.at) / 1000,
    hops: [
      ...received.map((mirror) => interfaceHop(path, mirror, interval)),
      ...path.mirrors.map((mirror) => mirrorHop(path, mirror, interval)),
      ...(path.feedsBridge ? [bridgeHop(path, interval)] : []),
      ...path.ports.flatMap((port) => portHops(path, port, interval)),
      ...path.outputs.map((output) => outputHop(path, output, interval))
    ]
  }
}

/** No loss where there are no frames. */
function loss(cause: Cause, frames: number): Loss[] {
  return frames > 0 ? [{ cause, frames }] : []
}

const absent: HopCounts = { frames: null, bytes: null, reset: false, losses: [] }

function countsOf(frames: CounterDelta, bytes: CounterDelta, losses: readonly Loss[]): HopCounts {
  return { frames: frames.count, bytes: bytes.count, reset: frames.reset, losses }
}

function interfaceHop(path: FramePath, mirror: PathMirror, interval: Interval): Hop {
  const { point, underlay } = mirror
  const hop = { kind: 'interface', device: point.device.name, point, underlay } as const
  // By index: a new device of the same name is another one.
  const pair = pairLinks(linkOf(point.device)?.index ?? null, ...interval)
  if (pair === undefined) return { ...hop, ...absent }
  const received = frameDelta(pair, 'rx', interval)
  const delta = (counter: keyof LinkCounters['rx']) => counterDelta(pair, ({ rx }) => rx[counter])
  // Each driver counts the same losses under one of the two.
  const overrun = Math.max(delta('over').count, delta('fifo').count)
  const losses = [
    ...(lostCarrier(pair) ? [{ cause: causeOfCarrier(point, pair.later), frames: null }] : []),
    ...(findLink(underlay?.index ?? null, interval[1])?.running === false
      ? [{ cause: 'underlay_down', frames: null } as const]
      : []),
    ...loss('ring_overrun', delta('missed').count + overrun),
    ...loss(linkOf(point.device)?.tunnel ? 'malformed' : 'damaged', delta('errors').count),
    ...lossBySenders(point.device.name, interval),
    ...lossBeforeMirror(path, mirror, received, interval)
  ]
  return { ...hop, ...countsOf(received, delta('bytes'), losses) }
}

/** What the table of a tunnel's senders has dropped. */
function lossBySenders(device: string, interval: Interval): Loss[] {
  const [first, later] = interval.map(({ refused }) => refused.find((one) => one.device === device))
  if (first === undefined || later === undefined) return []
  return loss('refused', counterDelta({ first, later }, ({ packets }) => packets).count)
}

/** Whether the interface has no carrier, or had none for a while. */
function lostCarrier({ first, later }: CounterPair<LinkCounters>): boolean {
  return !later.running || first?.running === false || (first?.carrierChanges ?? 0) !== later.carrierChanges
}

function causeOfCarrier(point: CopyPoint, { up, running }: LinkCounters): CarrierCause {
  if (running) return 'carrier_flap'
  if (up) return causeOfNoCarrier(point)
  // An apply sets up no interface of a container.
  return point.serves === null ? 'interface_down' : 'host_end_down'
}

/**
 * Of an interface that is up. The host's end of a container's interface has no carrier while the container's end is down, and a
 * bridge has none while none of its ports has.
 */
export function causeOfNoCarrier({ serves, device }: CopyPoint): CarrierCause {
  if (serves !== null) return 'source_down'
  return linkOf(device)?.bridge ? 'ports_down' : 'no_carrier'
}

/** What the interface received and its mirror did not. What a filter leaves out is no loss, and nothing counts it. */
function lossBeforeMirror(path: FramePath, mirror: PathMirror, received: CounterDelta, interval: Interval): Loss[] {
  const pair = pairMirrors(mirror, ...interval)
  if (pair === undefined && isNobodys(path)) return loss('no_sensor', received.count)
  if (pair === undefined) {
    const frames = mirror.point.selection.everyFrame ? countUnmirrored(path, mirror, received, interval) : null
    return frames === null ? [{ cause: 'no_mirror', frames }] : loss('no_mirror', frames)
  }
  if (!mirror.point.selection.everyFrame || !path.feedsBridge) return []
  return loss('unexplained', missingFrames(received, counterDelta(pair, matchedFrames)))
}

/** Whether no receiver of the span takes frames now, so that there is nothing to copy for. */
function isNobodys({ feedsBridge, ports, outputs }: FramePath): boolean {
  return !feedsBridge && [...ports, ...outputs].every(({ feeds }) => feeds !== null && feeds.length === 0)
}

/**
 * The frames that came while there was no mirror; null: their number is unknown. A mirror that has gone does not tell what it
 * copied before, but that is no more than what the bridge got.
 */
function countUnmirrored(
  path: FramePath,
  mirror: PathMirror,
  received: CounterDelta,
  interval: Interval
): number | null {
  if (findMirror(mirror, interval[0]) === undefined) return received.count
  const bridge = pairLinks(path.bridge, ...interval)
  const lost = bridge !== undefined && path.wire ? missingFrames(received, frameDelta(bridge, 'tx', interval)) : 0
  return lost > 0 ? lost : null
}

function mirrorDelta(
  pair: CounterPair<MirrorCounters>,
  counter: 'packets' | 'bytes' | 'overlimits' | 'drops'
): CounterDelta {
  return counterDelta(pair, (counters) => counters[counter])
}

/** The frames that the filter of a mirror has matched, whether they were copied or were over the limit. */
const matchedFrames = ({ policer, packets }: MirrorCounters) => policer?.packets ?? packets

/** What was over the limit of a mirror from one sample to the next; null: it has no limit. */
function findOverLimit(pair: CounterPair<MirrorCounters>): Traffic | null {
  if (pair.later.policer === undefined) return null
  const exceeded = counterDelta(pair, ({ policer }) => policer?.exceeded ?? 0).count
  // tc reads the policer before the mirror: frames that come between the two are no frames over the limit.
  if (exceeded === 0) return { frames: 0, bytes: 0 }
  const left = (counter: 'packets' | 'bytes') =>
    counterDelta(pair, ({ policer }) => policer?.[counter] ?? 0).count - mirrorDelta(pair, counter).count
  return { frames: Math.max(exceeded, left('packets')), bytes: Math.max(0, left('bytes')) }
}

/** What was over the limit of a mirror since its filter was made; null: it has no limit. */
export function totalOverLimit(counters: MirrorCounters): Traffic | null {
  return findOverLimit({ first: undefined, later: counters })
}

function mirrorHop(path: FramePath, mirror: PathMirror, interval: Interval): Hop {
  const pair = pairMirrors(mirror, ...interval)
  const { point, countsCopies } = mirror
  const [counters, isNeeded] = [pair?.later ?? null, !isNobodys(path)]
  const hop = { kind: 'mirror', device: point.device.name, point, counters, isNeeded, countsCopies } as const
  if (pair === undefined) return { ...hop, overLimit: null, ...absent }
  const losses = [
    ...loss(
      causeOfRefusal(path, pair.later),
      mirrorDelta(pair, 'overlimits').count - countAtReceivers(path, mirror, interval)
    ),
    ...lossOfReceivers(mirror, interval),
    ...loss('action_dropped', mirrorDelta(pair, 'drops').count)
  ]
  const counts = countsOf(mirrorDelta(pair, 'packets'), mirrorDelta(pair, 'bytes'), losses)
  return { ...hop, overLimit: findOverLimit(pair), ...counts }
}

/** What mirrors could not hand to receivers that are there, as to one without a carrier: that is lost at the receivers. */
function countAtReceivers(
  { ports, outputs, feedsBridge }: FramePath,
  { point }: PathMirror,
  interval: Interval
): number {
  if (feedsBridge) return 0
  const there = [...ports, ...outputs].filter(({ index }) => pairLinks(index, ...interval)?.first !== undefined)
  const feeds = there.flatMap((receiver) => (receiver.feeds ?? []).filter((feed) => feed.point === point))
  const pairs = feeds.flatMap((feed) => pairMirrors(feed, ...interval) ?? [])
  const led = pairs.filter(({ first, later }) => first !== undefined && later.target !== '*')
  return sumDeltas(led.map((pair) => mirrorDelta(pair, 'overlimits'))).count
}

/** What was on its way to receivers that have gone, beside the bridge. */
function lossOfReceivers({ point, beside }: PathMirror, interval: Interval): Loss[] {
  const pairs = beside.flatMap((handle) => pairMirrors({ point, handles: [handle] }, ...interval) ?? [])
  const gone = pairs.filter(({ later }) => later.target === '*')
  return loss('receiver_gone', sumDeltas(gone.map((pair) => mirrorDelta(pair, 'overlimits'))).count)
}

function causeOfRefusal({ ports, outputs, feedsBridge }: FramePath, { target }: MirrorCounters): Cause {
  if (target === '*') return feedsBridge ? 'target_gone' : 'receiver_gone'
  return ports.length + outputs.length === 0 ? 'no_sensor' : 'target_down'
}

function bridgeHop(path: FramePath, interval: Interval): Hop {
  const hop = { kind: 'bridge', device: path.device } as const
  const pair = pairLinks(path.bridge, ...interval)
  if (pair === undefined) return { ...hop, ...absent }
  const sent = frameDelta(pair, 'tx', interval)
  const mirrors = path.mirrors.flatMap((mirror) => pairMirrors(mirror, ...interval) ?? [])
  const lost = mirrors.flatMap((mirror) => [mirrorDelta(mirror, 'overlimits'), mirrorDelta(mirror, 'drops')])
  const mirrored = sumDeltas(mirrors.map((mirror) => mirrorDelta(mirror, 'packets')))
  // A mirror counts the frames in a merged frame. The bridge counts the merged frame, unless it is split before.
  const losses = path.wire ? loss('unexplained', missingFrames(mirrored, sent, sumDeltas(lost).count)) : []
  return { ...hop, ...countsOf(sent, sentBytes(pair), losses) }
}

const sentBytes = (pair: CounterPair<LinkCounters>) => counterDelta(pair, ({ tx }) => tx.bytes)

function portHops(path: FramePath, { device, index, sensor, feeds, part }: PathPort, interval: Interval): Hop[] {
  const hop = { kind: 'port', device, part, container: sensor?.container ?? null } as const
  const pair = pairLinks(index, ...interval)
  if (pair === undefined) return [{ ...hop, ...absent }]
  const { sent, refused, lost } = sentBy(pair, handedTo(path, feeds, interval), interval)
  const losses = [
    ...(feeds === null ? [] : lossOfFeeds(feeds, interval)),
    ...loss('port_dropped', refused),
    ...loss(causeBeforePort(path, pair, interval), lost)
  ]
  return [
    { ...hop, ...countsOf(sent, sentBytes(pair), losses) },
    ...(sensor === null ? [] : [sensorHop(device, sensor, part, sent, interval)])
  ]
}

/** What a link has sent, what it has refused to send, and what it did not get of what was handed to it. */
function sentBy(pair: CounterPair<LinkCounters>, handed: CounterDelta | undefined, interval: Interval) {
  const sent = frameDelta(pair, 'tx', interval)
  const refused = counterDelta(pair, ({ tx }) => tx.dropped + tx.errors).count
  const lost = handed === undefined ? 0 : missingFrames(handed, sent, refused)
  return { sent, refused, lost }
}

/** What the bridge hands to each of its ports; undefined: there is no bridge. */
function handedByBridge(path: FramePath, interval: Interval): CounterDelta | undefined {
  const bridge = pairLinks(path.bridge, ...interval)
  return bridge && frameDelta(bridge, 'tx', interval)
}

/** What is handed to a receiver. */
function handedTo(path: FramePath, feeds: Feeds | null, interval: Interval): CounterDelta | undefined {
  if (feeds === null) return handedByBridge(path, interval)
  const pairs = feeds.flatMap((feed) => pairMirrors(feed, ...interval) ?? [])
  // What led to a receiver that has gone does not lead to the one that has come: it is lost at the mirror.
  const led = pairs.filter(({ later }) => later.target !== '*')
  return sumDeltas(led.map((pair) => mirrorDelta(pair, 'packets')))
}

/** What a receiver lacks of sources that have no mirror for it. Nothing counts these frames. */
function lossOfFeeds(feeds: Feeds, interval: Interval): Loss[] {
  return feeds.every((feed) => pairMirrors(feed, ...interval)) ? [] : [{ cause: 'no_mirror', frames: null }]
}

function outputHop(
  path: FramePath,
  { name, device, index, isDetached, underlay, feeds, part }: PathOutput,
  interval: Interval
): Hop {
  const hop = { kind: 'output', device, name, underlay, isDetached, part } as const
  const pair = pairLinks(index, ...interval)
  if (pair === undefined) return { ...hop, ...absent }
  const { sent, refused, lost } = sentBy(pair, handedTo(path, feeds, interval), interval)
  const { running, up } = pair.later
  const isRunning = running && !lostCarrier(pair)
  const carrier = running ? 'carrier_flap' : up ? 'output_no_carrier' : 'interface_down'
  const losses = [
    // A bridge sends nothing by a port that has no carrier.
    ...(isRunning ? [] : [{ cause: carrier, frames: lost > 0 ? lost : null } as const]),
    ...(findLink(underlay?.index ?? null, interval[1])?.running === false
      ? [{ cause: 'output_underlay_down', frames: null } as const]
      : []),
    ...loss('output_dropped', refused),
    ...(isRunning ? loss(causeBeforePort(path, pair, interval), lost) : [])
  ]
  return { ...hop, ...countsOf(sent, sentBytes(pair), losses) }
}

/** Why a port does not get what the bridge got. The kernel does not say: this is the cause that can be. */
function causeBeforePort(path: FramePath, port: CounterPair<LinkCounters>, [, later]: Interval): Cause {
  if (lostCarrier(port)) return 'port_down'
  const indexes = linksOf(path.mirrors.map(({ point }) => point)).map(({ index }) => index)
  const interfaces = later.links.filter(({ index }) => indexes.includes(index))
  return interfaces.some(({ mtu }) => mtu > port.later.mtu) ? 'too_large' : 'unexplained'
}

/** The frames that the sockets lost because their buffers were full. */
function countSocketDrops(first: readonly PacketSocket[], later: readonly PacketSocket[]): number {
  return later.reduce((total, { cookie, drops }) => {
    const before = first.find((socket) => socket.cookie === cookie)?.drops ?? 0
    return total + (drops ?? 0) - before
  }, 0)
}

function sensorHop(
  device: string,
  { container, inside, stats }: NonNullable<PathPort['sensor']>,
  part: Part | null,
  received: CounterDelta,
  [first, later]: Interval
): Hop {
  const { sockets = null, some } = findListener(inside, later) ?? {}
  const before = findListener(inside, first)?.sockets ?? null
  const lost = before === null ? 0 : countSocketDrops(before, sockets ?? [])
  return {
    kind: 'sensor',
    device,
    container,
    part,
    sockets,
    hasMore: some !== undefined,
    tool: makeToolReport(stats, first, later),
    frames: Math.max(0, received.count - lost),
    bytes: null,
    reset: received.reset,
    losses: loss('socket_full', lost)
  }
}
