import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { readDocker } from './docker/read-docker.ts'
import { run } from './exec.ts'
import { readText } from './files/open-file.ts'
import { readNftables, readSenderTables } from './nftables/read-nftables.ts'
import { attachedCommand, attachedLines, hasNetworkPrograms, parseAttached } from './parsers/bpftool.ts'
import { encodeBytes } from './parsers/bytes.ts'
import { parseFilters } from './parsers/filters.ts'
import { parseForwarding, parseLinks, parseOffloads } from './parsers/ip.ts'
import { findClassful, findHooks, parseQdiscs } from './parsers/qdiscs.ts'
import { parseToolJson } from './parsers/tool-json.ts'
import { findRoots, parseRoot, rootTableCommand } from './parsers/u32.ts'
import { forgetNames, namesForgotten, noteNames } from './process/program-pool.ts'
import { forget, recall, type Topic } from './process/remembered.ts'
import { parseOutput, readCommands, readJson, readJsonBatch, readParsed, runJsonBatch } from './read-commands.ts'
import { readManager } from './read-manager.ts'
import type { ReadRequest } from './read-request.ts'
import { readRings } from './ring/read-rings.ts'
import { readRoutes } from './routes/read-routes.ts'
import { readWays } from './routes/read-ways.ts'
import type {
  AttachedProgram,
  ClassPlace,
  HookPlace,
  IpLink,
  KernelState,
  Link,
  Nftables,
  Qdisc,
  Snapshot,
  TunnelEnd
} from './snapshot.ts'
import { writePlace } from './tc-conventions.ts'
import { readLacking } from './tunnels/kernel-modules.ts'
import { readSilence } from './xdp/read-silence.ts'
import { isSealProgram } from './xdp/seal-program.ts'

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
 * Reads the kernel's part of the snapshot. The number of links, spans and mirrors does not change the number of processes: four, one or
 * two with bpftool, one or two with nft, at the first time one that loads an XDP program, one if the root table of a u32 filter is not certain, three for
 * routes, one for each module of tunnels and of limits that are not there, and two for each interface whose receive ring is asked for.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readKernel(request: ReadRequest): Promise<KernelState> {
  const unnamed = Promise.all([
    request.tables ? recallTables('bridgeTables', readNftables) : null,
    request.tables ? readSilence() : null
  ])
  // Where the links cannot be read, nothing awaits it.
  unnamed.catch(() => undefined)
  const { links: ipLinks, opaque, forwarding, tc } = await readNamed()
  const programmed = request.programmed(ipLinks)
  const [[nftables, silence], offloads, attached] = await Promise.all([
    unnamed,
    recall('offloads', indexesOf(ipLinks, request.offloaded?.(ipLinks)), () =>
      readParsed(readCommands.offloads, parseOffloads)
    ),
    // Of what else has come to be attached, the kernel tells nobody.
    recall('programs', indexesOf(ipLinks.filter(hasForeignProgram), programmed), () => readPrograms(programmed))
  ])
  const withoutRings = ipLinks.map(
    (link): Link => ({
      ...link,
      // procfs shows the reader's own network namespace; sysfs may show another one. No file: the kernel has no IPv6, or the link is gone.
      ipv6: readText(encodeBytes(`/proc/sys/net/ipv6/conf/${link.name}/disable_ipv6`))?.trim() === '0',
      ...(link.tunnel && { tunnel: withDestinations(link.tunnel, forwarding.destinations.get(link.name)) }),
      ownMacEntry: forwarding.ownMacs.has(`${link.name} ${link.mac}`),
      offloads: offloads.get(link.name) ?? {},
      manager: request.bridges.has(link.name) ? readManager(link) : null
    })
  )
  const ringed = request.ringed?.(withoutRings, tc.filters) ?? []
  const rings = await recall('rings', indexesOf(ipLinks, ringed), () => readRings(ringed))
  const links = withoutRings.map((link): Link => {
    const ring = rings.get(link.name)
    return ring === undefined ? link : { ...link, ring }
  })
  const modules = request.modules(links, tc.filters)
  const [routes, senderTables, lacking, ways] = await Promise.all([
    readRoutes(request.routed(links, tc.filters)),
    request.senders(links) ? recallTables('senderTables', readSenderTables) : null,
    recall('modules', modules.join(' '), () => readLacking(modules)),
    request.remotes?.length ? readWays(request.remotes) : null
  ])
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { bootId, links, opaque, ...tc, attached, routes, ways, nftables, senderTables, lacking, silence }
}

/** What could not be read is read again. */
async function recallTables(topic: Topic, read: () => Promise<Nftables>): Promise<Nftables> {
  const tables = await recall(topic, '', read)
  if (tables.state === 'unread') forget(topic)
  return tables
}

/**
 * Reads what programs tell by the names of links. A name that only bridge or tc knows is of a link that has come since, or has another name
 * by now, which they would remember: then others are asked, once; so they are where an event has told of another name meanwhile.
 */
