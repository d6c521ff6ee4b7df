import { type Diagnostic, nowhere } from '../../errors.ts'
import { composeLabel } from '../../host/docker/docker-names.ts'
import { groupsOf, type HostIndex, type LinkIndex } from '../../host/host-index.ts'
import type { Datagram } from '../../host/nftables/passage.ts'
import type { CompiledFilters } from '../../host/parsers/pcap.ts'
import type { Filter, HookPlace, IpLink, Link, TcHook } from '../../host/snapshot.ts'
import { everyFrame } from '../../host/tc-conventions.ts'
import type { TunnelModule } from '../../host/tunnels/tunnel-kind.ts'
import { printable } from '../../printable.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { suggestNames } from '../../spec/schema/did-you-mean.ts'
import { namesOf, type Scope } from '../../spec/scope.ts'
import { endOf } from '../../spec/sources/registry.ts'
import type { TunnelSpec } from '../../spec/sources/tunnel-spec.ts'
import type { SpanNames } from '../../spec/span-names.ts'
import type { Spec } from '../../spec/spec.ts'
import type { ContainerSelector } from '../../spec/values/container-selector.ts'
import { type Direction, writeDirection } from '../../spec/values/direction.ts'
import type { CopyPoint, DesiredTunnel, SourceId } from '../desired-state.ts'
import { mirrorName, readFeed } from '../feeds/feeds.ts'
import { type Wait, waitFor } from '../kind.ts'
import { hashOf, type MirrorIdentity, mirrorHandle, readCookie } from '../marks.ts'
import type { InterfaceSetting } from '../settings.ts'

/** What a file's names are resolved with. */
export interface Context {
  readonly spec: Spec
  readonly scope: Scope
  readonly names: SpanNames
  readonly host: HostIndex
  readonly filters: CompiledFilters
  /** What is missing is a wait; else it is an error. */
  readonly patient: boolean
  /** By name: the bridges that this plan makes, each with the settings that are on then. */
  readonly planned: ReadonlyMap<string, ReadonlySet<InterfaceSetting>>
  /** The names of interfaces that are going down: they count as not there. */
  readonly goingDown: ReadonlySet<string>
}

