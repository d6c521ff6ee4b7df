import { isCapturePort } from '../capture/feed-bridge.ts'
import type { Code } from '../codes/explained-codes.ts'
import type { Diagnostic } from '../errors.ts'
import type { Link } from '../host/snapshot.ts'
import type { Exchange, OutgoingFrame } from '../host/traffic/exchange-frames.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { type Absence, type CopyPoint, type DesiredSpan, linkOf } from '../resources/desired-state.ts'
import { programOf } from '../resources/feeds/feeds.ts'
import { type Wait, writeWait } from '../resources/kind.ts'
import { judgeBy } from '../resources/programs/run-program.ts'
import { writeSourceName } from '../resources/sources/host-source-kind.ts'
import { type FramePath, framePathOf } from '../status/counters/frame-path.ts'
import type { SpanReport } from '../status/report.ts'
import type { SensorHealth } from '../status/sensor-health.ts'
import { explainOthers, listDownstream } from './other-spans.ts'
import { asSeen, makeHead, probeSizes } from './probe-frame.ts'

/** Who is to get the frames of a span. */
export interface Receiver {
  /** `port`: no container is known behind it. */
  readonly kind: 'sensor' | 'output' | 'port'
  /** What the container or the output is called; the name of the port, where neither is known. */
  readonly name: string
  /** The port, or the output; null: there is none now. */
  readonly link: Link | null
  /** Mirrors feed it, and not the bridge. */
  readonly isFedAlone: boolean
  /** Why it takes nothing now; null: nothing is known that keeps it from taking. */
  readonly absence: Absence | null
  /** null: it is no sensor. */
  readonly health: SensorHealth | null
  /** Of an output that cannot be had now: what it waits for. */
  readonly wait?: Diagnostic
  /** Of an output: its interface is there, and is no port of the bridge. */
  readonly isDetached?: true
  /** What the plan warns of on the way to it: a filter, or a program, that may drop frames. */
  readonly suspects: readonly Diagnostic[]
}

/** Where frames are sent: on the bridge, straight on the port of a receiver, or out of a container's interface, for its mirror. */
export type Way =
  | { readonly kind: 'bridge'; readonly device: string }
  | { readonly kind: 'port'; readonly device: string }
  | { readonly kind: 'mirror'; readonly device: string; readonly source: string }

/** A frame of a probe. */
export interface ProbeFrame extends OutgoingFrame {
  readonly way: Way
  /** It is to come to the bridge of the span. */
  readonly isForBridge: boolean
  /** Those who are to get it. */
  readonly receivers: readonly Receiver[]
}

/** A mirror of a container that no frame is sent through. */
export interface UnaskedMirror {
  readonly source: string
  readonly reason: string
}

/** What a probe of one span sends, and who is to get it. */
export interface ProbePlan {
  readonly span: string
  /** The index of the bridge. */
  readonly bridge: number
  readonly receivers: readonly Receiver[]
  readonly unasked: readonly UnaskedMirror[]
  readonly frames: readonly ProbeFrame[]
  /** The other spans that get what is sent into the bridge, since this is their source. */
  readonly downstream: readonly string[]
  /** Why Docker was not read; null: it was. */
  readonly docker: Diagnostic | null
}

/** How far a probe goes. */
export interface ProbeScope {
  /**
   * Frames are sent to the containers that are sources, too. A watch does not: a container would get them all the time, and its mirror,
   * which counts them, would never be idle.
   */
  readonly mirrors: boolean
  readonly mark: Buffer
}

