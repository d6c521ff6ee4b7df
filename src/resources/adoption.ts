import type { BridgeOptions, Link, Snapshot } from '../host/host.ts'
import type { BridgeOrigin, BridgeTrait } from './mark.ts'
import type { Resource } from './resource.ts'
import { containersOf, findNetwork, type Wanted } from './wanted.ts'

/** Whether a foreign thing may be taken over, or why not. */
export type Adoption = NonNullable<Resource['adoption']>

/** Bytes: with more, the alias that is to be kept would leave the mark no room. */
const longestAlias = 64

/** What a bridge is like, to be given back later. */
export function originOf(host: Snapshot, link: Link, options: BridgeOptions): BridgeOrigin {
  const traits: Record<BridgeTrait, boolean> = {
    up: link.up,
    stp: options.stp,
    snooping: options.snooping,
    vlanFiltering: options.vlanFiltering,
    ipv6: link.generatesAddress,
    ownMacEntry: link.ownMacEntry,
    tx: link.offloads.tx?.active === true,
    tso: link.offloads.tso?.active === true,
    gso: link.offloads.gso?.active === true,
    clsact: host.qdiscs.some((qdisc) => qdisc.device === link.name && qdisc.kind === 'clsact')
  }
  return {
    alias: link.alias ?? '',
    mac: link.mac,
    mtu: link.mtu,
    ageing: options.ageing,
    forwardDelay: options.forwardDelay,
    // Object.entries forgets that its keys are the table's own.
    traits: new Set(Object.entries(traits).flatMap(([trait, on]) => (on ? [trait as BridgeTrait] : [])))
  }
}

/**
 * Whether a span may take a bridge over. Only one that serves nothing but sensors: what else uses it would be cut off,
 * for a span's bridge has no address, and its ports hear one another no more.
 */
export function judgeBridge(wanted: Wanted, host: Snapshot, link: Link): Adoption {
  const [reason] = reasons(wanted, host, link)
  return reason === undefined ? { possible: true } : { possible: false, reason }
}

function reasons(wanted: Wanted, host: Snapshot, link: Link): string[] {
  const span = wanted.spans.find(({ name }) => name === link.name)
  const network = span?.network ? findNetwork(host, span.network.name) : undefined
  const ours = network === undefined ? [] : hostAddressesOf(network.pools)
  const sensors = containersOf(host).flatMap(({ endpoints }) =>
    endpoints.flatMap(({ network: name, port }) =>
      name === network?.name && typeof port === 'object' ? [port.host] : []
    )
  )
  const address = link.addresses.find((one) => !one.automatic && !ours.includes(one.address))
  const upper = host.links.find((other) => other.lower === link.index)
  const port = host.links.find((other) => other.master === link.name && !sensors.includes(other.index))
  return [
    ...(link.bridge === null ? ['it is not a bridge'] : []),
    ...(address ? [`it has the address ${address.address}/${address.prefix}, so the host uses it`] : []),
    ...(upper ? [`${upper.name} is built on it`] : []),
    ...(link.master === null ? [] : [`it belongs to ${link.master}`]),
    ...(port ? [`${port.name} is a port of it, and no sensor's`] : []),
    ...(Buffer.byteLength(link.alias ?? '') > longestAlias ? [`its alias is longer than ${longestAlias} bytes`] : [])
  ]
}

/** The addresses of the host's that Docker puts on the bridge of a network. */
function hostAddressesOf(pools: readonly { readonly gateway: string | null }[]): string[] {
  return pools.flatMap(({ gateway }) => gateway ?? [])
}
