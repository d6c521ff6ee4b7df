import type Dockerode from 'dockerode'
import { diagnosticOf, SpanplanError } from '../../errors.ts'
import { forEachConcurrently } from '../exec.ts'
import { type ListedContainer, parseContainer, parseContainerList, parseNetworks } from '../parsers/docker.ts'
import { parseOutput } from '../read-commands.ts'
import type { ReadRequest } from '../read-request.ts'
import type { Container, DockerNetwork, DockerState, UnreadContainer } from '../snapshot.ts'
import type { CallLimits } from './call-limits.ts'
import { selectContainers, selectLabels } from './container-match.ts'
import { addPorts, isSandbox, isThere, readVeths } from './container-veths.ts'
import { connectDocker, type DockerClient, dockerFailed, statusOf } from './docker-client.ts'
import { canPodmanHandOut, dockerBridge, label, networkOption } from './docker-names.ts'
import { parseNote } from './endpoint-note.ts'
import { readInnerEnds } from './inner-ends.ts'
import {
  isRootless,
  listPodmanContainers,
  listPodmanNetworks,
  translateContainer,
  translateNetworks
} from './podman.ts'

/** Calls at a time: each is a connection, and a thousand containers may be sensors. */
const mostCalls = 16

/**
 * Reads Docker's part of the snapshot. Docker's API blocks while a container starts or stops.
 *
 * @throws SpanplanError DOCKER_FAILED, OUTPUT_UNKNOWN.
 */
export async function readDocker(request: ReadRequest, limits?: CallLimits): Promise<DockerState> {
  if (request.deferDocker) return { state: 'deferred' }
  const client = await connectDocker(limits)
  if ('reason' in client) return { state: 'unreachable', reason: client.reason }
  try {
    return await readState(client, request)
  } catch (error) {
    throw dockerFailed(error)
  }
}

/**
 * Lists the containers that run, by one call.
 *
 * @throws SpanplanError DOCKER_FAILED, OUTPUT_UNKNOWN; one of those of {@link connectDocker}: there is no Docker.
 */
export async function listRunning(limits?: CallLimits): Promise<{ readonly name: string; readonly image: string }[]> {
  const client = await connectDocker(limits)
  if ('reason' in client) throw new SpanplanError(client.reason)
  const { docker, podman } = client
  try {
    const document = await (canPodmanHandOut(podman) ? listPodmanContainers(docker) : docker.listContainers())
    const listed = parseOutput('docker', () => parseContainerList(document))
    return listed.flatMap(({ name, details }) => (details?.running ? [{ name, image: details.image }] : []))
  } catch (error) {
    throw dockerFailed(error)
  }
}

async function readState({ docker, api, podman }: DockerClient, request: ReadRequest): Promise<DockerState> {
  const asPodman = canPodmanHandOut(podman)
  const [networkList, containerList, rootless] = await Promise.all([
    asPodman ? listPodmanNetworks(docker) : docker.listNetworks(),
    asPodman ? listPodmanContainers(docker) : docker.listContainers({ all: true }),
    podman !== null && docker.info().then(isRootless)
  ])
  const [networks, listed] = parseOutput('docker', () => [
    parseNetworks(asPodman ? translateNetworks(networkList) : networkList),
    parseContainerList(containerList)
  ])
  const noted = networks.flatMap(({ labels }) => parseNote(labels) ?? [])
  const selected = selectContainers(
    listed,
    networks.filter((network) => hasContainersOfPlan(network, request)),
    [...request.containers, ...noted.map(({ container }) => ({ container }))]
  )
  const going = podman === null ? networks.filter(request.removable).map(({ name }) => name) : []
  const others = going.length === 0 ? [] : listed.filter((one) => one.details?.running && !selected.includes(one))
  const asked = [...selected, ...others]
  const read: (Container | UnreadContainer | null)[] = asked.map(() => null)
  const inspect = async ([index, one]: readonly [number, ListedContainer]) => {
    const found = await readContainer(docker, one, asPodman)
    read[index] = index < selected.length || isHalfOn(found, going) ? found : null
  }
  await forEachConcurrently([...asked.entries()], inspect, mostCalls)
  const withName = (one: Container) => ({ ...one, networkMode: writeNetworkMode(one.networkMode, networks, listed) })
  const place = async () => {
    const containers = read.flatMap((one) => (one === null || 'reason' in one ? [] : [withName(one)]))
    const veths = await readVeths(containers.flatMap(({ sandbox }) => sandbox ?? []))
    return containers.map((one) => addPorts(one, networks, veths))
  }
  const first = await place()
  // What starts or ends just now has another namespace, or no interface yet, or none any more: Docker is asked again, once.
  const changing = new Set(first.filter(mayBeChanging).map(({ id }) => id))
  await forEachConcurrently(
    [...asked.entries()].filter(([, { id }]) => changing.has(id)),
    inspect,
    mostCalls
  )
  const placed = changing.size === 0 ? first : await place()
  const labels = selectLabels(listed, request.containers)
  const ours = networks.filter(({ name, labels }) => labels[label.name] !== undefined || request.networks.has(name))
  return {
    ...({ state: 'read', api, networks } as const),
    ...(podman !== null && { podman: { version: podman, rootless } }),
    containers: await readInnerEnds(placed, new Set(ours.map(({ name }) => name))),
    unread: read.flatMap((one) => (one !== null && 'reason' in one ? [one] : [])),
    names: listed.map(({ name }) => name),
    ...(labels && { labels })
  }
}

