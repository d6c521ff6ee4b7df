import { networkOption } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Address, DockerNetwork, Link } from '../../host/snapshot.ts'
import { readSubnet, subnetsOverlap } from '../../spec/values/subnet.ts'
import type { DesiredState } from '../desired-state.ts'
import { type Adoption, adoptUnless } from '../kind.ts'
import type { BridgeOrigin } from '../marks.ts'
import { isMarkCopied, takeMarkOff } from '../ownership.ts'
import { readBridge } from '../settings.ts'

/** Bytes: the mark keeps the alias, and a longer alias would leave no room for the rest. */
const longestAlias = 64

/** What a bridge is like before it is adopted, to be given back later. */
export function originOf(host: HostIndex, link: Link): BridgeOrigin {
  return {
    ...readBridge(link),
    ...wireOffloadsOf(link),
    alias: link.alias ?? '',
    ipv6: link.generatesAddress,
    linkLocal: hasLinkLocal(link),
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
  const hasNetwork = desired.spanOn(link.name)?.network != null
  return adoptUnless(findOtherUse(host, link, hasNetwork ? host.networksOn(link.name) : []))
}

function findOtherUse(host: HostIndex, link: Link, networks: readonly DockerNetwork[]): string | undefined {
  if (link.bridge === null) return 'it is not a bridge'
  if (isMarkCopied(host, link))
    return `its alias is a copy of a mark of spanplan: take it off with ${takeMarkOff(link)}`
  const [address] = foreignAddresses(link, networks)
  if (address) return `it has the address ${address.address}/${address.prefix}, so the host uses it`
  const [upper] = host.uppersOf(link)
  if (upper) return `${upper.name} is built on it`
  if (link.master !== null) return `it belongs to ${link.master}`
  const isSensors = (port: Link) => networks.some(({ name }) => name === host.attachmentOf(port)?.endpoint?.network)
  const port = host.membersOf(link.name).find((one) => !isSensors(one))
  if (port) return `${port.name} is a port of it, and no sensor's`
  const isLong = Buffer.byteLength(link.alias ?? '') > longestAlias
  return isLong ? `its alias is longer than ${longestAlias} bytes` : undefined
}

/** Whether a link has the IPv6 address that the kernel gives by itself. */
export function hasLinkLocal({ addresses }: Link): boolean {
  return addresses.some(({ automatic }) => automatic)
}

/** A bridge's addresses, without those that Docker has given it for its networks. */
export function foreignAddresses(bridge: Link, networks: readonly DockerNetwork[]): Address[] {
  const known = networks.map((network) => dockerAddress(bridge, network))
  return bridge.addresses.filter((address) => !address.automatic && !known.includes(address))
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
