import type Dockerode from 'dockerode'
import * as z from 'zod'
import { parseContainerList } from '../parsers/docker.ts'
import { parseRecords, strings } from '../parsers/records.ts'
import { type DockerCall, sendCall } from './docker-calls.ts'
import { interfaceOption, label, networkOption } from './docker-names.ts'
import { endpointBody, networkBody, noteBody, podmanApi, podmanOption, unmanaged } from './podman-calls.ts'

/**
 * Podman in Docker's place. It answers Docker's calls, but what a span rests on is in its own API alone: a network's bridge, a
 * bridge that it leaves to others, the name of an interface. Here it is translated to and from Docker's words (docs.podman.io, "API").
 */

const networkOutput = z
  .object({
    id: z.string(),
    name: z.string(),
    driver: z.string(),
    network_interface: z.string().default(''),
    internal: z.boolean().default(false),
    ipv6_enabled: z.boolean().default(false),
    labels: strings,
    options: strings,
    subnets: z
      .array(
        z.object({
          subnet: z.string(),
          gateway: z.string().optional(),
          lease_range: z.object({ start_ip: z.string(), end_ip: z.string() }).nullish()
        })
      )
      .nullish()
  })
  .transform(({ id, name, driver, network_interface: link, subnets, ...network }) => {
    const { [podmanOption.mode]: mode, [podmanOption.mtu]: mtu, ...others } = network.options
    return {
      Id: id,
      Name: name,
      Driver: driver,
      Internal: network.internal,
      EnableIPv6: network.ipv6_enabled,
      Labels: network.labels,
      Options: {
        ...others,
        ...(link !== '' && { [driver === 'bridge' ? networkOption.bridge : networkOption.parent]: link }),
        ...(driver === 'bridge' && {
          [mode === unmanaged ? networkOption.noAddress : networkOption.ownBridge]: 'true'
        }),
        ...(mtu !== undefined && { [networkOption.mtu]: mtu })
      },
      IPAM: {
        Config: (subnets ?? []).map(({ subnet, gateway, lease_range: range }) => ({
          Subnet: subnet,
          Gateway: gateway,
          ...(range && { IPRange: `${range.start_ip}-${range.end_ip}` })
        }))
      }
    }
  })

const opaqueNetworkOutput = z
  .object({ id: z.string(), name: z.string() })
  .transform(({ id, name }) => ({ Id: id, Name: name }))

/** Reads Podman's networks. */
export function listPodmanNetworks(docker: Dockerode): Promise<unknown> {
  return get(docker, '/networks/json')
}

/** Translates Podman's list of networks into Docker's. Of one that is not understood, only the name is there. */
export function translateNetworks(document: unknown): unknown[] {
  return parseRecords(z.union([networkOutput, opaqueNetworkOutput]), document)
}

/** Reads the list of all containers. Docker's own call fails for all where Podman cannot describe one. */
export function listPodmanContainers(docker: Dockerode): Promise<unknown> {
  return get(docker, '/containers/json?', { all: true })
}

const infoOutput = z.object({ SecurityOptions: z.array(z.string()) })

/** Whether a daemon that says this of itself is a user's own: its networks are in a namespace of that user, and the host's bridges are not. */
export function isRootless(info: unknown): boolean {
  return infoOutput.safeParse(info).data?.SecurityOptions.includes('name=rootless') ?? false
}

/** What stands for an option of an endpoint, for which Podman has no place: an alias. */
const markAlias = new RegExp(`^(spanplan\\.\\w+|${interfaceOption.key.replaceAll('.', '\\.')})=(.*)$`, 's')

const inspectOutput = z.looseObject({
  Id: z.string(),
  HostConfig: z.looseObject({ NetworkMode: z.string().default('') }),
  NetworkSettings: z.looseObject({
    Networks: z.record(
      z.string(),
      z.looseObject({
        NetworkID: z.string().default(''),
        Aliases: z.array(z.string()).nullish(),
        IPAddress: z.string().default('')
      })
    )
  })
})

/**
 * Translates Podman's description of a container: an endpoint's options are among its aliases. Podman does not tell whether an
 * address was asked for: what others have connected keeps the one that it has.
 */
