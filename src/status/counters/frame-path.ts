import { senderTableName } from '../../host/nftables/sender-table.ts'
import { readSample, type Sample } from '../../host/read-counters.ts'
import { type ContainerInterface, hookKey, type Link } from '../../host/snapshot.ts'
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
import { fedLinks, mirrorName } from '../../resources/feeds/feeds.ts'
import { handleOf } from '../../resources/sources/host-source-kind.ts'

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
  readonly sensor: { readonly container: string; readonly inside: ContainerInterface } | null
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
export function framePathOf(span: DesiredSpan, { host }: PlanView): FramePath {
  const bridge = host.linkOf(span.name)
  const isOutput = ({ name }: Link) => span.outputs.some(({ device }) => device === name)
  const ports = host.portsOf(span.name).filter((link) => !isOutput(link))
  const served = [...host.portsOf(span.name), ...fedLinks(host, span.name)]
  return {
    span: span.name,
    wire: span.wire,
    mirrors: span.mirrors.map((point) => ({
      point,
      handles: (span.feedsBridge ? [null] : span.feeds).map((feed) => handleTo(span, point, feed)),
      beside: (span.feedsBridge ? span.feeds : []).map((feed) => handleTo(span, point, feed)),
      countsCopies: !span.feedsBridge && takesTwice(span.feeds),
      underlay: findUnderlay(point, host) ?? null,
      isGuarded: hasSenderTable(point, host)
    })),
    bridge: bridge?.bridge ? bridge.index : null,
    feedsBridge: span.feedsBridge,
    ports: ports.map((link) => {
      const sensor = findSensor(host, span, link)
      return { device: link.name, index: link.index, sensor, ...fedBy(span, 'sensor', sensor?.container) }
    }),
    outputs: span.outputs.map(({ isPort, device, name }) => ({
      name,
      device,
      index: served.find((link) => link.name === device)?.index ?? null,
      ...fedBy(span, isPort ? 'output' : 'tunnel', device)
    }))
  }
}

/** Whether two of these may take one frame. Members of one balance never do. */
function takesTwice(feeds: readonly DesiredFeed[]): boolean {
  const taking = feeds.filter(({ target }) => target !== null)
  return new Set(taking.map(({ part, kind, name }) => part?.balance?.id ?? `${kind} ${name}`)).size > 1
}

/** The mirrors that feed a receiver, and its part; null: mirrors feed it not. */
function fedBy(span: DesiredSpan, kind: FeedId['kind'], name: string | undefined): Pick<PathPort, 'feeds' | 'part'> {
  const feed = span.feeds.find((one) => one.kind === kind && one.name === name)
  if (feed === undefined) return { feeds: null, part: null }
  // Nobody has to feed what takes nothing now.
  const points = feed.target === null ? [] : span.mirrors
  return { feeds: points.map((point) => ({ point, handles: [handleTo(span, point, feed)] })), part: feed.part }
}

function handleTo({ owner, name }: DesiredSpan, point: CopyPoint, feed: FeedId | null): number {
  return handleOf({ owner, name: mirrorName(name, feed) }, point)
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
  return { container: container.name, inside: { sandbox: container.sandbox, index: link.peer } }
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
