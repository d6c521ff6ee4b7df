import * as z from 'zod'
import type { Argv } from '../exec.ts'
import type { Container, DockerNetwork, Endpoint, Pool } from '../snapshot.ts'

/** Docker's names for what spanplan sets on a network (docs.docker.com, "Bridge network driver"). */
export const networkOption = {
  bridge: 'com.docker.network.bridge.name',
  noAddress: 'com.docker.network.bridge.inhibit_ipv4',
  mtu: 'com.docker.network.driver.mtu',
  /** The device below a network of the drivers macvlan and ipvlan. */
  parent: 'parent',
  /** Docker's own bridge, which every container is on that says nothing else. */
  isDefault: 'com.docker.network.bridge.default_bridge'
} as const

/** The labels and endpoint options that mark what spanplan made. */
export const label = {
  name: 'spanplan.name',
  span: 'spanplan.span',
  bridge: 'spanplan.bridge',
  note: 'spanplan.note'
} as const

/** The labels by which Compose knows what it made (pkg/api/labels.go of docker/compose). */
export const composeLabel = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  /** `True` on a container of `docker compose run`. */
  oneoff: 'com.docker.compose.oneoff'
} as const

/** The endpoint option that names the interface in the container, and the first API that knows it: Docker 28's. */
export const interfaceOption = { key: 'com.docker.network.endpoint.ifname', api: '1.48' } as const

/** One request to Docker that changes something: data, so that a plan can show it and a program read it. */
export type DockerCall =
  | {
      readonly call: 'createNetwork'
      readonly network: string
      readonly driver: string
      readonly internal: boolean
      readonly ipv6: boolean
      readonly attachable: boolean
      readonly pools: readonly Pool[]
      readonly options: Readonly<Record<string, string>>
      readonly labels: Readonly<Record<string, string>>
    }
  | {
      /** A network of labels alone: it has no bridge and no addresses. */
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
  | { readonly call: 'disconnect'; readonly network: string; readonly container: string }

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
          ...(gateway === null ? [] : ['--gateway', gateway]),
          ...(range === null ? [] : ['--ip-range', range]),
          ...pairs('--aux-address', reserved)
        ]),
        ...pairs('--opt', call.options),
        ...pairs('--label', call.labels),
        call.network
      ]
    case 'createNote':
      return ['docker', 'network', 'create', '--config-only', ...pairs('--label', call.labels), call.network]
    case 'removeNetwork':
    case 'dropNote':
      return ['docker', 'network', 'rm', call.network]
    case 'connect':
      return [
        ...(['docker', 'network', 'connect'] as const),
        ...pairs('--driver-opt', call.options),
        ...call.aliases.flatMap((alias) => ['--alias', alias]),
        ...(call.address === null ? [] : ['--ip', call.address]),
        call.network,
        call.container
      ]
    case 'disconnect':
      return ['docker', 'network', 'disconnect', '--force', call.network, call.container]
  }
}

function pairs(flag: string, record: Readonly<Record<string, string>>): string[] {
  return Object.entries(record).flatMap(([key, value]) => [flag, `${key}=${value}`])
}

/**
 * What a live network or container is called in a request and in a command: by its name, or by its id where Docker takes any
 * name, but its API would read this one as a path, its client as an option, or both as the id of another.
 */
export function referTo({ id, name }: Pick<DockerNetwork | Container, 'id' | 'name'>): string {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) && !/^[0-9a-f]{64}$/.test(name) ? name : id
}

/** The bridge that Docker uses, or makes, for a network; null for one of another driver. */
export function dockerBridge({ driver, id, options }: DockerNetwork): string | null {
  // libnetwork's own name for it: the id's first 12 digits.
  return driver === 'bridge' ? (options[networkOption.bridge] ?? `br-${id.slice(0, 12)}`) : null
}

/** A record of texts; Docker's own word for an empty one is null. */
export const strings = z
  .record(z.string(), z.string())
  .nullish()
  .transform((record) => record ?? {})

