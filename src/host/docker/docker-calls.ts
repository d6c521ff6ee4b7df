import type Dockerode from 'dockerode'
import type { Argv } from '../exec.ts'
import { option, pairOptions } from '../quote-command.ts'
import type { DockerNetwork, Pool } from '../snapshot.ts'
import type { ConnectedPort } from './left-port.ts'

/** One request that changes something in Docker. It is data, so that a plan can show it and a program can read it. */
export type DockerCall =
  | (Omit<DockerNetwork, 'id' | 'name'> & { readonly call: 'createNetwork'; readonly network: string })
  | {
      /** A network that only carries labels: it has no bridge and no addresses. */
      readonly call: 'createNote'
      readonly network: string
      readonly labels: Readonly<Record<string, string>>
    }
  | { readonly call: 'removeNetwork' | 'dropNote'; readonly network: string }
  | {
      readonly call: 'connect'
      readonly network: string
      readonly container: string
      readonly options: Readonly<Record<string, string>>
      readonly aliases: readonly string[]
      readonly address: string | null
    }
  | {
      readonly call: 'disconnect'
      readonly network: string
      readonly container: string
      /** The host's end of the container's interface, which has to go too; null: it is not known, or there is none. */
      readonly port: ConnectedPort | null
    }

/** The same request as a command of Docker's own client. */
export function dockerCommand(call: DockerCall): Argv {
  switch (call.call) {
    case 'createNetwork':
      return [
        ...(['docker', 'network', 'create', '--driver', call.driver] as const),
        ...(call.internal ? ['--internal'] : []),
        ...(call.ipv6 ? ['--ipv6'] : []),
        ...(call.attachable ? ['--attachable'] : []),
        ...call.pools.flatMap(({ subnet, gateway, range, reserved }) => [
          ...['--subnet', subnet],
          ...option('--gateway', gateway),
          ...option('--ip-range', range),
          ...pairOptions('--aux-address', reserved)
        ]),
        ...pairOptions('--opt', call.options),
        ...pairOptions('--label', call.labels),
        call.network
      ]
    case 'createNote':
      return ['docker', 'network', 'create', '--config-only', ...pairOptions('--label', call.labels), call.network]
    case 'removeNetwork':
    case 'dropNote':
      return ['docker', 'network', 'rm', call.network]
    case 'connect':
      return [
        ...(['docker', 'network', 'connect'] as const),
        ...pairOptions('--driver-opt', call.options),
        ...call.aliases.flatMap((alias) => ['--alias', alias]),
        ...option('--ip', call.address),
        call.network,
        call.container
      ]
    case 'disconnect':
      return ['docker', 'network', 'disconnect', '--force', call.network, call.container]
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
      return docker.getNetwork(call.network).remove()
    case 'connect':
      return docker.getNetwork(call.network).connect({
        Container: call.container,
        EndpointConfig: {
          DriverOpts: { ...call.options },
          ...(call.aliases.length > 0 && { Aliases: [...call.aliases] }),
          ...(call.address !== null && { IPAMConfig: { IPv4Address: call.address } })
        }
      })
    case 'disconnect':
      return docker.getNetwork(call.network).disconnect({ Container: call.container, Force: true })
  }
}

function writePool({ subnet, gateway, range, reserved }: Pool) {
  return {
    Subnet: subnet,
    ...(gateway !== null && { Gateway: gateway }),
    ...(range !== null && { IPRange: range }),
    ...(Object.keys(reserved).length > 0 && { AuxiliaryAddresses: reserved })
  }
}