async function readNamed() {
  const read = async () => {
    // First: what the others remember depends on it.
    const ip = await readIpLinks()
    const [forwarding, tc] = await Promise.all([readJson(readCommands.forwarding, parseForwarding), readTc()])
    return { ...ip, forwarding, tc }
  }
  const before = namesForgotten()
  const found = await read()
  const { links, opaque, forwarding, tc } = found
  const known = new Set([...links, ...opaque].map(({ name }) => name))
  const named = [...forwarding.devices, ...tc.qdiscs.map(({ device }) => device)]
  if (named.every((name) => known.has(name)) && namesForgotten() === before) return found
  forgetNames()
  return read()
}

/**
 * Reads the names, numbers and addresses of all links, by one process.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readIpLinks(): Promise<ReturnType<typeof parseLinks>> {
  const read = async () => {
    const [links, addresses] = await readJsonBatch(readCommands.links)
    return parseOutput('ip', () => parseLinks(links, addresses))
  }
  const first = await read()
  const found = noteNames(first.links) ? await read() : first
  // Of the link that it is asked for alone, the kernel tells the carrier at once (measured, Linux 6.18).
  const late = found.links.filter(({ carrierIsLate }) => carrierIsLate)
  if (late.length === 0) return found
  await runJsonBatch(
    ['ip', '-json', '-details'],
    late.map(({ name }) => ['link', 'show', 'dev', name])
  )
  return read()
}

/** The links with these names, as they are no others': by name and index, a text. */
function indexesOf(links: readonly IpLink[], names: readonly string[] = links.map(({ name }) => name)): string {
  const chosen = new Set(names)
  return links.flatMap(({ name, index, xdp }) => (chosen.has(name) ? `${index} ${name} ${xdp?.id}` : [])).join('\n')
}

const hasForeignProgram = ({ xdp }: IpLink) => xdp !== null && !isSealProgram(xdp)

/** spanplan does not depend on bpftool, nor on the right to use it. */
async function readPrograms(devices: readonly string[]): Promise<AttachedProgram[]> {
  if (devices.length === 0) return []
  try {
    if (!(await readJson(readCommands.programs, hasNetworkPrograms))) return []
    const { stdout } = await run(attachedCommand, attachedLines(devices))
    return parseAttached(parseToolJson(stdout))
  } catch {
    return []
  }
}

const tc = ['tc', '-json'] as const

/** The most reads of qdiscs and their filters in one snapshot, where qdiscs come or go meanwhile. The last read counts. */
const tcReads = 3

async function readTc(): Promise<Pick<Snapshot, 'qdiscs' | 'filters' | 'classFilters'>> {
  const read = async () => readFilters(await readJson(readCommands.qdiscs, parseQdiscs))
  let reading = await read()
  for (let reads = 1; reading.isTorn && reads < tcReads; reads++) reading = await read()
  const { qdiscs, documents } = reading
  const { tcHooks, classful, all } = reading.places
  const uncertain = parseOutput('tc', () => all.flatMap((place, index) => findRoots(place, documents[index] ?? [])))
  const answers = await runJsonBatch(tc, uncertain.map(rootTableCommand))
  const roots = uncertain.map((root, index) => parseRoot(root, answers[index]))
  const parse = <Place extends HookPlace | ClassPlace>(place: Place, index: number) =>
    parseFilters(place, documents[index] ?? [], roots)
  return parseOutput('tc', () => ({
    qdiscs,
    filters: tcHooks.flatMap(parse),
    classFilters: classful.flatMap((place, index) => parse(place, tcHooks.length + index))
  }))
}

/**
 * Reads the filters on qdiscs: a document for each place, as tc prints it. For a qdisc that is gone, tc prints neither filters nor an
 * error: the qdiscs are read again after the filters.
 */
async function readFilters(qdiscs: readonly Qdisc[]) {
  const places = placesOf(qdiscs)
  if (places.all.length === 0) return { qdiscs, places, documents: [], isTorn: false }
  const filters = places.all.map((place) => ['filter', 'show', ...writePlace(place)])
  const documents = await runJsonBatch(tc, [...filters, ['qdisc', 'show']])
  const placesAfter = parseOutput('tc', () => placesOf(parseQdiscs(documents.at(-1))))
  return { qdiscs, places, documents, isTorn: !isDeepStrictEqual(places, placesAfter) }
}

/** Where filters can be. */
function placesOf(qdiscs: readonly Qdisc[]) {
  const tcHooks = findHooks(qdiscs)
  const classful = findClassful(qdiscs).map(({ device, handle }): ClassPlace => ({ device, parent: handle }))
  return { tcHooks, classful, all: [...tcHooks, ...classful] }
}

/** Of a tunnel to one host: to whom else somebody has it send. */
function withDestinations(tunnel: TunnelEnd, destinations: ReadonlySet<string> = new Set()): TunnelEnd {
  const others = tunnel.remote === null ? [] : [...destinations].filter((one) => one !== tunnel.remote)
  return { ...tunnel, options: [...tunnel.options, ...others.map((one) => `also to ${one}`)] }
}