const noteOutput = z.object({
  network: z.string(),
  container: z.string(),
  options: z.record(z.string(), z.string()).readonly(),
  aliases: z.array(z.string()).readonly(),
  address: z.string().nullable(),
  /** That of the network, in which the address is. */
  subnet: z.string().nullable()
})

/** A container that is off a network for a moment, and how it was on it. */
export type EndpointNote = Readonly<z.infer<typeof noteOutput>>

/** The label that keeps a note. */
export function writeNote(note: EndpointNote): Readonly<Record<string, string>> {
  const { network, container, options, aliases, address, subnet } = note
  return { [label.note]: JSON.stringify({ network, container, options, aliases, address, subnet }) }
}

/** Reads what {@link writeNote} wrote; null for a network without such a label. */
export function parseNote(labels: Readonly<Record<string, string>>): EndpointNote | null {
  try {
    return noteOutput.parse(JSON.parse(labels[label.note] ?? ''))
  } catch {
    return null
  }
}

const networkOutput = z.object({
  Id: z.string(),
  Name: z.string(),
  Driver: z.string(),
  Internal: z.boolean().default(false),
  EnableIPv6: z.boolean().default(false),
  Attachable: z.boolean().default(false),
  Options: strings,
  Labels: strings,
  IPAM: z
    .object({
      Config: z
        .array(
          z.object({
            Subnet: z.string().optional(),
            Gateway: z.string().optional(),
            IPRange: z.string().optional(),
            AuxiliaryAddresses: strings
          })
        )
        .nullish()
    })
    .nullish()
})

const containerOutput = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({ Running: z.boolean(), Restarting: z.boolean().default(false) }),
  Config: z.object({ Labels: strings }),
  HostConfig: z.object({ NetworkMode: z.string().default('default') }),
  NetworkSettings: z.object({
    SandboxKey: z.string().default(''),
    Networks: z
      .record(
        z.string(),
        z.object({
          NetworkID: z.string().default(''),
          Aliases: z.array(z.string()).nullish(),
          DriverOpts: strings,
          IPAMConfig: z.object({ IPv4Address: z.string().optional() }).nullish()
        })
      )
      .nullish()
  })
})

/** What Docker's list of networks holds. */
export function parseNetworks(document: unknown): DockerNetwork[] {
  return z
    .array(networkOutput)
    .parse(document)
    .map((network) => ({
      id: network.Id,
      name: network.Name,
      driver: network.Driver,
      internal: network.Internal,
      ipv6: network.EnableIPv6,
      attachable: network.Attachable,
      pools: (network.IPAM?.Config ?? []).flatMap(({ Subnet, Gateway, IPRange, AuxiliaryAddresses }) =>
        Subnet
          ? [{ subnet: Subnet, gateway: Gateway || null, range: IPRange || null, reserved: AuxiliaryAddresses }]
          : []
      ),
      options: network.Options,
      labels: network.Labels
    }))
}

/** Whether a daemon whose newest API this is knows an API of that version. */
export function speaks(api: string, wanted: string): boolean {
  const [major = 0, minor = 0] = api.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** What Docker's inspection of one container holds; the ports are not known from that. */
export function parseContainer(document: unknown): Container {
  const inspected = containerOutput.parse(document)
  const { Running: running } = inspected.State
  return {
    id: inspected.Id,
    name: inspected.Name.replace(/^\//, ''),
    labels: inspected.Config.Labels,
    running,
    restarting: inspected.State.Restarting,
    networkMode: inspected.HostConfig.NetworkMode,
    sandbox: (running && inspected.NetworkSettings.SandboxKey) || null,
    endpoints: Object.entries(inspected.NetworkSettings.Networks ?? {}).map(
      ([network, endpoint]): Endpoint => ({
        network,
        networkId: endpoint.NetworkID,
        aliases: endpoint.Aliases ?? [],
        driverOptions: endpoint.DriverOpts,
        fixedAddress: endpoint.IPAMConfig?.IPv4Address ?? null,
        port: 'unknown'
      })
    )
  }
}
