import type Dockerode from 'dockerode'
import type { Argv } from '../exec.ts'
import { option, pairOptions } from '../quote-command.ts'
import type { Pool } from '../snapshot.ts'
import { type Engine, interfaceOption, networkOption } from './docker-names.ts'
import type { Connection } from './endpoint-note.ts'
import type { ConnectedPort } from './left-port.ts'
import { connectByCurl, markAliases, type NewNetwork, podmanOptions } from './podman-calls.ts'

/** One request that changes something in Docker. It is data, so that a plan can show it and a program can read it. */
export type DockerCall =
  | (NewNetwork & { readonly call: 'createNetwork' })
  | {
      /** A network that only carries labels: it has no bridge and no addresses. */
      readonly call: 'createNote'
      readonly network: string
      readonly labels: Readonly<Record<string, string>>
    }
  | { readonly call: 'removeNetwork' | 'dropNote'; readonly network: string }
  | (Connection & { readonly call: 'connect' })
  | {
      readonly call: 'disconnect'
      readonly network: string
      readonly container: string
      /** The host's end of the container's interface, which has to go too; null: it is not known, or there is none. */
      readonly port: ConnectedPort | null
    }

/** The same request as a command of the engine's own client; where Podman's has no flag for an interface's name, of curl. */
export function callCommand(call: DockerCall, engine: Engine): Argv {
  const isPodman = engine === 'podman'
  const create = [engine, 'network', 'create', ...(isPodman ? ['--disable-dns'] : [])] as const
  switch (call.call) {
    case 'createNetwork':
      return [
        ...create,
        ...['--driver', call.driver],
        ...(call.internal ? ['--internal'] : []),
        ...(call.ipv6 ? ['--ipv6'] : []),
        ...(call.attachable ? ['--attachable'] : []),
        ...(isPodman ? option('--interface-name', call.options[networkOption.bridge]) : []),
        ...call.pools.flatMap(({ subnet, gateway, range, reserved }) => [
          ...['--subnet', subnet],
          ...option('--gateway', gateway),
          ...option('--ip-range', range),
          ...pairOptions('--aux-address', reserved)
        ]),
        ...pairOptions('--opt', isPodman ? podmanOptions(call.options) : call.options),
        ...pairOptions('--label', call.labels),
        call.network
      ]
    case 'createNote': {
      const empty = isPodman ? ['--ipam-driver', 'none', ...pairOptions('--opt', podmanOptions({}))] : ['--config-only']
      return [...create, ...empty, ...pairOptions('--label', call.labels), call.network]
    }
    case 'removeNetwork':
    case 'dropNote':
      return [engine, 'network', 'rm', call.network]
    case 'connect': {
      if (isPodman && call.options[interfaceOption.key] !== undefined) return connectByCurl(call)
      const aliases = isPodman ? markAliases(call) : call.aliases
      return [
        ...([engine, 'network', 'connect'] as const),
        ...(isPodman ? [] : pairOptions('--driver-opt', call.options)),
        ...aliases.flatMap((alias) => ['--alias', alias]),
        ...option('--ip', call.address),
        call.network,
        call.container
      ]
    }
    case 'disconnect':
      return [engine, 'network', 'disconnect', '--force', call.network, call.container]
  }
}

/** Sends one request. Before API 1.44, Docker makes a second network of the same name unless it is asked not to (CheckDuplicate). */
export function sendCall(docker: Dockerode, call: DockerCall): Promise<unknown> {
  switch (call.call) {
    case 'createNetwork':
      return docker.createNetwork({
        Name: call.network,
        CheckDuplicate: true,
        Driver: call.driver,
        Internal: call.internal,
        EnableIPv6: call.ipv6,
        Attachable: call.attachable,
        IPAM: { Config: call.pools.map(writePool) },
        Options: { ...call.options },
        Labels: { ...call.labels }
      })
    case 'createNote':
      return docker.createNetwork({
        Name: call.network,
        CheckDuplicate: true,
        ConfigOnly: true,
        Labels: { ...call.labels }
      })
    case 'removeNetwork':
    case 'dropNote':
      return networkOf(docker, call).remove()
    case 'connect':
      return networkOf(docker, call).connect({
        Container: call.container,
        EndpointConfig: {
          DriverOpts: { ...call.options },
          ...(call.aliases.length > 0 && { Aliases: [...call.aliases] }),
          ...(call.address !== null && { IPAMConfig: { IPv4Address: call.address } })
        }
      })
    case 'disconnect':
      return networkOf(docker, call).disconnect({ Container: call.container, Force: true })
  }
}

/** dockerode writes the name into the request's path as it is. */
function networkOf(docker: Dockerode, { network }: DockerCall): Dockerode.Network {
  return docker.getNetwork(encodeURIComponent(network))
}

function writePool({ subnet, gateway, range, reserved }: Pool) {
  return {
    Subnet: subnet,
    ...(gateway !== null && { Gateway: gateway }),
    ...(range !== null && { IPRange: range }),
    ...(Object.keys(reserved).length > 0 && { AuxiliaryAddresses: reserved })
  }
}
