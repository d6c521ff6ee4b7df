import { senderTableName } from '../../host/nftables/sender-table.ts'
import { readSample, type Sample } from '../../host/read-counters.ts'
import { type ContainerInterface, hookKey, type Link } from '../../host/snapshot.ts'
import { readTools, type ToolReading } from '../../host/tool-stats/read-tools.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import {
  type CopyPoint,
  type DesiredFeed,
  type DesiredSpan,
  type FeedId,
  linkOf,
  type Part,
  placeOf
} from '../../resources/desired-state.ts'
import { fedLinks } from '../../resources/feeds/feeds.ts'
import { findHandle } from '../../resources/mirrors/mirror-handle.ts'
import type { StatsSpec } from '../../spec/items/stats-key.ts'
import { feedsOf, type LiveFeed, liveFeeds, livePart, mayOverlap, unknownFeeds } from './live-feeds.ts'

/** What a hook hands out: one filter, or several that each feed a part. Whether they are there or not. */
export interface PathMirror {
  readonly point: CopyPoint
  readonly handles: readonly number[]
  /** The filters that each feed a receiver, where all of the frames also go to the bridge. */
  readonly beside: readonly number[]
  /** What the filters count are copies: a frame that several receivers take is counted for each. */
  readonly countsCopies: boolean
  /** The interface that the packets of a tunnel come on; null: it is no tunnel, or they may come on any. */
  readonly underlay: Pick<Link, 'name' | 'index'> | null
  /** A table of nftables drops what some send into the tunnel. */
  readonly isGuarded: boolean
}

/** A port of a span's bridge. */
export interface PathPort {
  readonly device: string
  readonly index: number
  /** The container behind the port, and the interface in it; null: no container is known there. */
  readonly sensor: {
    readonly container: string
    readonly inside: ContainerInterface
    /** Where its tool says what it has received and dropped. Missing: not known. */
    readonly stats?: StatsSpec
  } | null
  /** The mirrors that feed it; null: the span's bridge hands its frames to it. */
  readonly feeds: Feeds | null
  /** What it gets of the frames; null: all. */
  readonly part: Part | null
}

/** The mirrors that feed one receiver. */
export type Feeds = readonly Pick<PathMirror, 'point' | 'handles'>[]

/** An interface that the frames leave by. */
export interface PathOutput {
  /** What the output is called. */
  readonly name: string
  readonly device: string
  /** null: nothing hands the frames to it. */
  readonly index: number | null
  /** It is an interface of the host that is not attached. */
  readonly isDetached: boolean
  /** The interface that the packets of a tunnel leave by; null: it is no tunnel, or not known. */
  readonly underlay: Pick<Link, 'name' | 'index'> | null
  /** The mirrors that feed it; null: the span's bridge hands its frames to it. */
  readonly feeds: Feeds | null
  /** What it gets of the frames; null: all. */
  readonly part: Part | null
}

/** The path of a span's frames: from the interfaces that are mirrored to its bridge, and on to each port. */
export interface FramePath {
  readonly span: string
  /** A merged frame (GRO) is split before the bridge counts it. */
  readonly wire: boolean
  readonly mirrors: readonly PathMirror[]
  /** The bridge's name. */
  readonly device: string
  /** The bridge's index; null: there is no bridge. */
  readonly bridge: number | null
  /** Mirrors feed the bridge. Else they feed each port alone. */
  readonly feedsBridge: boolean
  readonly ports: readonly PathPort[]
  readonly outputs: readonly PathOutput[]
}

/** The frame paths of the spans of a plan, in the file's order. */
export function framePathsOf(view: PlanView): FramePath[] {
  return view.desired.spans.map((span) => framePathOf(span, view))
}

/** The frame path of one span of a plan. */
export function framePathOf(span: DesiredSpan, view: PlanView): FramePath {
  const { host, marks } = view
  const live = liveFeeds(span, { host, marks })
  const unknown = unknownFeeds(span, live)
  const bridge = host.linkOf(span.bridge)
  const isOutput = ({ name }: Link) => span.outputs.some(({ device }) => device === name)
  const ports = host.portsOf(span.bridge).filter((link) => !isOutput(link))
  const served = [...host.portsOf(span.bridge), ...fedLinks(host, span.bridge)]
  return {
    span: span.name,
    device: span.bridge,
    wire: span.wire,
    mirrors: span.mirrors.map((point) => {
      const others = unknown.filter((one) => one.point === point)
      const feeding = [
        ...span.feeds.map((feed) => findHandle(view, span, point, feed)),
        ...others.map(({ handle }) => handle)
      ]
      const isTwice =
        others.length === 0 ? takesTwice(span.feeds) : mayOverlap(live.filter((one) => one.point === point))
      return {
        point,
        handles: span.feedsBridge ? [findHandle(view, span, point, null)] : feeding,
        beside: span.feedsBridge ? feeding : [],
        countsCopies: !span.feedsBridge && isTwice,
        underlay: findUnderlay(point, host) ?? null,
        isGuarded: hasSenderTable(point, host)
      }
    }),
    bridge: bridge?.bridge ? bridge.index : null,
    feedsBridge: span.feedsBridge,
    ports: ports.map((link) => {
      const sensor = findSensor(host, span, link)
      const fed = fedBy(view, span, 'sensor', sensor?.container, live) ?? fedInto(link, sensor === null, live)
      return { device: link.name, index: link.index, sensor, ...fed }
    }),
    outputs: span.outputs.map(({ isPort, device, name, below }) => ({
      isDetached: isPort && host.linkOf(device) !== undefined && !served.some((link) => link.name === device),
      name,
      device,
      index: served.find((link) => link.name === device)?.index ?? null,
      underlay: host.linkOf(below?.device ?? null) ?? null,
      ...(fedBy(view, span, isPort ? 'output' : 'tunnel', device, live) ?? fedByBridge)
    }))
  }
}

