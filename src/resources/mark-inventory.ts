import type { Diagnostic, Origin } from '../errors.ts'
import { dockerBridge, label } from '../host/docker/docker-names.ts'
import { type EndpointNote, parseNote } from '../host/docker/endpoint-note.ts'
import type { Container, DockerNetwork, Filter, Link, Program, Snapshot } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-syntax.ts'
import { matchesSpan, type Scope } from '../spec/scope.ts'
import type { NetworkSpec, TcHook } from '../spec/spec.ts'
import { readSubnet, subnetsOverlap } from '../spec/values/subnet.ts'
import { isInUse } from './interface-use.ts'
import {
  bridgeMac,
  hashOf,
  type InterfaceMark,
  type InterfaceSetting,
  interfaceSettings,
  mirrorHandle,
  readCookie,
  readMark
} from './marks.ts'

/** One hook of one card, to be copied into the span. */
export interface CopyPoint {
  readonly link: Link
  readonly tcHook: TcHook
  readonly expression: string | null
  /** null: the right to compile the expression is missing. */
  readonly program: Program | null
  readonly dedicated: boolean
  /** Milliseconds without any frame of this source after which it is unhealthy; null: however long. */
  readonly maxIdle: number | null
  /** Of the source: both hooks of one have the same. */
  readonly origin: Origin
}

/** A container that is to be connected. */
export interface DesiredSensor {
  readonly container: Container
  /** What its interface is to be called; null: as it is, or as Docker chooses. */
  readonly interfaceName: string | null
  readonly origin: Origin
}

/** One span of the file, with its names resolved on this host. */
export interface DesiredSpan {
  readonly name: string
  readonly description: string | null
  /** Bytes. */
  readonly mtu: number
  readonly wire: boolean
  readonly sealed: boolean
  readonly mirrors: readonly CopyPoint[]
  /** null: none is wanted, or Docker is left for later. */
  readonly network: NetworkSpec | null
  /** The file wants a network, whether Docker is asked now or later. */
  readonly hasNetwork: boolean
  /** The containers that exist; the others wait. */
  readonly sensors: readonly DesiredSensor[]
  readonly origin: Origin
}

/** What a command wants, whatever marks it finds. */
export interface Intent {
  /** The owner of what is made. */
  readonly owner: string
  readonly scope: Scope
  readonly spans: readonly DesiredSpan[]
  /** The names of spans, of the file and of the host, that a mirror without a target may belong to. */
  readonly known: readonly string[]
  /** By interface index: cards that concern it though no span copies from them and no mark speaks of them. */
  readonly also: ReadonlySet<number>
  /** The names of cards that are being taken down: whether they are up is for those to say who do it. */
  readonly goingDown: ReadonlySet<string>
}

/** The same, with the marks that the host bears. */
export interface DesiredState extends Intent {
  /** Every mirror that bears a mark. */
  readonly mirrors: readonly MarkedMirror[]
  /** Every card that a wanted mirror copies from or a mark speaks of. */
  readonly interfaces: readonly MarkedInterface[]
}

/** The traits that a span takes charge of on its card. */
const everyCard: readonly InterfaceSetting[] = ['up', 'promiscuous', 'clsact']
const dedicatedCard: readonly InterfaceSetting[] = [...everyCard, 'arp', 'ipv6', 'gro', 'rx-gro-hw', 'lro']

/** What a trait becomes on a card that a span uses. */
export const settingTarget: Readonly<Record<InterfaceSetting, boolean>> = {
  up: true,
  promiscuous: true,
  clsact: true,
  arp: false,
  ipv6: false,
  gro: false,
  'rx-gro-hw': false,
  lro: false
}

/** A card with its marks: what it was like, who has charge of what, and who will have. */
export interface MarkedInterface {
  readonly link: Link
  readonly spans: readonly string[]
  /** A mark in scope speaks of it: it may be given back. */
  readonly ours: boolean
  readonly now: ReadonlySet<InterfaceSetting>
  /** What it was like before; what nobody has had charge of is as it is now. */
  readonly before: ReadonlySet<InterfaceSetting>
  /** What live marks have charge of. */
  readonly live: ReadonlySet<InterfaceSetting>
  /** What the wanted spans have charge of, and their marks say so. */
  readonly own: ReadonlySet<InterfaceSetting>
  /** What anybody's spans have charge of once all is as wanted; empty for a card that is given back. */
  readonly wanted: ReadonlySet<InterfaceSetting>
  /** What others have come to need since, so that it is not taken from them. */
  readonly needed: ReadonlySet<InterfaceSetting>
}

