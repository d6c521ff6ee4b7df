import { readFileSync } from 'node:fs'
import type Dockerode from 'dockerode'
import { diagnosticOf, SpanplanError } from '../errors.ts'
import type { ContainerSelector } from '../spec/values/container-selector.ts'
import { compileFilters } from './compile-filters.ts'
import { containersInScope, type ListedContainer } from './container-match.ts'
import { readVeths, withPorts } from './container-veths.ts'
import { type Connection, dockerFailed, findDaemon } from './docker-client.ts'
import { parseAttached, readAttached } from './parsers/bpftool.ts'
import { dockerBridge, label, networkOption, parseContainer, parseNetworks, parseNote } from './parsers/docker.ts'
import { clsactHandle, parseClassFilters, parseFilters } from './parsers/filters.ts'
import { parseLinks, parseOffloads, parseOwnMacEntries, readLinks } from './parsers/ip.ts'
import { managerFiles } from './parsers/managers.ts'
import { askForRoutes, parseRoutes } from './parsers/routes.ts'
import { hooksOf, parseQdiscs, sortersOf } from './parsers/tc.ts'
import { askForRoot, findRoots, parseRoot } from './parsers/u32.ts'
import type {
  AttachedProgram,
  Container,
  DockerNetwork,
  DockerState,
  Filter,
  KernelState,
  Link,
  Manager,
  Route,
  Snapshot,
  UnreadContainer
} from './snapshot.ts'
import { batch, parseOutput, readJson } from './tool-output.ts'

/** What a plan wants to know of the host, besides its links and their filters. */
export interface ReadRequest {
  /** The pcap expressions to compile. */
  readonly expressions: readonly string[]
  /** Milliseconds for which tcpdump is waited for; what is not compiled by then is pending. Without it, all is waited for. */
  readonly filterPatience?: number
  /** There are cards to copy from. */
  readonly copies: boolean
  /** The interfaces, by name, whose routes the plan depends on: each costs a walk through all routes. */
  readonly routed: (links: readonly Link[], filters: readonly Filter[]) => readonly string[]
  /** The Docker networks and bridges that concern it, by name, and the containers, whether they exist or not. */
  readonly networks: ReadonlySet<string>
  readonly bridges: ReadonlySet<string>
  readonly containers: readonly ContainerSelector[]
  /** Docker is left for a later run. */
  readonly deferDocker: boolean
}

/**
 * Takes the snapshot.
 *
 * @throws SpanplanError if a program is missing, hangs, or says what spanplan does not understand; or if Docker fails.
 */
export async function readSnapshot(request: ReadRequest): Promise<Snapshot> {
  const [kernel, docker] = await Promise.all([readKernel(request), readDocker(request)])
  return { ...kernel, docker }
}

/**
 * Asks the kernel. Five processes, or six with bpftool, however many links, spans and mirrors there are, one for each
 * expression that is new, one more where u32's tables are not clear, and two more where routes matter.
 *
 * @throws SpanplanError if a program is missing, hangs, or says what spanplan does not understand.
 */
export async function readKernel(request: ReadRequest): Promise<KernelState> {
  const [links, tc, attached, programs] = await Promise.all([
    readAllLinks(request.bridges),
    readTc(),
    request.copies ? readPrograms() : [],
    compileFilters(request.expressions, request.filterPatience)
  ])
  const routes = await readRoutes(request.routed(links, tc.filters))
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { bootId, links, ...tc, attached, routes, programs }
}

/**
 * Asks Docker, which answers for a container only once it has done starting or stopping it.
 *
 * @throws SpanplanError DOCKER_FAILED, or that its answer is not understood.
 */
export async function readDocker(request: ReadRequest): Promise<DockerState> {
  if (request.deferDocker) return { state: 'deferred' }
  const daemon = await findDaemon()
  if ('reason' in daemon) return { state: 'unreachable', reason: daemon.reason }
  try {
    return await askDocker(daemon, request)
  } catch (error) {
    throw dockerFailed(error)
  }
}

async function readAllLinks(bridges: ReadonlySet<string>): Promise<Link[]> {
  const [[linkDocument, addressDocument], fdb, ethtool] = await Promise.all([
    batch(['ip', '-json', '-details', '-force', '-batch', '-'], readLinks),
    readJson(['bridge', '-json', 'fdb', 'show']),
    readJson(['ethtool', '--json', '-k', '*'])
  ])
  const own = parseOutput('bridge', () => parseOwnMacEntries(fdb))
  const offloads = parseOutput('ethtool', () => parseOffloads(ethtool))
  const links = parseOutput('ip', () => parseLinks(linkDocument, addressDocument))
  return links.map((link) => ({
    ...link,
    ipv6: readIpv6(link.name),
    ownMacEntry: own.has(`${link.name} ${link.mac}`),
    offloads: offloads.get(link.name) ?? {},
    manager: bridges.has(link.name) ? readManager(link) : null
  }))
}

/** procfs shows the reader's own network namespace, which sysfs does not. */
function readIpv6(name: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').trim() === '0'
  } catch {
    // A kernel without IPv6, or a link that has just gone.
    return false
  }
}