/** The result of resolving a part of a span. All errors are collected, and reported at once. */
export interface Resolved<Item> {
  readonly items: readonly Item[]
  readonly waits: readonly Wait[]
  readonly errors: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

/** A resolution without items, waits, errors and warnings. */
export const nothingResolved = { items: [], waits: [], errors: [], warnings: [] } as const

/** Puts resolutions together, in their order. */
export function joinResolved<Item>(parts: readonly Resolved<Item>[]): Resolved<Item> {
  return {
    items: parts.flatMap(({ items }) => items),
    waits: parts.flatMap(({ waits }) => waits),
    errors: parts.flatMap(({ errors }) => errors),
    warnings: parts.flatMap(({ warnings }) => warnings)
  }
}

/** The source of a mirror, and which of the source's frames the mirror copies. */
export type MirrorSource = Pick<CopyPoint, 'source' | 'serves' | 'direction'>

/** One hook that a source ends in. The rest of a copy point comes from the source's filter, whatever its kind. */
export interface SourceHook extends MirrorSource, Pick<CopyPoint, 'device' | 'tcHook' | 'settings' | 'ring' | 'mtu'> {
  /** Why frames cannot be copied at the hook: it waits, and what is live on its device stays as it is; null: they can. */
  readonly problem: Diagnostic | null
}

/** The result of resolving a source. */
export interface ResolvedSource extends Resolved<SourceHook> {
  /** An input was not read, so where the source ends is not known: the mirrors that it may have are kept. */
  readonly isUnread?: boolean
  /** The tunnels that the source ends in, whose links this plan makes or keeps. */
  readonly tunnels?: readonly DesiredTunnel[]
}

/** What has to be read of the host for a source. */
interface SourceNeeds {
  readonly containers?: readonly ContainerSelector[]
  /** The names, altnames or permanent MAC addresses of the devices that frames are copied from, as far as the files tell. */
  readonly devices?: readonly string[]
  /** The names of Docker networks whose ports frames are copied from. */
  readonly networks?: readonly string[]
  /** What senders send to this host, which its firewall has to let in. */
  readonly datagrams?: readonly Datagram[]
  /** The tunnels that end on this host. */
  readonly tunnels?: readonly TunnelSpec[]
  /** The kernel's modules that no other source needs. */
  readonly modules?: readonly TunnelModule[]
}

/** One kind of source: all that is known of it beyond the files. */
export interface HostSourceKind<S extends SourceSpec> {
  needs(source: S, spec: Spec): SourceNeeds
  /** Whether the source is the interface of this name or altname, as the interfaces alone tell. */
  isDevice(source: S, name: string, spec: Spec, host: LinkIndex<IpLink>): boolean
  /** The hooks of the devices that the source ends in, or why it ends in none now. */
  resolve(source: S, span: SpanSpec, context: Context): ResolvedSource
  /** The span's live mirrors that may be of such a source, where an input was not read: they stay as they are. */
  recall(span: SpanSpec, context: Context): readonly CopyPoint[]
  /** Which source the live mirrors at a hook are of; null: none of this kind, or of an interface, which needs no telling. */
  identify(place: HookPlace, host: HostIndex): MirrorSource | null
}

/** The hook of tc at which a device of the host has the frames of each direction. */
type TcHooks = Readonly<Record<Direction, TcHook>>

/** Of a device that is the source itself. */
export const hostHooks: TcHooks = { received: 'ingress', sent: 'egress' }

/** Of the host's end of a veth, whose other end is the source: what the host receives there is what the source sends. */
export const peerHooks: TcHooks = { received: 'egress', sent: 'ingress' }

/** The direction of the frames at a hook. */
export function directionAt({ received }: TcHooks, tcHook: TcHook): Direction {
  return tcHook === received ? 'received' : 'sent'
}

/** What a live filter copies. What its file said of it besides is not known. */
export function livePoint(
  { device: name, tcHook, program, mirror }: Filter,
  { source, serves, direction }: MirrorSource,
  host: HostIndex
): CopyPoint {
  const link = host.linkOf(name)
  return {
    source,
    serves,
    direction,
    // The index of a host has no filter of a device that is gone.
    device: link === undefined ? { name, opaque: true } : { name, link },
    tcHook,
    selection: { expression: null, everyFrame: program === everyFrame },
    program,
    sample: null,
    settings: [],
    maxIdle: null,
    limit: typeof mirror?.limit === 'number' ? mirror.limit : null,
    item: writeSourceName(source),
    origin: nowhere
  }
}

/**
 * A span's live mirrors on links that lead into containers, or on others that Docker makes. Of which source of the file each is, is not
 * known: all of them may be.
 */
export function recallMirrors(
  span: SpanSpec,
  { spec, host }: Pick<Context, 'spec' | 'host'>,
  isEnd: (link: Link) => boolean
): CopyPoint[] {
  const names = namesOf(spec)
  const isOwn = ({ mirror, handle, device, tcHook }: Filter) => {
    if (mirror === null) return false
    const read = readFeed(host, mirror.target)
    const isMarked = names.some((owner) => readCookie(mirror.cookie)?.owner === hashOf(owner))
    // Which container it is of, nobody knows.
    if (read?.feed.name === '') return read.bridge === span.bridge && isMarked
    const name = mirrorName(span.bridge, read?.feed ?? null)
    return names.some((owner) => handle === mirrorHandle({ owner, name, device, tcHook }))
  }
  const isFeed = ({ mirror }: Filter) => readFeed(host, mirror?.target ?? '') !== null
  return host.links.filter(isEnd).flatMap(({ name }) => {
    const own = host.filtersOf(name).filter(isOwn)
    return [...groupsOf(own, ({ tcHook }) => tcHook)].map(([tcHook, all]) => {
      const [first, ...more] = all
      const filter = [first, ...more].find((one) => !isFeed(one)) ?? first
      const direction = directionAt(peerHooks, tcHook)
      const point = livePoint(filter, { source: [name], serves: null, direction }, host)
      // What one receiver gets is not what the others get.
      return isFeed(filter) ? { ...point, program: null } : point
    })
  })
}

/** A wait for each mirror of a source, or of one of its ends. */
export function waitForMirrors(
  span: SpanSpec,
  source: SourceSpec,
  id: SourceId,
  diagnostic: Diagnostic,
  directions: readonly Direction[] = source.directions
): Wait[] {
  const placed = { ...diagnostic, origin: diagnostic.origin ?? source.origin }
  const container = endOf(source) === 'container' ? { container: id[0] } : {}
  return directions.map((direction) => ({
    ...waitForMirror(span.name, { source: id, direction, item: source.id }, placed),
    ...container
  }))
}

/** A wait for one mirror. */
export function waitForMirror(span: string, point: MirrorId, diagnostic: Diagnostic): Wait {
  return waitFor(mirrorSubject(span, point), writeMirrorTitle(point, span), diagnostic)
}

/** The handle of a mirror at one hook. */
export function handleOf(
  { owner, name }: Pick<MirrorIdentity, 'owner' | 'name'>,
  { device, tcHook }: Pick<CopyPoint, 'device' | 'tcHook'>
): number {
  return mirrorHandle({ owner, name, device: device.name, tcHook })
}

/** What tells a mirror from the others of its span. */
type MirrorId = Pick<CopyPoint, 'source' | 'direction' | 'item'>

/** A mirror as the subject of a diagnostic. */
export function mirrorSubject(span: string, { source, direction, item }: MirrorId) {
  return { span, kind: 'mirror', id: [...source, writeDirection(direction)], item }
}

/** The name of a mirror in a plan. */
export function writeMirrorTitle(point: Pick<CopyPoint, 'source' | 'direction'>, span: string): string {
  return `${writePoint(point)} → ${span}`
}

/** What a copy point is called, also as a hop. */
export function writePoint({ source, direction }: Pick<CopyPoint, 'source' | 'direction'>): string {
  return `${writeSourceName(source)} ${writeDirection(direction)}`
}

/** What a source is called. */
export function writeSourceName([name, ...parts]: SourceId): string {
  return [name, ...parts.map((part) => `(${part})`)].join(' ')
}

/**
 * What a selector that matches no container may be a typing error for, in brackets: a similar name that the file does not have; a similar
 * value of the label; a similar service of the project, or one of a similar project. Empty: there is none.
 */
export function suggestSelector(
  selector: ContainerSelector,
  { spec, host: { docker } }: Pick<Context, 'spec' | 'host'>
): string {
  if (docker.state !== 'read') return ''
  const hint =
    'container' in selector
      ? suggestName(selector.container, spec, docker.names)
      : suggestLabels(selector, docker.labels ?? [])
  return hint === undefined ? '' : ` (${hint})`
}

function suggestName(name: string, { spans }: Spec, names: readonly string[]): string | undefined {
  const selectors = spans.flatMap(({ sources, sensors }) => [...sources, ...sensors])
  const used = new Set(selectors.map((one) => ('container' in one ? one.container : null)))
  const others = names.filter((one) => !used.has(one))
  return suggestNames(name, others)
}

type LabelSelector = Exclude<ContainerSelector, { readonly container: string }>

function suggestLabels(selector: LabelSelector, all: readonly Readonly<Record<string, string>>[]): string | undefined {
  // Docker takes any label. What cannot be typed is no suggestion.
  const valuesOf = (key: string, among = all) => {
    const values = among.flatMap((labels) => (Object.hasOwn(labels, key) ? (labels[key] ?? []) : []))
    return [...new Set(values)].filter((value) => printable(value) === value).sort()
  }
  if ('label' in selector) {
    const { key, value } = selector.label
    return suggestNames(
      value,
      valuesOf(key).filter((one) => one !== value)
    )
  }
  const { project, service } = selector.compose
  const inProject = (name: string) => all.filter((labels) => labels[composeLabel.project] === name)
  const services = valuesOf(composeLabel.service, inProject(project))
  if (services.length > 0) return services.includes(service) ? undefined : suggestNames(service, services)
  const projects = valuesOf(composeLabel.project).filter((name) =>
    valuesOf(composeLabel.service, inProject(name)).includes(service)
  )
  return suggestNames(project, projects)
}