/** A mirror that bears a mark, whosever it is. */
export interface MarkedMirror {
  readonly filter: Filter & { readonly handle: number; readonly mirror: NonNullable<Filter['mirror']> }
  readonly card: InterfaceMark
  /** The span that it belongs to; null where neither its target nor its handle tells. */
  readonly span: string | null
  /** It belongs to the owner and the spans in question. */
  readonly inScope: boolean
}

/** Puts what is wanted beside the marks that the host bears. */
export function readMarks(wanted: Intent, host: Snapshot): DesiredState {
  const named = host.links.flatMap((link) => readMark(link)?.owner ?? [])
  const owners = [...new Set([wanted.scope.name ?? wanted.owner, ...named])]
  const mirrors = host.filters.flatMap((filter) => readMirror(wanted, owners, filter))
  const interfaces = host.links.flatMap((link) => readCard(wanted, mirrors, host, link))
  return { ...wanted, mirrors, interfaces }
}

const nothing: InterfaceMark = { before: new Set(), managed: new Set() }

function readMirror(wanted: Intent, owners: readonly string[], filter: Filter): MarkedMirror[] {
  const { known } = wanted
  const { mirror, handle, device, tcHook } = filter
  if (mirror === null || handle === null || filter.pref !== mirrorPref || filter.chain !== 0) return []
  const { name, spans } = wanted.scope
  const named = owners
    .flatMap((owner) => [mirror.target, ...known].map((candidate) => ({ owner, candidate })))
    .find(({ owner, candidate }) => mirrorHandle(owner, candidate, device, tcHook) === handle)
  // One whose cookie was lost is known by its handle, whosever it is.
  const mark =
    readCookie(mirror.cookie) ?? (named === undefined ? null : { owner: hashOf(named.owner), source: nothing })
  if (mark === null) return []
  const span = named?.candidate ?? known.find((candidate) => candidate === mirror.target) ?? null
  const owned = name === null || mark.owner === hashOf(name)
  const inScope = owned && matchesSpan(spans, span)
  return [{ filter: { ...filter, handle, mirror }, card: mark.source, span, inScope }]
}

function readCard(wanted: Intent, mirrors: readonly MarkedMirror[], host: Snapshot, link: Link): MarkedInterface[] {
  const cookies = mirrors
    .filter((mirror) => mirror.filter.device === link.name)
    .map(({ card, span, inScope }) => ({ card, span, inScope }))
  const aliases = host.links.flatMap((bridge) => {
    const mark = readMark(bridge)
    const card = mark?.interfaces.get(link.index)
    return card ? [{ card, span: bridge.name, inScope: isInScope(wanted, mark?.owner, bridge.name) }] : []
  })
  const marks = [...cookies, ...aliases]
  const uses = wanted.spans.flatMap((span) =>
    span.mirrors.filter((mirror) => mirror.link.index === link.index).map((mirror) => ({ span: span.name, mirror }))
  )
  const ours = marks.some((mark) => mark.inScope)
  if (!ours && uses.length === 0 && !wanted.also.has(link.index)) return []
  const spans =
    uses.length > 0
      ? uses.map(({ span }) => span)
      : marks.flatMap(({ span, inScope }) => (inScope && span ? [span] : []))
  const now = settingsOf(host, link)
  const kept = (setting: InterfaceSetting) => setting === 'up' && wanted.goingDown.has(link.name)
  const own = new Set(uses.flatMap(({ mirror }) => (mirror.dedicated ? dedicatedCard : everyCard)))
  return [
    {
      link,
      spans: [...new Set(spans)],
      ours,
      now,
      before: new Set(
        interfaceSettings.filter((setting) => (kept(setting) ? now.has(setting) : wasBefore(setting, marks, now)))
      ),
      live: new Set(marks.flatMap((mark) => [...mark.card.managed])),
      own,
      wanted: new Set([...marks.flatMap((mark) => (mark.inScope ? [] : [...mark.card.managed])), ...own]),
      needed: neededSettings(mirrors, host, link)
    }
  ]
}

/** Set down, a card loses its addresses and routes for good; a clsact takes the filters on it along. */
function neededSettings(mirrors: readonly MarkedMirror[], host: Snapshot, link: Link): Set<InterfaceSetting> {
  const filtered = host.filters.some(
    (filter) => filter.device === link.name && !mirrors.some((mirror) => isSameFilter(mirror.filter, filter))
  )
  return new Set<InterfaceSetting>([
    ...(isInUse(host, link) ? (['up'] as const) : []),
    ...(filtered ? (['clsact'] as const) : [])
  ])
}

/** Whether both stand in one place of one device. */
export function isSameFilter(a: Filter, b: Filter): boolean {
  return (
    a.device === b.device && a.tcHook === b.tcHook && a.chain === b.chain && a.pref === b.pref && a.handle === b.handle
  )
}

