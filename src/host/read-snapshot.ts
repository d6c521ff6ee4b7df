import { readFileSync } from 'node:fs'
import { compileFilters } from './compile-filters.ts'
import { readDocker } from './docker/read-docker.ts'
import { attachedCommand, parseAttached } from './parsers/bpftool.ts'
import { parseClassFilters, parseFilters } from './parsers/filters.ts'
import { linkCommands, parseLinks, parseOffloads, parseOwnMacEntries } from './parsers/ip.ts'
import { managerFiles } from './parsers/managers.ts'
import { hooksOf, parseQdiscs, sortersOf } from './parsers/qdiscs.ts'
import { parseRoutes, routesCommand } from './parsers/routes.ts'
import { findRoots, parseRoot, rootTableCommand } from './parsers/u32.ts'
import type { ReadRequest } from './read-request.ts'
import { parseOutput, runJson, runJsonBatch } from './run-json.ts'
import type { AttachedProgram, KernelState, Link, Manager, Route, Snapshot } from './snapshot.ts'
import { clsactHandle } from './tc-syntax.ts'

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

/** bpftool is no part of what spanplan needs, and neither is the right to use it: what it cannot tell is not known. */
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
  const [tcHooks, sorters] = [hooksOf(qdiscs), sortersOf(qdiscs)]
  const places = [
    ...tcHooks.map(({ device, tcHook }) => ({ device, qdisc: clsactHandle, words: [tcHook] })),
    ...sorters.map(({ device, handle }) => ({ device, qdisc: handle, words: ['parent', handle] }))
  ]
  const show = places.map(({ device, words }) => ['filter', 'show', 'dev', device, ...words])
  const documents = await readFilters(show)
  const unclear = parseOutput('tc', () => places.flatMap((place, index) => findRoots(place, documents[index] ?? [])))
  const answers = await readFilters(unclear.map(rootTableCommand))
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
  return commands.length === 0 ? [] : runJsonBatch(['tc', '-json', '-force', '-batch', '-'], commands)
}