/** Plans the probe of a span that is on the host; null: its bridge is not there. */
export function planProbe(span: DesiredSpan, view: PlanView, report: SpanReport, scope: ProbeScope): ProbePlan | null {
  const { host } = view
  const bridge = host.linkOf(span.bridge)
  if (bridge?.bridge == null) return null
  const receivers = listReceivers(framePathOf(span, view), report, view, span)
  const reachable = receivers.filter(canTake)
  const fedByBridge = reachable.filter(({ isFedAlone }) => !isFedAlone)
  const found = scope.mirrors ? span.mirrors.filter((point) => leadsToContainer(point, view)) : []
  const judged = found.map((point) => ({ point, reason: whyUnasked(point) ?? explainOthers(span, point, view) }))
  const drafts: Omit<ProbeFrame, 'head'>[] = []
  const add = (
    way: Way,
    { index, mtu }: Link,
    sort: (size: number) => Omit<ProbeFrame, keyof OutgoingFrame | 'way'>
  ) => {
    for (const size of probeSizes(mtu)) drafts.push({ way, link: index, size, ...sort(size) })
  }
  if (fedByBridge.length > 0) {
    const way = { kind: 'bridge', device: bridge.name } as const
    add(way, bridge, () => ({ isForBridge: true, receivers: fedByBridge }))
  }
  for (const receiver of reachable) {
    const { link, isFedAlone } = receiver
    // The sizes are those of the span: one that the port does not take is what there is to tell.
    if (!isFedAlone || link === null) continue
    add({ kind: 'port', device: link.name }, { ...link, mtu: bridge.mtu }, () => ({
      isForBridge: false,
      receivers: [receiver]
    }))
  }
  const refusing: UnaskedMirror[] = []
  for (const { point, reason } of judged) {
    const link = linkOf(point.device)
    if (reason !== null || link === undefined) continue
    const source = writeSourceName(point.source)
    const takers = judgeTakers(span, point, reachable, scope.mark)
    const takes = probeSizes(Math.min(link.mtu, bridge.mtu)).some((size) => takers(size).receivers.length > 0)
    const way = { kind: 'mirror', device: link.name, source } as const
    if (takes) add(way, { ...link, mtu: Math.min(link.mtu, bridge.mtu) }, takers)
    else refusing.push({ source, reason: 'its filters take no such frame' })
  }
  const unasked = judged.flatMap(({ point, reason }) =>
    reason === null ? [] : [{ source: writeSourceName(point.source), reason }]
  )
  const frames = drafts.map((frame, number) => ({ ...frame, head: makeHead(scope.mark, number) }))
  const entersBridge = frames.some(({ isForBridge }) => isForBridge)
  return {
    ...{ span: span.name, bridge: bridge.index, receivers, unasked: [...unasked, ...refusing], frames },
    downstream: entersBridge ? listDownstream(span, view).map(({ name }) => name) : [],
    docker: host.docker.state === 'unreachable' ? host.docker.reason : null
  }
}

/** The exchange of a plan for some of its receivers: those that one process can look at. */
export function makeExchange({ bridge, frames }: ProbePlan, mark: Buffer, some: ReadonlySet<Receiver>): Exchange {
  const links = new Set([...some].flatMap(({ link }) => link?.index ?? []))
  const sightings = frames.map(
    ({ isForBridge, receivers }) => Number(isForBridge) + receivers.filter((one) => some.has(one)).length
  )
  return { frames, mark, ears: [bridge, ...links], expected: sightings.reduce((sum, count) => sum + count, 0) }
}

/** All that get frames of the span, or should. A capture has a port of its own, for a moment. */
function listReceivers(
  { ports, outputs }: FramePath,
  { sensors, parts }: SpanReport,
  { host, plan }: PlanView,
  span: DesiredSpan
): Receiver[] {
  const absenceOf = (kind: 'sensor' | 'output', name: string) =>
    parts.find((one) => one.kind === kind && one.name === name)?.absence ?? null
  const healthOf = (container: string) => sensors.find(({ sensor }) => sensor === container) ?? null
  const suspectsOf = (...devices: readonly string[]) =>
    plan.warnings.filter(
      ({ code, message }) => hiding.has(code) && devices.some((device) => message.startsWith(`${device} egress `))
    )
  const behind = ports.flatMap(({ device, index, sensor, feeds }): Receiver | [] => {
    if (isCapturePort(device)) return []
    const isFedAlone = feeds !== null
    const suspects = suspectsOf(device, ...(isFedAlone ? [] : [span.bridge]))
    const way = { link: host.linkAt(index) ?? null, isFedAlone, suspects }
    if (sensor === null) return { kind: 'port', name: device, absence: null, health: null, ...way }
    const name = sensor.container
    return { kind: 'sensor', name, absence: absenceOf('sensor', name), health: healthOf(name), ...way }
  })
  const known = new Set(behind.map(({ name }) => name))
  const nowhere = { link: null, isFedAlone: false, absence: null, suspects: [] } as const
  const missing = sensors.flatMap((health): Receiver | [] =>
    health.listed && !known.has(health.sensor) ? { kind: 'sensor', name: health.sensor, health, ...nowhere } : []
  )
  const waits = plan.waiting.filter(({ kind, span: of }) => kind === 'output' && of === span.name)
  const leaving = outputs.map(({ name, device, index, feeds, isDetached }): Receiver => {
    const isFedAlone = feeds !== null
    const found = waits.find(({ diagnostic: { subject } }) => subject.id.includes(name) || subject.id.includes(device))
    return {
      ...{ kind: 'output', name, link: host.linkAt(index) ?? null, isFedAlone },
      ...{ absence: absenceOf('output', device), health: null, ...(isDetached && { isDetached }) },
      ...(found && { wait: explainWait(found) }),
      suspects: suspectsOf(device, ...(isFedAlone ? [] : [span.bridge]))
    }
  })
  const had = new Set(outputs.flatMap(({ device, name }) => [device, name]))
  const awaited = waits.flatMap((wait): Receiver | [] => {
    const [name = wait.title] = wait.diagnostic.subject.id
    return had.has(name) ? [] : { kind: 'output', name, health: null, wait: explainWait(wait), ...nowhere }
  })
  return [...behind, ...missing, ...leaving, ...awaited]
}

