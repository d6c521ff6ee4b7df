import { label, networkOption } from '../host/docker/docker-names.ts'
import { type EndpointNote, parseNote } from '../host/docker/endpoint-note.ts'
import type { HostIndex, TcIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { DockerNetwork, Filter, Link } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-conventions.ts'
import { matchesName, matchesSpan, namesOf } from '../spec/scope.ts'
import { readSubnet, subnetsOverlap } from '../spec/values/subnet.ts'
import type { DesiredSpans, DesiredState } from './desired-state.ts'
import {
  type BridgeMark,
  bridgeMac,
  isTunnelName,
  mirrorHandle,
  readCookie,
  readMark,
  readTunnelMark,
  sealHandle,
  sealsInterface,
  tunnelName
} from './marks.ts'

/** The mark of a span's bridge; null for a foreign bridge, and for one with a copy of a mark: see {@link isMarkCopied}. */
export function markOf(host: HostIndex, link: Link | undefined): BridgeMark | null {
  const mark = readMark(link)
  return mark !== null && link !== undefined && isMarkCopied(host, link) ? null : mark
}

/**
 * Whether somebody has given a bridge of their own the alias of a span's: the copy claims nothing. What spanplan has made also has a
 * MAC address of its name, a seal of its name, a mirror into it or a network: all of them go, and come back by an apply, but not all
 * at once.
 */
export function isMarkCopied(host: HostIndex, link: Link): boolean {
  const owner = readMark(link)?.owner
  if (owner === undefined) return false
  const { name, mac } = link
  return (
    mac !== bridgeMac(owner, name) &&
    host.filtersOf(name).every(({ handle }) => handle !== sealHandle(name)) &&
    !host.filters.some((filter) => isMirrorInto(name, owner, filter)) &&
    host.networksOn(name).every(({ labels }) => labels[label.name] !== owner || labels[label.span] !== name)
  )
}

/** Whether a filter is a mirror of ours into a bridge, by its cookie or, where that is lost, by its handle. */
function isMirrorInto(bridge: string, owner: string, { device, tcHook, handle, pref, chain, mirror }: Filter): boolean {
  if (mirror?.target !== bridge || pref !== mirrorPref || chain !== 0) return false
  return readCookie(mirror.cookie) !== null || handle === mirrorHandle({ owner, name: bridge, device, tcHook })
}

/** The name in a mark, of a file that has former ones: a plan says which it was. */
export function markedBy({ scope }: Pick<DesiredSpans, 'scope'>, owner: string | null): { readonly markedBy?: string } {
  return owner === null || (scope.formerly ?? []).length === 0 ? {} : { markedBy: owner }
}

/** The names by which what bears no mark any more is recognised as an owner's: of every owner, only that of the marks. */
export function ownNames({ owner, scope }: Pick<DesiredSpans, 'owner' | 'scope'>): readonly string[] {
  return namesOf({ name: scope.name ?? owner, formerly: scope.formerly ?? [] })
}

/** What tells whose a tunnel is, besides its filters. */
type TunnelLink = Pick<Link, 'name' | 'alias' | 'tunnel'>

/**
 * Whose a tunnel is: its alias says so, and its name is one that spanplan gives, or its seal is that of its first name; null for a foreign
 * link, and for one with a copy of an alias. What the link ends need not be what it was made for: `ip link change` may have given it
 * another key.
 *
 * @param owners who may have made a link whose alias does not say it: yet, or since somebody has written another.
 */
export function tunnelOwner(host: TcIndex, link: TunnelLink, ...owners: readonly string[]): string | null {
  const { name, alias, tunnel } = link
  if (tunnel === undefined || tunnel.external) return null
  const marked = readTunnelMark(alias, tunnel)
  if (marked === null) return owners.find((owner) => name === tunnelName(owner, tunnel)) ?? null
  return isTunnelName(name, tunnel) || firstTunnelName(host, link, marked) !== name ? marked : null
}

/** Whether the link is one that spanplan has made for a tunnel, of whatever name its spans are. */
export function isOwnTunnel(host: TcIndex, link: TunnelLink): boolean {
  return tunnelOwner(host, link, '') !== null
}

/** The name with which an owner's tunnel was made, whatever somebody has called it since: its seal tells. */
export function firstTunnelName(host: TcIndex, { name, tunnel }: TunnelLink, owner: string): string {
  const made = tunnel === undefined ? name : tunnelName(owner, tunnel)
  return host.filtersAt(name, 'ingress').some(({ handle }) => sealsInterface(handle ?? 0, made)) ? made : name
}

/** The command that takes the mark off a bridge. */
export function takeMarkOff({ name }: Link): string {
  return shellLine(['ip', 'link', 'set', 'dev', name, 'alias', ''])
}

/** What a run may change: what tells the marks that are in its scope. */
export type Scoped = Pick<DesiredSpans, 'scope' | 'names'>

/** Whether a thing with the mark of this owner, and of the span with this bridge, may be changed. */
export function isInScope({ scope, names }: Scoped, owner: string | undefined, bridge: string): boolean {
  return owner !== undefined && matchesName(scope, owner) && matchesSpan(scope.spans, names.nameOf(bridge))
}

/** Whether no span of the owner is out of scope. */
export function coversEverySpan({ scope }: Pick<DesiredSpans, 'scope'>): boolean {
  return 'except' in scope.spans && scope.spans.except.size === 0
}

/** The command that removes the spans of a name with these bridges; without bridges, all of them. It works whatever the file is, and reads none. */
export const destroyOf = (owner: string, ...bridges: readonly string[]) =>
  ['spanplan', 'destroy', '--name', owner, ...bridges.flatMap((bridge) => ['--span', bridge])] as const

/** Whether a bridge belongs to a span of this owner: by its alias or, until it has an alias, by its MAC address. */
export function ownsBridge(desired: Pick<DesiredSpans, 'owner'> & Scoped, host: HostIndex, link: Link): boolean {
  const mark = markOf(host, link)
  if (mark !== null) return isInScope(desired, mark.owner, link.name)
  const made = ownNames(desired).find((owner) => link.mac === bridgeMac(owner, link.name))
  return link.kind === 'bridge' && isInScope(desired, made, link.name)
}

/** Whether a Docker network belongs to a span in scope: by its labels. */
export function ownsNetwork(desired: Scoped, { labels }: DockerNetwork): boolean {
  return isInScope(desired, labels[label.name], labels[label.span] ?? '')
}

/** Whether a Docker network is ours, or in the place of one of ours. */
export function isLiveNetwork(desired: DesiredState, network: DockerNetwork): boolean {
  const bridge = network.options[networkOption.bridge] ?? ''
  const isPlace = desired.spanOfNetwork(network.name) !== undefined || desired.spanOn(bridge)?.network != null
  const isNote = network.labels[label.note] !== undefined
  return !isNote && (isPlace || ownsNetwork(desired, network))
}

/** A note that a killed run has left: the place of a container that the run had disconnected from a network. */
export interface LeftNote {
  /** The name of the Docker network that bears the note as its labels. */
  readonly note: string
  readonly bridge: string
  readonly place: EndpointNote
}

/** The notes in scope. An address outside the network's future subnet is left out. */
export function leftNotes(desired: Pick<DesiredState, 'spans'> & Scoped, host: HostIndex): LeftNote[] {
  return host.networks.flatMap(({ name, labels }): LeftNote[] => {
    const place = parseNote(labels)
    const bridge = labels[label.span] ?? ''
    if (place === null || !isInScope(desired, labels[label.name], bridge)) return []
    const asked = desired.spans.find(({ network }) => network?.name === place.network)?.network?.subnet
    const subnet = readSubnet(asked ?? host.networkOf(place.network)?.pools[0]?.subnet ?? place.subnet ?? '')
    const one = readSubnet(`${place.address}/32`)
    const fits = one !== undefined && subnet !== undefined && subnetsOverlap(one, subnet)
    return [{ note: name, bridge, place: fits ? place : { ...place, address: null } }]
  })
}
