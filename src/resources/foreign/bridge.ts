import { networkOption } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Address, BridgeOptions, DockerNetwork, Link } from '../../host/snapshot.ts'
import { readSubnet, subnetsOverlap } from '../../spec/values/subnet.ts'
import type { DesiredState } from '../desired-state.ts'
import type { Resource } from '../kind.ts'
import type { BridgeOrigin } from '../marks.ts'

/** Whether a foreign thing may be taken over, or why not. */
export type Adoption = NonNullable<Resource['adoption']>

/** Bytes: the mark keeps the alias, and a longer alias would leave no room for the rest. */
const longestAlias = 64

/** What a bridge is like before it is adopted, to be given back later. */
export function originOf(host: HostIndex, link: Link, options: BridgeOptions): BridgeOrigin {
  return {
    ...options,
    ...wireOffloadsOf(link),
    alias: link.alias ?? '',
    mac: link.mac,
    mtu: link.mtu,
    up: link.up,
    ipv6: link.generatesAddress,
    linkLocal: hasLinkLocal(link),
    ownMacEntry: link.ownMacEntry,
    clsact: host.hasQdisc(link.name, 'clsact')
  }
}

/** Which of the offloads that leave work to a network card are on. */
export function wireOffloadsOf({ offloads: { tx, tso, gso } }: Link) {
  return { tx: tx?.active === true, tso: tso?.active === true, gso: gso?.active === true }
}

/**
 * Whether a span may adopt a bridge: only a bridge that serves nothing but sensors. Any other use would be cut off, because a
 * span's bridge has no address, and its ports are isolated from each other.
 */
export function judgeBridge(desired: DesiredState, host: HostIndex, link: Link): Adoption {
  const [reason] = reasons(
    host,
    desired.spans.some(({ name, network }) => name === link.name && network !== null),
    link
  )
  return reason === undefined ? { possible: true } : { possible: false, reason }
}

function reasons(host: HostIndex, hasNetwork: boolean, link: Link): string[] {
  const networks = hasNetwork ? host.networksOn(link.name) : []
  const known = networks.map((network) => dockerAddress(link, network))
  const isSensors = (port: Link) => networks.some(({ name }) => name === host.attachmentOf(port)?.endpoint?.network)
  const address = link.addresses.find((one) => !one.automatic && !known.includes(one))
  const upper = host.links.find((other) => other.lower === link.index)
  const port = host.membersOf(link.name).find((one) => !isSensors(one))
  return [
    ...(link.bridge === null ? ['it is not a bridge'] : []),
    ...(address ? [`it has the address ${address.address}/${address.prefix}, so the host uses it`] : []),
    ...(upper ? [`${upper.name} is built on it`] : []),
    ...(link.master === null ? [] : [`it belongs to ${link.master}`]),
    ...(port ? [`${port.name} is a port of it, and no sensor's`] : []),
    ...(Buffer.byteLength(link.alias ?? '') > longestAlias ? [`its alias is longer than ${longestAlias} bytes`] : [])
  ]
}

/** Whether a link has the IPv6 address that the kernel gives by itself. */
export function hasLinkLocal({ addresses }: Link): boolean {
  return addresses.some(({ automatic }) => automatic)
}

/**
 * The address that Docker has given a network's bridge for the host. For a network with a subnet and without a gateway,
 * Docker (26.1) names the gateway that it chose only after a restart; before, that is the bridge's only address in the subnet.
 */
export function dockerAddress(link: Link, { options, pools }: DockerNetwork): Address | undefined {
  if (options[networkOption.noAddress] === 'true') return undefined
  const [pool] = pools
  const subnet = readSubnet(pool?.subnet ?? '')
  const candidates = link.addresses.filter(({ family, address, prefix }) => {
    const one = family === 'inet' ? readSubnet(`${address}/32`) : undefined
    return one && subnet && prefix === subnet.length && subnetsOverlap(one, subnet)
  })
  if (pool?.gateway) return candidates.find(({ address }) => address === pool.gateway)
  return candidates.length === 1 ? candidates[0] : undefined
}