export function translateContainer(document: unknown): unknown {
  const { success, data } = inspectOutput.safeParse(document)
  if (!success) return document
  const { NetworkSettings, HostConfig, Id } = data
  // What uses the network of another container is described as if it were that one.
  if (HostConfig.NetworkMode.startsWith('container:'))
    return { ...data, NetworkSettings: { ...NetworkSettings, SandboxKey: '', Networks: {} } }
  const endpoints = Object.entries(NetworkSettings.Networks).map(([network, endpoint]) => {
    // Podman gives each container its id as an alias, and again with each connection.
    const aliases = (endpoint.Aliases ?? []).filter((alias) => alias !== Id.slice(0, 12))
    const options = aliases.flatMap((alias) => {
      const [, key, value] = markAlias.exec(alias) ?? []
      return key === undefined ? [] : [[key, value] as const]
    })
    const isOurs = options.some(([key]) => key === label.name)
    return [
      network,
      {
        ...endpoint,
        Aliases: isOurs ? aliases.filter((alias) => !markAlias.test(alias)) : aliases,
        DriverOpts: isOurs ? Object.fromEntries(options) : {},
        IPAMConfig: isOurs || endpoint.IPAddress === '' ? null : { IPv4Address: endpoint.IPAddress }
      }
    ] as const
  })
  // A container that is on no network is said to be on one of this name, which does not exist.
  const real = endpoints.filter(([network, { NetworkID }]) => network !== 'bridge' || NetworkID !== 'bridge')
  return { ...data, NetworkSettings: { ...NetworkSettings, Networks: Object.fromEntries(real) } }
}

/** Sends one request: by Podman's own API, where Docker's does not do. */
export async function callPodman(docker: Dockerode, call: DockerCall): Promise<unknown> {
  switch (call.call) {
    case 'createNetwork':
      return post(docker, '/networks/create', networkBody(call))
    case 'createNote':
      return post(docker, '/networks/create', noteBody(call.network, call.labels))
    case 'connect':
      return post(docker, `/networks/${encodeURIComponent(call.network)}/connect`, endpointBody(call))
    case 'disconnect':
    case 'removeNetwork':
    case 'dropNote':
      return sendCall(docker, call)
  }
}

/**
 * Puts in order what Podman leaves behind where it fails to connect or to disconnect a container. What it remembers of the container's
 * networks then differs from what it remembers of their interfaces, and it describes the container no more until that has started again
 * (Podman 5.4). To disconnect it ends the first; to connect it once more ends the second, if the bridge is there.
 *
 * @returns whether the container is where the call wanted it.
 */
export async function mendPlace(docker: Dockerode, call: DockerCall): Promise<boolean> {
  if (call.call !== 'connect' && call.call !== 'disconnect') return false
  const { network, container } = call
  const body = { Container: container, Force: true }
  const attempt = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => false
    )
  const isDescribed = () => attempt(docker.getContainer(container).inspect())
  const leave = () => attempt(docker.getNetwork(network).disconnect(body))
  if (call.call === 'connect') {
    if (!(await isDescribed())) await leave()
    return false
  }
  const listed = parseContainerList(await listPodmanContainers(docker))
  const one = listed.find(({ id, details }) => id === container || details?.names.includes(container))
  // Podman remembers it as one of the network.
  if (one?.details?.networks.includes(network)) return false
  if (await isDescribed()) return true
  await attempt(docker.getNetwork(network).connect(body))
  await leave()
  return isDescribed()
}

/** Reads from Podman's own API. */
function get(docker: Dockerode, path: string, query?: object): Promise<unknown> {
  return dial(docker, { path: `${podmanApi}${path}`, method: 'GET', statusCodes, ...(query && { options: query }) })
}

/** Sends a request of Podman's own API that changes something. */
function post(docker: Dockerode, path: string, body: object): Promise<unknown> {
  return dial(docker, { path: `${podmanApi}${path}`, method: 'POST', statusCodes, options: body })
}

const statusCodes = { 200: true, 201: true, 404: 'not found', 409: 'conflict', 500: 'server error' } as const

function dial(docker: Dockerode, request: Parameters<Dockerode['modem']['dial']>[0]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    docker.modem.dial(request, (error, answer) => (error ? reject(error) : resolve(answer)))
  })
}
