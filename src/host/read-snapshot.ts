import { readFileSync } from 'node:fs'
import { readDocker } from './docker/read-docker.ts'
import { attachedCommand, parseAttached } from './parsers/bpftool.ts'
import { parseFilters } from './parsers/filters.ts'
import { linkCommands, parseLinks, parseOffloads, parseOwnMacEntries } from './parsers/ip.ts'
import { managerFiles } from './parsers/managers.ts'
import { findClassful, findHooks, parseQdiscs } from './parsers/qdiscs.ts'
import { parseRoutes, routesCommand } from './parsers/routes.ts'
import { findRoots, parseRoot, rootTableCommand } from './parsers/u32.ts'
import type { ReadRequest } from './read-request.ts'
import { parseOutput, runJson, runJsonBatch } from './run-json.ts'
import type { AttachedProgram, ClassPlace, HookPlace, KernelState, Link, Manager, Route, Snapshot } from './snapshot.ts'
import { writePlace } from './tc-syntax.ts'

/**
 * Reads the snapshot.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN, DOCKER_FAILED.
 */
export async function readSnapshot(request: ReadRequest): Promise<Snapshot> {
  const [kernel, docker] = await Promise.all([readKernel(request), readDocker(request)])
  return { ...kernel, docker }
}

/**
 * Reads the kernel's part of the snapshot. The number of links, spans and mirrors does not change the number of processes: five, or
 * six with bpftool, one more if the root table of a u32 filter is not certain, and two more for routes.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readKernel(request: ReadRequest): Promise<KernelState> {
  const [links, tc, attached] = await Promise.all([
    readAllLinks(request.bridges),
    readTc(),
    request.copies ? readPrograms() : []
  ])
  const routes = await readRoutes(request.routed(links, tc.filters))
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { bootId, links, ...tc, attached, routes }
}

async function readAllLinks(bridges: ReadonlySet<string>): Promise<Link[]> {
  const [[linkDocument, addressDocument], fdb, ethtool] = await Promise.all([
    runJsonBatch(['ip', '-json', '-details', '-force', '-batch', '-'], linkCommands),
    runJson(['bridge', '-json', 'fdb', 'show']),
    runJson(['ethtool', '--json', '-k', '*'])
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

/** procfs shows the reader's own network namespace; sysfs may show another one. */
function readIpv6(name: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').trim() === '0'
  } catch {
    // The kernel has no IPv6, or the link is gone.
    return false
  }
}

/** Finds the tool that manages a link. The files in /run are about the network namespace that sysfs shows, and no other. */
export function readManager(link: Pick<Link, 'name' | 'index'>): Manager | null {
  if (Number(readOptionalFile(`/sys/class/net/${link.name}/ifindex`)) !== link.index) return null
  const file = managerFiles(link).find(({ path, claims }) => claims(readOptionalFile(path)))
  return file?.manager ?? null
}

function readOptionalFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The file does not exist, or a right is missing.
    return ''
  }
}

/** -force: a kernel without IPv6 refuses the commands for that family. */
async function readRoutes(devices: readonly string[]): Promise<Route[]> {
  if (devices.length === 0) return []
  const commands = devices.map(routesCommand)
  const families = [
    ['inet', '-4'],
    ['inet6', '-6']
  ] as const
  const routes = families.map(async ([family, flag]) => {
    const documents = await runJsonBatch(['ip', flag, '-json', '-force', '-batch', '-'], commands)
    return parseOutput('ip', () =>
      devices.flatMap((device, index) => parseRoutes(device, family, documents[index] ?? []))
    )
  })
  return (await Promise.all(routes)).flat()
}

/** spanplan does not depend on bpftool, nor on the right to use it. */
async function readPrograms(): Promise<AttachedProgram[]> {
  try {
    return parseAttached(await runJson(attachedCommand))
  } catch {
    return []
  }
}

async function readTc(): Promise<Pick<Snapshot, 'qdiscs' | 'filters' | 'classFilters'>> {
  const document = await runJson(['tc', '-json', 'qdisc', 'show'])
  const qdiscs = parseOutput('tc', () => parseQdiscs(document))
  const tcHooks = findHooks(qdiscs)
  const classful = findClassful(qdiscs).map(({ device, handle }) => ({ device, parent: handle }))
  const places = [...tcHooks, ...classful]
  const documents = await readFilters(places.map((place) => ['filter', 'show', ...writePlace(place)]))
  const uncertain = parseOutput('tc', () => places.flatMap((place, index) => findRoots(place, documents[index] ?? [])))
  const answers = await readFilters(uncertain.map(rootTableCommand))
  const roots = uncertain.map((root, index) => parseRoot(root, answers[index]))
  const parse = <Place extends HookPlace | ClassPlace>(place: Place, index: number) =>
    parseFilters(place, documents[index] ?? [], roots)
  return parseOutput('tc', () => ({
    qdiscs,
    filters: tcHooks.flatMap(parse),
    classFilters: classful.flatMap((place, index) => parse(place, tcHooks.length + index))
  }))
}

async function readFilters(commands: readonly (readonly string[])[]): Promise<unknown[]> {
  return commands.length === 0 ? [] : runJsonBatch(['tc', '-json', '-force', '-batch', '-'], commands)
}
