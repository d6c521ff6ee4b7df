import { dockerAddress } from '../foreign/bridge-adoption.ts'
import type { Kind, Resource } from '../kind.ts'
import { ownsNetwork } from '../ownership.ts'

/**
 * The host's address that Docker has given the bridge of a network that is adopted. Docker leaves the address there when the
 * network is removed, and sensors could reach the host through it.
 */
export interface HostAddress extends Resource {
  readonly kind: 'address'
  readonly bridge: string
  /** The address with its prefix length. */
  readonly address: string
}

/** How these addresses are found and removed. None is ever desired. */
export const address: Kind<HostAddress> = {
  kind: 'address',
  fields: {},
  desire: () => [],
  observe: ({ desired, host }) =>
    desired.spans.flatMap(({ name, bridge, network }) =>
      host.networksOn(bridge).flatMap((live): HostAddress[] => {
        const link = host.linkOf(bridge)
        const found = link && dockerAddress(link, live)
        if (network === null || found === undefined || ownsNetwork(desired, live)) return []
        const address = `${found.address}/${found.prefix}`
        return [{ kind: 'address', id: `${bridge} ${address}`, spans: [name], owner: 'ours', bridge, address }]
      })
    ),
  evidence: () => ['docker'],
  create: ({ address, bridge }) => [
    {
      summary: `put the address ${address} back on ${bridge}`,
      // Docker may have restored the address with the network.
      argv: ['ip', 'addr', 'replace', address, 'brd', '+', 'dev', bridge]
    }
  ],
  remove: ({ address, bridge }) => [
    { summary: `take the address ${address} off ${bridge}`, argv: ['ip', 'addr', 'del', address, 'dev', bridge] }
  ],
  title: (resource) => resource.address,
  summary: ({ bridge }) => `Docker's, on ${bridge}`,
  removalNote: ({ bridge }) =>
    `Docker has put it on ${bridge} for the network: without it, sensors do not reach the host`,
  address: (resource) => [resource.address],
  device: ({ bridge }) => bridge
}
