import type { Argv } from '../exec.ts'
import { option, pairOptions } from '../quote-command.ts'
import type { Pool } from '../snapshot.ts'
import type { DockerCall } from './docker-calls.ts'
import { interfaceOption, networkOption } from './docker-names.ts'

/** Podman's own API. The version is that of the calls: newer servers know it. */
export const podmanApi = '/v5.0.0/libpod'

/** Options of Podman's driver `bridge`. With `mode=unmanaged`, it neither makes the bridge, nor gives it an address, nor removes it. */
export const podmanOption = { mode: 'mode', mtu: 'mtu' } as const
export const unmanaged = 'unmanaged'

type Creation = Extract<DockerCall, { readonly call: 'createNetwork' | 'createNote' }>

/** The body of the request that creates a network. A note is a network on which no container is. */
export function networkBody(call: Creation): Readonly<Record<string, unknown>> {
  const { network: name, labels } = call
  if (call.call === 'createNote') {
    return { name, labels, driver: 'bridge', options: { mode: unmanaged }, ipam_options: { driver: 'none' } }
  }
  const { driver, internal, ipv6, pools } = call
  return {
    name,
    labels,
    driver,
    internal,
    ipv6_enabled: ipv6,
    dns_enabled: false,
    network_interface: call.options[networkOption.bridge] ?? '',
    options: podmanOptions(call.options),
    subnets: pools.map(subnetBody)
  }
}

/** The options of a network in Podman's words. */
function podmanOptions(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
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

type Connection = Extract<DockerCall, { readonly call: 'connect' }>

/** The body of the request that connects a container. */
export function endpointBody({ container, options, aliases, address }: Connection): Readonly<Record<string, unknown>> {
  const name = options[interfaceOption.key]
  return {
    container,
    aliases: markAliases({ options, aliases }),
    ...(name !== undefined && { interface_name: name }),
    ...(address !== null && { static_ips: [address] })
  }
}

/** The aliases of an endpoint, with those that stand for its options. */
function markAliases({ options, aliases }: Pick<Connection, 'options' | 'aliases'>): readonly string[] {
  return [...Object.entries(options).map(([key, value]) => `${key}=${value}`), ...aliases]
}

/** Where root's Podman listens. */
const socket = '/run/podman/podman.sock'

/** A request as a command of Podman's own client; where that has no flag for an interface's name, of curl. */
export function podmanCommand(call: DockerCall): Argv {
  const create = ['podman', 'network', 'create', '--disable-dns'] as const
  const labels = 'labels' in call ? pairOptions('--label', call.labels) : []
  switch (call.call) {
    case 'createNetwork':
      return [
        ...create,
        ...['--driver', call.driver],
        ...(call.internal ? ['--internal'] : []),
        ...(call.ipv6 ? ['--ipv6'] : []),
        ...option('--interface-name', call.options[networkOption.bridge] ?? null),
        ...call.pools.flatMap(({ subnet, gateway, range }) => [
          ...['--subnet', subnet],
          ...option('--gateway', gateway),
          ...option('--ip-range', range)
        ]),
        ...pairOptions('--opt', podmanOptions(call.options)),
        ...labels,
        call.network
      ]
    case 'createNote':
      return [...create, '--ipam-driver', 'none', ...pairOptions('--opt', podmanOptions({})), ...labels, call.network]
    case 'removeNetwork':
    case 'dropNote':
      return ['podman', 'network', 'rm', call.network]
    case 'connect': {
      if (call.options[interfaceOption.key] !== undefined) return askByCurl(call)
      const aliases = markAliases(call).flatMap((alias) => ['--alias', alias])
      return ['podman', 'network', 'connect', ...aliases, ...option('--ip', call.address), call.network, call.container]
    }
    case 'disconnect':
      return ['podman', 'network', 'disconnect', '--force', call.network, call.container]
  }
}

function askByCurl(call: Extract<DockerCall, { readonly call: 'connect' }>): Argv {
  const path = `${podmanApi}/networks/${encodeURIComponent(call.network)}/connect`
  const body = JSON.stringify(endpointBody(call))
  const how = ['--fail-with-body', '--silent', '--show-error', '--unix-socket', socket] as const
  return ['curl', ...how, '--header', 'Content-Type: application/json', '--data', body, `http://podman${path}`]
}
