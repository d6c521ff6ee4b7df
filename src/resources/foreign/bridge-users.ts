import { type Diagnostic, diagnostic, type Origin } from '../../errors.ts'
import { callCommand, type DockerCall } from '../../host/docker/docker-calls.ts'
import { label, referTo } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Address, DockerNetwork, Filter, Link, Route } from '../../host/snapshot.ts'
import type { ObservedState } from '../kind.ts'
import { hashOf } from '../marks.ts'
import { destroyOf, isOwnTunnel, markOf, ownNames, ownsNetwork, tunnelOwner } from '../ownership.ts'
import { isAttached } from '../port-role.ts'
import { findBridgeSeal } from '../seal-commands.ts'
import { isClosing } from '../settings.ts'
import { foreignAddresses } from './bridge-adoption.ts'
import { filterWords, placeOf } from './filter-words.ts'
import { findForeignCopies, removalOf } from './foreign-copies.ts'
import { explainIfRenamed, hasPorts } from './renamed-bridge.ts'

/** What uses a span's bridge and stays without it: to remove the bridge would remove that too, or cut it off. */
export function findBridgeUsers(bridge: string, now: ObservedState, planned: ObservedState): Diagnostic[] {
  const { desired, host } = now
  const link = host.linkOf(bridge)
  if (link === undefined) return []
  const bridges = desired.spans.map((span) => span.bridge)
  const renamed = hasPorts(link, host) ? explainIfRenamed(link, bridges, host) : null
  if (renamed !== null) return [renamed]
  const networks = host.networksOn(bridge)
  // Ports that were there when the plan was made have rows in the plan, and are given back.
  const before = new Set(planned.host.membersOf(bridge).map(({ index }) => index))
  const newPorts = host.membersOf(bridge).filter(({ index }) => !before.has(index))
  // What is foreign on the bridge, in words, and the commands that take it off.
  const guests = [
    ...host.uppersOf(link).map(upperUser),
    ...newPorts.map(({ name, kind }) => ({
      words: `the ${kind ?? 'interface'} ${name} was added to it as a port`,
      removal: [takeOff(name)]
    })),
    ...[...networks.filter((network) => !ownsNetwork(desired, network)), ...host.networksAbove(bridge)].map((network) =>
      networkUser(host, network)
    ),
    ...foreignAddresses(link, networks)
      .map(writeAddress)
      .map((address) => addressUser(address, bridge)),
    ...host.routesOf(link).map(routeUser),
    ...foreignFilters(now, bridge).map((filter) => ({
      words: `it has an ${filter.tcHook} filter at preference ${filter.pref}: ${filterWords(filter)}`,
      removal: [removalOf(filter)]
    })),
    // With the bridge, the kernel takes away where they lead (mirred_device_event()).
    ...findForeignCopies(now, new Set([bridge])).map((filter) => ({
      words: `a filter of ${filter.device}, at ${placeOf(filter)} and preference ${filter.pref}, ${filter.redirects ? 'redirects' : 'copies'} into it: ${filterWords(filter)}`,
      removal: [removalOf(filter)]
    })),
    ...(link.master === null ? [] : [masterUser(link.master, bridge)])
  ]
  const inUse = (words: string, hint: string, origin?: Origin) =>
    diagnostic('BRIDGE_IN_USE', `the bridge ${bridge} cannot be removed: ${words}`, hint, origin)
  return [
    ...guests.map(({ words, removal }) => inUse(words, `if nothing needs it: ${removal.map(shellLine).join('; ')}`)),
    ...findCopiers(bridge, now).map(({ span, instead, origin }) =>
      inUse(`span ${span} copies from it`, `take the source off, or ${instead}`, origin)
    )
  ]
}

/** What uses the link of a tunnel and stays without it. */
export function findTunnelUsers(tunnel: string, now: ObservedState): Diagnostic[] {
  const { host } = now
  const link = host.linkOf(tunnel)
  if (link === undefined) return []
  // Of a VXLAN, the kernel does not name the interface below as it does of other links, and removes it with that all the same.
  const isBoundTo = (one: Link) => one.tunnel?.interface === tunnel && !isOwnTunnel(host, one)
  const guests = [
    ...[...new Set([...host.uppersOf(link), ...host.links.filter(isBoundTo)])].map(upperUser),
    ...foreignAddresses(link, []).map((address) => addressUser(writeAddress(address), tunnel)),
    ...host.routesOf(link).map(routeUser),
    // Of an output, the bridge of its span needs nothing.
    ...(link.master === null || isAttached(host, link, link.master) ? [] : [masterUser(link.master, tunnel)])
  ]
  const inUse = (words: string, hint: string) =>
    diagnostic('BRIDGE_IN_USE', `the tunnel ${tunnel} cannot be removed: ${words}`, hint)
  return [
    ...guests.map(({ words, removal }) => inUse(words, `if nothing needs it: ${removal.map(shellLine).join('; ')}`)),
    ...findOtherNames(link, now).map(({ words, hint }) => inUse(words, hint))
  ]
}

