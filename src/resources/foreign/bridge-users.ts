import { type Diagnostic, diagnostic } from '../../errors.ts'
import { dockerCommand } from '../../host/docker/docker-calls.ts'
import { referTo } from '../../host/docker/docker-names.ts'
import { podmanCommand } from '../../host/docker/podman-calls.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Address, DockerNetwork, Filter, Link } from '../../host/snapshot.ts'
import { sealPref } from '../../host/tc-conventions.ts'
import type { MarkInventory } from '../desired-state.ts'
import type { ObservedState } from '../kind.ts'
import { sealHandle } from '../marks.ts'
import { ownsNetwork } from '../ownership.ts'
import { dockerAddress } from './bridge-adoption.ts'
import { filterWords, placeOf } from './describe-filter.ts'
import { findForeignCopies, removalOf } from './foreign-copies.ts'

/** Something foreign on a bridge, in words, and the commands that take it off. */
interface BridgeUser {
  readonly words: string
  readonly removal: readonly (readonly string[])[]
}

/** The foreign things on a span's bridge: to remove the bridge would remove these too, or cut them off. */
export function findBridgeUsers(
  bridge: string,
  { desired, marks, host }: ObservedState,
  planned: ObservedState
): Diagnostic[] {
  const link = host.linkOf(bridge)
  if (link === undefined) return []
  const networks = host.networksOn(bridge)
  const guests = [
    ...host.uppersOf(link).map(upperUser),
    ...newPorts(bridge, host, planned.host).map(({ name, kind }) => ({
      words: `the ${kind ?? 'interface'} ${name} was added to it as a port`,
      removal: [takeOff(name)]
    })),
    ...[...networks.filter((network) => !ownsNetwork(desired, network)), ...host.networksAbove(bridge)].map((network) =>
      networkUser(host, network)
    ),
    ...foreignAddresses(link, networks)
      .map(writeAddress)
      .map((address) => ({
        words: `it has the address ${address}`,
        removal: [['ip', 'addr', 'del', address, 'dev', bridge]]
      })),
    ...host.routesOf(link).map((route) => ({
      words: `the host has a route through it: ${route.text}`,
      removal: [route.removal]
    })),
    ...foreignFilters(marks, host, bridge).map((filter) => ({
      words: `it has an ${filter.tcHook} filter at preference ${filter.pref}: ${filterWords(filter)}`,
      removal: [removalOf(filter)]
    })),
    // With the bridge, the kernel takes away where they lead (mirred_device_event()).
    ...findForeignCopies(marks, host, new Set([bridge])).map((filter) => ({
      words: `a filter of ${filter.device}, at ${placeOf(filter)} and preference ${filter.pref}, ${filter.redirects ? 'redirects' : 'copies'} into it: ${filterWords(filter)}`,
      removal: [removalOf(filter)]
    })),
    ...(link.master === null ? [] : [{ words: `it is a port of ${link.master}`, removal: [takeOff(bridge)] }])
  ]
  return guests.map(({ words, removal }) =>
    diagnostic(
      'BRIDGE_IN_USE',
      `the bridge ${bridge} cannot be removed: ${words}`,
      `if nothing needs it: ${removal.map(shellLine).join('; ')}`
    )
  )
}

function takeOff(port: string): readonly string[] {
  return ['ip', 'link', 'set', 'dev', port, 'nomaster']
}

function upperUser({ name, kind, addresses }: Link): BridgeUser {
  const own = addresses.filter(({ automatic }) => !automatic).map(writeAddress)
  const used = own.length === 0 ? '' : `, with the ${own.length === 1 ? 'address' : 'addresses'} ${own.join(', ')}`
  return {
    words: `the ${kind ?? 'interface'} ${name} is built on it${used}`,
    removal: [['ip', 'link', 'del', 'dev', name]]
  }
}

/** The ports that have come since the plan was made. Ports that were there before have rows in the plan, and are given back. */
function newPorts(bridge: string, now: HostIndex, planned: HostIndex): Link[] {
  const isPort = ({ master }: Link) => master === bridge
  const known = new Set(planned.links.filter(isPort).map(({ index }) => index))
  return now.links.filter((link) => isPort(link) && !known.has(link.index))
}

function networkUser(host: HostIndex, network: DockerNetwork): BridgeUser {
  const members = host.containers
    .filter(({ endpoints }) => endpoints.some((endpoint) => endpoint.network === network.name))
    .map(({ name }) => name)
  const command = host.engine === 'podman' ? podmanCommand : dockerCommand
  const use = members.length === 0 ? '' : `, with the ${members.length === 1 ? 'container' : 'containers'} `
  return {
    words: `the Docker network ${network.name} is on it${use}${members.join(', ')}`,
    removal: [
      ...members.map((container) => command({ call: 'disconnect', network: referTo(network), container, port: null })),
      command({ call: 'removeNetwork', network: referTo(network) })
    ]
  }
}

/** The bridge's addresses, without those that Docker has given it for its networks. */
function foreignAddresses(bridge: Link, networks: readonly DockerNetwork[]): Address[] {
  const known = networks.map((network) => dockerAddress(bridge, network))
  return bridge.addresses.filter((address) => !address.automatic && !known.includes(address))
}

function writeAddress({ address, prefix }: Address): string {
  return `${address}/${prefix}`
}

/** The bridge's filters, without the seal and the mirrors that are removed with it. */
function foreignFilters(marks: MarkInventory, host: HostIndex, bridge: string): Filter[] {
  const isSeal = ({ tcHook, pref, handle }: Filter) =>
    tcHook === 'ingress' && pref === sealPref && handle === sealHandle(bridge)
  return host.filtersOf(bridge).filter((filter) => !isSeal(filter) && !marks.mirrors.get(filter)?.inScope)
}