/**
 * Whether a container that Docker's list has on no such network is on one by its description. Docker leaves that behind where it
 * fails to connect a container that runs (26.1). Without the network, the container could not be started again.
 */
function isHalfOn(one: Container | UnreadContainer | null, networks: readonly string[]): boolean {
  return one !== null && 'endpoints' in one && one.endpoints.some(({ network }) => networks.includes(network))
}

/** A mode that names a network or a container by its id names it by its name; one that is gone, by the start of its id, as Docker does. */
function writeNetworkMode(
  mode: string,
  networks: readonly DockerNetwork[],
  containers: readonly ListedContainer[]
): string {
  const [, prefix = '', id = ''] = /^(container:)?([0-9a-f]{64})$/.exec(mode) ?? []
  if (id === '') return mode
  const known: readonly { readonly id: string; readonly name: string }[] = prefix === '' ? networks : containers
  return `${prefix}${known.find((one) => one.id === id)?.name ?? id.slice(0, 12)}`
}

/**
 * Whether Docker has called it running, and the kernel knows no network namespace of it, or no interface of a network in that.
 * Docker makes the file of a namespace a moment before it is one, and removes it a moment after.
 */
function mayBeChanging({ running, restarting, sandbox, veths, endpoints }: Container): boolean {
  if (!running || restarting || sandbox === null) return false
  const hasFile = isThere(sandbox)
  return hasFile === false || (veths === null && hasFile === true) || endpoints.some(({ port }) => port === 'absent')
}

/**
 * A container that Docker fails to describe does not keep the others from being read. null: the container was removed after Docker
 * listed it.
 */
async function readContainer(
  docker: Dockerode,
  { id, name }: ListedContainer,
  isPodman: boolean
): Promise<Container | UnreadContainer | null> {
  try {
    const document = await docker.getContainer(id).inspect()
    const described = isPodman ? translateContainer(document) : document
    return parseOutput('docker', () => parseContainer(described, Date.now(), isSandbox))
  } catch (error) {
    const status = statusOf(error)
    if (status === 404) return null
    const isUnknown = error instanceof SpanplanError && error.diagnostics.every(({ code }) => code === 'OUTPUT_UNKNOWN')
    if (status === undefined && !isUnknown) throw error
    return { name, reason: diagnosticOf(dockerFailed(error)) }
  }
}

/** Whether a network's containers matter to the plan: they are sensors, or sources. */
function hasContainersOfPlan(network: DockerNetwork, request: ReadRequest): boolean {
  return (
    network.labels[label.name] !== undefined ||
    request.networks.has(network.name) ||
    request.sourceNetworks.has(network.name) ||
    request.bridges.has(dockerBridge(network) ?? '') ||
    // The network uses a bridge that existed before it, and that may be a span's.
    (network.options[networkOption.bridge] !== undefined && network.options[networkOption.isDefault] !== 'true')
  )
}