/** What copies from a tunnel with another name than the tunnel's, in words, and what helps. */
function findOtherNames(link: Link, now: ObservedState) {
  const owner = tunnelOwner(now.host, link, ...ownNames(now.desired))
  const users = now.host.filtersOf(link.name).flatMap((filter) => {
    const mark = now.marks.mirrors.get(filter)
    if (mark === undefined || mark.inScope || owner === null || isOfOwner(mark.owner, owner, now)) return []
    const other = otherSpan(now, filter)
    if (other === null) {
      const words = `a mirror of another name copies from it, at ${placeOf(filter)} and preference ${filter.pref}`
      return { words, hint: `if nothing needs it: ${shellLine(removalOf(filter))}` }
    }
    return { words: `span ${other.span} copies from it`, hint: `take the source off, or ${removeSpan(other)}` }
  })
  return [...new Map(users.map((user) => [user.words, user])).values()]
}

/** Whether a mark has the hash of a name, or of another of the same file. */
function isOfOwner(hash: number, owner: string, { desired }: ObservedState): boolean {
  const names = ownNames(desired)
  return [owner, ...(names.includes(owner) ? names : [])].some((one) => hash === hashOf(one))
}

/**
 * The spans that copy from a bridge and stay: those of the file, and those that are out of scope. `instead`: what else would help than
 * to take the source off.
 */
function findCopiers(bridge: string, now: ObservedState) {
  const { desired, host } = now
  const isKept = desired.spanOn(bridge) !== undefined
  const own = (isKept ? [] : desired.spans).flatMap(({ name: span, mirrors }) => {
    const point = mirrors.find(({ device }) => device.name === bridge)
    return point
      ? {
          span,
          instead: `put the span ${desired.names.nameOf(bridge)} into the file again; or, if it has another name there now, write "bridge: ${bridge}" in it`,
          origin: point.origin
        }
      : []
  })
  const others = host.filtersOf(bridge).flatMap((filter) => otherSpan(now, filter) ?? [])
  const bySpan = new Map(others.map((other) => [other.span, other]))
  return [
    ...own,
    ...[...bySpan.values()].map((other) => ({ span: other.span, instead: removeSpan(other), origin: undefined }))
  ]
}

function removeSpan({ bridge, owner }: { readonly bridge: string; readonly owner: string }): string {
  return `remove that span: ${shellLine(destroyOf(owner, bridge))}`
}

/** The live span out of scope that a filter is a mirror of, and its owner; null: the filter is no such mirror. */
function otherSpan({ desired, marks, host }: ObservedState, filter: Filter) {
  const mark = marks.mirrors.get(filter)
  if (mark === undefined || mark.inScope || mark.bridge === null) return null
  const owner = markOf(host, host.linkOf(mark.bridge))?.owner
  return owner === undefined ? null : { span: desired.names.nameOf(mark.bridge), bridge: mark.bridge, owner }
}

function takeOff(port: string): readonly string[] {
  return ['ip', 'link', 'set', 'dev', port, 'nomaster']
}

function masterUser(master: string, device: string) {
  return { words: `it is a port of ${master}`, removal: [takeOff(device)] }
}

function routeUser({ text, removal }: Route) {
  return { words: `the host has a route through it: ${text}`, removal: [removal] }
}

function addressUser(address: string, device: string) {
  return { words: `it has the address ${address}`, removal: [['ip', 'addr', 'del', address, 'dev', device]] }
}

function upperUser({ name, kind, addresses }: Link) {
  const own = addresses.filter(({ automatic }) => !automatic).map(writeAddress)
  const used = own.length === 0 ? '' : `, with the ${own.length === 1 ? 'address' : 'addresses'} ${own.join(', ')}`
  return {
    words: `the ${kind ?? 'interface'} ${name} is built on it${used}`,
    removal: [['ip', 'link', 'del', 'dev', name]]
  }
}

function networkUser(host: HostIndex, network: DockerNetwork) {
  const members = host.endpointsOn(network.name).map(({ container }) => container.name)
  const { [label.name]: owner, [label.span]: span } = network.labels
  // A name alone does not say which names its file had before.
  if (owner !== undefined && span !== undefined) {
    const words = `the Docker network ${network.name} is on it, and bears the name ${owner}`
    return { words, removal: [destroyOf(owner, span)] }
  }
  const command = (call: DockerCall) => callCommand(call, host.engine)
  const use = members.length === 0 ? '' : `, with the ${members.length === 1 ? 'container' : 'containers'} `
  return {
    words: `the Docker network ${network.name} is on it${use}${members.join(', ')}`,
    removal: [
      ...members.map((container) => command({ call: 'disconnect', network: referTo(network), container, port: null })),
      command({ call: 'removeNetwork', network: referTo(network) })
    ]
  }
}

function writeAddress({ address, prefix }: Address): string {
  return `${address}/${prefix}`
}

/** The bridge's filters, without the seal, spans' mirrors, and what closes it where it was dedicated to capture. */
function foreignFilters(now: ObservedState, bridge: string): Filter[] {
  const isMirror = (filter: Filter) => now.marks.mirrors.get(filter)?.inScope || otherSpan(now, filter) !== null
  const seal = findBridgeSeal(now.host, bridge)
  return now.host.filtersOf(bridge).filter((filter) => filter !== seal && !isMirror(filter) && !isClosing(filter))
}