/** Whether two of these may take one frame. Members of one balance never do. */
function takesTwice(feeds: readonly DesiredFeed[]): boolean {
  const taking = feeds.filter(({ target }) => target !== null)
  return new Set(taking.map(({ part, kind, name }) => part?.balance?.id ?? `${kind} ${name}`)).size > 1
}

type Fed = Pick<PathPort, 'feeds' | 'part'>

const fedByBridge: Fed = { feeds: null, part: null }

/** The mirrors that feed a receiver of the file, and its part; undefined: mirrors are not to feed it. */
function fedBy(
  view: PlanView,
  span: DesiredSpan,
  kind: FeedId['kind'],
  name: string | undefined,
  live: readonly LiveFeed[]
): Fed | undefined {
  const feed = span.feeds.find((one) => one.kind === kind && one.name === name)
  if (feed === undefined) return undefined
  const part = livePart(span, feed, live)
  // Nobody has to feed what takes nothing now. Until an apply, a mirror may.
  if (feed.target === null) return { feeds: asFeeds(feedsOf(span, feed, live)), part }
  return { feeds: span.mirrors.map((point) => ({ point, handles: [findHandle(view, span, point, feed)] })), part }
}

/** What feeds a port that is of no receiver which mirrors are to feed, as without Docker: the mirrors that lead to it, or the bridge. */
function fedInto({ name, port }: Link, isUnknown: boolean, live: readonly LiveFeed[]): Fed {
  const [first, ...others] = live.filter(({ target }) => target === name)
  if (first !== undefined) return { feeds: asFeeds([first, ...others]), part: readPart(first) }
  // Ports of those who get a part are so, also while they take nothing.
  return isUnknown && port?.isDisabled === true && !port.flooding ? { feeds: [], part: null } : fedByBridge
}

const asFeeds = (live: readonly LiveFeed[]): Feeds => live.map(({ point, handle }) => ({ point, handles: [handle] }))

/** The part of a live mirror that is not known from the file. */
function readPart({ point, program, share }: LiveFeed): Part | null {
  return share === null && program === point.program ? null : { expression: null, program, share, balance: null }
}

/** The interface that the packets of a tunnel come on: the one that the file names, or that has the address which they are sent to. */
export function findUnderlay({ device }: CopyPoint, host: PlanView['host']): Link | undefined {
  const { interface: bound, local } = linkOf(device)?.tunnel ?? { interface: null, local: null }
  if (bound !== null) return host.linkOf(bound)
  return host.links.find(({ addresses }) => addresses.some(({ address }) => address === local))
}

function hasSenderTable({ device }: CopyPoint, { senderTables }: PlanView['host']): boolean {
  const tables = senderTables?.state === 'usable' ? senderTables.tables : []
  return tables.some(({ name }) => name === senderTableName(device.name))
}

function findSensor(host: PlanView['host'], span: DesiredSpan, link: Link): PathPort['sensor'] {
  const { container, endpoint } = host.attachmentOf(link) ?? {}
  if (!container?.sandbox || !endpoint || endpoint.network !== span.network?.name || link.peer === null) return null
  const { stats = null } = span.sensors.find((sensor) => sensor.container.id === container.id) ?? {}
  const inside = { sandbox: container.sandbox, index: link.peer }
  return { container: container.name, inside, ...(stats !== null && { stats }) }
}

/**
 * Reads the counters of frame paths.
 *
 * @throws SpanplanError as readSample() does.
 */
export function takeSample(paths: readonly FramePath[]): Promise<Sample> {
  const tcHooks = paths.flatMap(({ mirrors }) => mirrors.map(({ point }) => placeOf(point)))
  const guarded = paths.flatMap(({ mirrors }) => mirrors.filter(({ isGuarded }) => isGuarded))
  return readSample({
    senderTables: [...new Set(guarded.map(({ point }) => point.device.name))],
    // Several spans may mirror one tc hook.
    tcHooks: [...new Map(tcHooks.map((one) => [hookKey(one), one])).values()],
    interfaces: paths.flatMap(({ ports }) => ports.flatMap(({ sensor }) => sensor?.inside ?? []))
  })
}

/** Reads what the tools in sensors say of themselves. Whoever looks at the sensors' sockets alone does not need it. */
export function readToolsOf(paths: readonly FramePath[]): Promise<readonly ToolReading[]> {
  return readTools(paths.flatMap(({ ports }) => ports.flatMap(({ sensor }) => sensor?.stats ?? [])))
}

/** Both in one sample. */
export async function takeSampleWithTools(paths: readonly FramePath[]): Promise<Sample> {
  const [sample, tools] = await Promise.all([takeSample(paths), readToolsOf(paths)])
  return { ...sample, tools }
}