/** Whose a link is. What lies in /run is believed of the network namespace that sysfs shows, not of another one's. */
export function readManager(link: Pick<Link, 'name' | 'index'>): Manager | null {
  if (Number(readIfThere(`/sys/class/net/${link.name}/ifindex`)) !== link.index) return null
  const file = managerFiles(link).find(({ path, claims }) => claims(readIfThere(path)))
  return file?.manager ?? null
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not there, or not ours to read: it tells nothing.
    return ''
  }
}

/** A kernel without IPv6 has no routes of that family: it fails, and is asked with -force. */
async function readRoutes(devices: readonly string[]): Promise<Route[]> {
  if (devices.length === 0) return []
  const commands = devices.map(askForRoutes)
  const families = [
    ['inet', '-4'],
    ['inet6', '-6']
  ] as const
  const routes = families.map(async ([family, flag]) => {
    const documents = await batch(['ip', flag, '-json', '-force', '-batch', '-'], commands)
    return parseOutput('ip', () =>
      devices.flatMap((device, index) => parseRoutes(device, family, documents[index] ?? []))
    )
  })
  return (await Promise.all(routes)).flat()
}

/** bpftool is no part of what spanplan needs, and neither is the right to use it: what it cannot tell is not known. */
async function readPrograms(): Promise<AttachedProgram[]> {
  try {
    return parseAttached(await readJson(readAttached))
  } catch {
    return []
  }
}

async function readTc(): Promise<Pick<Snapshot, 'qdiscs' | 'filters' | 'classFilters'>> {
  const document = await readJson(['tc', '-json', 'qdisc', 'show'])
  const qdiscs = parseOutput('tc', () => parseQdiscs(document))
  const [tcHooks, sorters] = [hooksOf(qdiscs), sortersOf(qdiscs)]
  const places = [
    ...tcHooks.map(({ device, tcHook }) => ({ device, qdisc: clsactHandle, words: [tcHook] })),
    ...sorters.map(({ device, handle }) => ({ device, qdisc: handle, words: ['parent', handle] }))
  ]
  const show = places.map(({ device, words }) => ['filter', 'show', 'dev', device, ...words])
  const documents = await readFilters(show)
  const unclear = parseOutput('tc', () => places.flatMap((place, index) => findRoots(place, documents[index] ?? [])))
  const answers = await readFilters(unclear.map(askForRoot))
  const roots = unclear.map((root, index) => parseRoot(root, answers[index]))
  return parseOutput('tc', () => ({
    qdiscs,
    filters: tcHooks.flatMap(({ device, tcHook }, index) =>
      parseFilters(device, tcHook, documents[index] ?? [], roots)
    ),
    classFilters: sorters.flatMap(({ device, handle }, index) =>
      parseClassFilters(device, handle, documents[tcHooks.length + index] ?? [], roots)
    )
  }))
}

async function readFilters(commands: readonly (readonly string[])[]): Promise<unknown[]> {
  return commands.length === 0 ? [] : batch(['tc', '-json', '-force', '-batch', '-'], commands)
}

async function askDocker({ docker, api }: Connection, request: ReadRequest): Promise<DockerState> {
  const [networkList, containerList] = await Promise.all([docker.listNetworks(), docker.listContainers({ all: true })])
  const networks = parseOutput('docker', () => parseNetworks(networkList))
  const concerned = networks.filter((network) => concerns(network, request))
  const away = networks.flatMap(({ labels }) => parseNote(labels) ?? [])
  const choices = [...request.containers, ...away.map(({ container }) => ({ container }))]
  const listed = parseOutput('docker', () => containersInScope(containerList, concerned, choices))
  const read = await Promise.all(listed.map((one) => readContainer(docker, one)))
  const containers = read.flatMap(({ container }) => container ?? [])
  const veths = await readVeths(containers.flatMap(({ sandbox }) => sandbox ?? []))
  return {
    ...({ state: 'read', api, networks } as const),
    containers: containers.map((one) => withPorts(one, networks, veths)),
    unread: read.flatMap(({ unread }) => unread ?? [])
  }
}

/** One container that Docker cannot tell of, or not so that it is understood, is no reason to know nothing of the others. */
async function readContainer(
  docker: Dockerode,
  { id, name }: ListedContainer
): Promise<{ readonly container?: Container | null; readonly unread?: UnreadContainer }> {
  try {
    return { container: await inspectContainer(docker, id) }
  } catch (error) {
    const isAlone = error instanceof Error && ('statusCode' in error || isNotUnderstood(error))
    if (!isAlone) throw error
    return { unread: { name, reason: diagnosticOf(dockerFailed(error)) } }
  }
}

function isNotUnderstood(error: Error): boolean {
  return error instanceof SpanplanError && error.diagnostics.every(({ code }) => code === 'OUTPUT_UNKNOWN')
}

function concerns(network: DockerNetwork, request: ReadRequest): boolean {
  return (
    network.labels[label.name] !== undefined ||
    request.networks.has(network.name) ||
    request.bridges.has(dockerBridge(network) ?? '') ||
    // On a bridge that was there before it, as a span's may be.
    (network.options[networkOption.bridge] !== undefined && network.options[networkOption.isDefault] !== 'true')
  )
}

/** null for a container that went away between the list and this. */
async function inspectContainer(docker: Dockerode, id: string): Promise<Container | null> {
  try {
    const document = await docker.getContainer(id).inspect()
    return parseOutput('docker', () => parseContainer(document))
  } catch (error) {
    if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return null
    throw error
  }
}