/** Whoever took charge of a trait wrote down how it had been. */
function wasBefore(
  setting: InterfaceSetting,
  marks: readonly { readonly card: InterfaceMark }[],
  now: ReadonlySet<InterfaceSetting>
): boolean {
  const mark = marks.find(({ card }) => card.managed.has(setting))
  return mark === undefined ? now.has(setting) : mark.card.before.has(setting)
}

/**
 * The mark that the mirrors of a card bear, and that the bridges they feed remember. It keeps what is to be given back
 * until that is done: the mark is written before the card is changed.
 */
export function interfaceMark(card: MarkedInterface): InterfaceMark {
  const managed = new Set([...card.own, ...interfaceSettings.filter((setting) => isOwed(card, setting))])
  return { before: new Set([...managed].filter((setting) => card.before.has(setting))), managed }
}

/** Nobody has charge of the trait any more, and it is not yet as it was. */
export function isOwed({ live, wanted, now, before, needed }: MarkedInterface, setting: InterfaceSetting): boolean {
  const kept = needed.has(setting) && now.has(setting)
  return live.has(setting) && !wanted.has(setting) && !kept && now.has(setting) !== before.has(setting)
}

/** Whether a thing of this owner and span may be touched. */
export function isInScope(wanted: Pick<DesiredState, 'scope'>, owner: string | undefined, span: string): boolean {
  const { name, spans } = wanted.scope
  return owner !== undefined && (name === null || owner === name) && matchesSpan(spans, span)
}

/** Whether a bridge is a span's of this owner, by its alias or, until it has one, its address. */
export function ownsBridge(wanted: DesiredState, link: Link): boolean {
  const owner = wanted.scope.name ?? wanted.owner
  const mark = readMark(link)
  if (mark !== null) return isInScope(wanted, mark.owner, link.name)
  return link.kind === 'bridge' && link.mac === bridgeMac(owner, link.name) && isInScope(wanted, owner, link.name)
}

/** The live network of a name, if Docker was asked and has one. */
export function findNetwork(host: Snapshot, name: string): DockerNetwork | undefined {
  return host.docker.state === 'read' ? host.docker.networks.find((network) => network.name === name) : undefined
}

/** What a run that was killed has left: where a container belongs that it had taken off a network. */
export interface LeftNote {
  /** The name of the network that is the note. */
  readonly note: string
  readonly span: string
  readonly place: EndpointNote
}

/** The notes in scope. An address that the network will not have any more is left out of them. */
export function leftNotes(wanted: Pick<DesiredState, 'scope' | 'spans'>, host: Snapshot): LeftNote[] {
  if (host.docker.state !== 'read') return []
  return host.docker.networks.flatMap(({ name, labels }): LeftNote[] => {
    const place = parseNote(labels)
    const span = labels[label.span] ?? ''
    if (place === null || !isInScope(wanted, labels[label.name], span)) return []
    const asked = wanted.spans.find(({ network }) => network?.name === place.network)?.network?.subnet
    const subnet = readSubnet(asked ?? findNetwork(host, place.network)?.pools[0]?.subnet ?? place.subnet ?? '')
    const one = readSubnet(`${place.address}/32`)
    const fits = one !== undefined && subnet !== undefined && subnetsOverlap(one, subnet)
    return [{ note: name, span, place: fits ? place : { ...place, address: null } }]
  })
}

/** The live networks that hand a bridge out. */
export function networksOn(host: Snapshot, bridge: string): readonly DockerNetwork[] {
  return host.docker.state === 'read' ? host.docker.networks.filter((live) => dockerBridge(live) === bridge) : []
}

/** The containers that were read. */
export function containersOf(host: Snapshot): readonly Container[] {
  return host.docker.state === 'read' ? host.docker.containers : []
}

/** What a card is like now. */
function settingsOf(host: Snapshot, link: Link): Set<InterfaceSetting> {
  const now: Record<InterfaceSetting, boolean> = {
    up: link.up,
    promiscuous: link.promiscuous,
    arp: link.arp,
    ipv6: link.ipv6,
    gro: link.offloads.gro?.active === true,
    'rx-gro-hw': link.offloads['rx-gro-hw']?.active === true,
    lro: link.offloads.lro?.active === true,
    clsact: host.qdiscs.some((qdisc) => qdisc.device === link.name && qdisc.kind === 'clsact')
  }
  // Object.entries forgets that its keys are the table's own.
  return new Set(Object.entries(now).flatMap(([setting, on]) => (on ? [setting as InterfaceSetting] : [])))
}

/** A notice without the fields that are not there. */
export function diagnostic(code: string, message: string, hint?: string, origin?: Origin): Diagnostic {
  return { code, message, ...(hint !== undefined && { hint }), ...(origin && { origin }) }
}