/** What waits, and for what. */
function explainWait({ title, diagnostic }: Wait): Diagnostic {
  return { ...diagnostic, message: writeWait([diagnostic.subject.id[0] ?? title], diagnostic) }
}

/** What the plan warns of, where frames leave by a port or by the bridge. */
const hiding: ReadonlySet<Code> = new Set(['COPIES_HIDDEN', 'PROGRAM_BEFORE'])

/** Whether frames are sent for a receiver: one that is down or has no carrier gets none, and what is sent on it shows nothing. */
export function canTake({ link, absence }: Receiver): boolean {
  return absence === null && link?.up === true && link.carrier
}

/** Whether frames that the host sends by the link of a copy point pass its mirror, and come to a container. */
function leadsToContainer({ device, tcHook }: CopyPoint, { host }: PlanView): boolean {
  return tcHook === 'egress' && host.attachmentOf(linkOf(device)) !== undefined
}

/** Why no frame is sent through the mirror of a container; null: one is. */
function whyUnasked({ program, sample, limit, maxIdle, device }: CopyPoint): string | null {
  const link = linkOf(device)
  if (program === null) return 'its filter is not known'
  if (sample !== null) return 'it takes a sample'
  if (limit !== null) return 'it has a limit, which may leave the frames out'
  if (maxIdle !== null) return 'it has a max_idle, and the frames would count as its own'
  return link?.up && link.carrier ? null : 'its interface is down'
}

/** Who is to get a frame of a size that passes the mirrors of a copy point: their programs are run on the frame, as the kernel runs them. */
function judgeTakers(span: DesiredSpan, point: CopyPoint, receivers: readonly Receiver[], mark: Buffer) {
  const head = makeHead(mark, 0)
  const judge = (feed: DesiredSpan['feeds'][number] | null) => {
    const program = programOf({ point, feed })
    const verdict = program === null ? () => 'unknown' : judgeBy(program)
    return (size: number) => verdict(asSeen({ head, size })) === 'accepted'
  }
  const toBridge = span.feedsBridge ? judge(null) : () => false
  const byReceiver = receivers.map((receiver) => {
    const feed = span.feeds.find(
      ({ kind, name, target }) => target === receiver.link?.name && (kind !== 'sensor' || name === receiver.name)
    )
    const takes = !receiver.isFedAlone ? toBridge : feed === undefined ? () => false : judge(feed)
    return { receiver, takes }
  })
  return (size: number) => ({
    isForBridge: toBridge(size),
    receivers: byReceiver.flatMap(({ receiver, takes }) => (takes(size) ? receiver : []))
  })
}

/** What is wrong with a receiver by itself, whatever the probe shows; null: nothing that is known. */
export function ownTrouble({ health, wait }: Receiver): Diagnostic | null {
  return health?.state === 'unhealthy' ? health.diagnostic : (wait ?? null)
}
