import type { Argv } from '../exec.ts'
import type { DockerNetwork, Pool } from '../snapshot.ts'
import { interfaceOption, networkOption } from './docker-names.ts'
import type { Connection } from './endpoint-note.ts'

/** Podman's own API. The version is that of the calls: newer servers know it. */
export const podmanApi = '/v5.0.0/libpod'

/** Options of Podman's driver `bridge`. With `mode=unmanaged`, it neither makes the bridge, nor gives it an address, nor removes it. */
export const podmanOption = { mode: 'mode', mtu: 'mtu' } as const
export const unmanaged = 'unmanaged'

/** A network that is to be made. */
export type NewNetwork = Omit<DockerNetwork, 'id' | 'name'> & { readonly network: string }

/** The body of the request that creates a network. */
export function networkBody({ network, labels, driver, internal, ipv6, options, pools }: NewNetwork) {
  return {
    name: network,
    labels,
    driver,
    internal,
    ipv6_enabled: ipv6,
    dns_enabled: false,
    network_interface: options[networkOption.bridge] ?? '',
    options: podmanOptions(options),
    subnets: pools.map(subnetBody)
  }
}

/** The body of the request that creates a note: a network on which no container is. */
export function noteBody(name: string, labels: DockerNetwork['labels']) {
  return { name, labels, driver: 'bridge', options: podmanOptions({}), ipam_options: { driver: 'none' } }
}

/** The options of a network in Podman's words. */
export function podmanOptions(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const own = Object.entries(options).filter(([key]) => !key.startsWith('com.docker.network.'))
  const mtu = options[networkOption.mtu]
  return {
    ...Object.fromEntries(own),
    [podmanOption.mode]: unmanaged,
    ...(mtu !== undefined && { [podmanOption.mtu]: mtu })
  }
}

function subnetBody({ subnet, gateway, range }: Pool) {
  const [start_ip, end_ip] = range?.split('-') ?? []
  return {
    subnet,
    ...(gateway !== null && { gateway }),
    ...(start_ip !== undefined && end_ip !== undefined && { lease_range: { start_ip, end_ip } })
  }
}

/** The body of the request that connects a container. */
export function endpointBody({ container, options, aliases, address }: Connection) {
  const name = options[interfaceOption.key]
  return {
    container,
    aliases: markAliases({ options, aliases }),
    ...(name !== undefined && { interface_name: name }),
    ...(address !== null && { static_ips: [address] })
  }
}

/** The aliases of an endpoint, with those that stand for its options. */
export function markAliases({ options, aliases }: Pick<Connection, 'options' | 'aliases'>): readonly string[] {
  return [...Object.entries(options).map(([key, value]) => `${key}=${value}`), ...aliases]
}

/** Where root's Podman listens. */
const socket = '/run/podman/podman.sock'

/** The command of curl that connects a container: Podman's own client has no flag for an interface's name. */
export function connectByCurl(call: Connection): Argv {
  const path = `${podmanApi}/networks/${encodeURIComponent(call.network)}/connect`
  const body = JSON.stringify(endpointBody(call))
  const how = ['--fail-with-body', '--silent', '--show-error', '--unix-socket', socket] as const
  return ['curl', ...how, '--header', 'Content-Type: application/json', '--data', body, `http://podman${path}`]
}
