import { readFileSync } from 'node:fs'
import { type Diagnostic, diagnostic, diagnosticOf } from '../errors.ts'
import { isSandbox } from './docker/container-veths.ts'
import { enterNamespace, mapConcurrently, run } from './exec.ts'
import { type RefusedPackets, readRefusals } from './nftables/read-nftables.ts'
import {
  type LinkCounters,
  type LinkTotals,
  type MirrorCounters,
  mirrorsCommand,
  type PacketSocket,
  parseLinkCounters,
  parseMirrorCounters,
  parsePacketSockets,
  parseTotals
} from './parsers/counters.ts'
import { noteNames } from './process/program-pool.ts'
import type { RunLimits } from './process/run-limits.ts'
import { parseOutput, runJsonBatch } from './read-commands.ts'
import type { ContainerInterface, HookPlace } from './snapshot.ts'
import type { ToolReading } from './tool-stats/read-tools.ts'

/** What to read, besides the counters of all links. */
export interface CounterRequest {
  readonly tcHooks: readonly HookPlace[]
  readonly interfaces: readonly ContainerInterface[]
  /** The names of the tunnels' links that a table of senders is for. */
  readonly senderTables: readonly string[]
}

/** The packet sockets of an interface in a container. */
export interface Listener {
  readonly inside: ContainerInterface
  /** null: they cannot be read. */
  readonly sockets: readonly PacketSocket[] | null
  /** Some of them, where there are more than are read. */
  readonly some?: readonly PacketSocket[]
  /** Why they cannot be read; left out: the container has ended, or a right is missing. */
  readonly unread?: Diagnostic
}

/** All counters at one moment. A sample is JSON, which another process can use. */
export interface Sample {
  /** Milliseconds of the host's monotonic clock, when the mirrors were read: after `links`, and before `totals`. */
  readonly at: number
  readonly links: readonly LinkCounters[]
  readonly mirrors: readonly MirrorCounters[]
  readonly listeners: readonly Listener[]
  readonly totals: readonly LinkTotals[]
  /** What tables of senders have dropped. */
  readonly refused: readonly RefusedPackets[]
  /** What tools in sensors say of themselves. Missing: nobody has asked. */
  readonly tools?: readonly ToolReading[]
}

/**
 * Reads the counters. They change while they are read: those of links are read before and after the others, which gives bounds for
 * their values at the moment in between. Two processes, one for each container, and one for all tables.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readSample({ tcHooks, interfaces, senderTables }: CounterRequest): Promise<Sample> {
  const links = await readLinkCounters()
  const at = monotonicNow()
  const [filters, sockets, refused] = await Promise.all([
    runJsonBatch(['tc', '-s', '-json'], tcHooks.map(mirrorsCommand)),
    mapConcurrently(interfaces, readSockets),
    readRefusals(senderTables)
  ])
  const totals = parseTotals(readFileSync('/proc/self/net/dev', 'utf8'))
  return {
    at,
    links,
    mirrors: parseOutput('tc', () =>
      tcHooks.flatMap((place, index) => parseMirrorCounters(place, filters[index] ?? []))
    ),
    listeners: interfaces.map((inside) => ({ inside, sockets: null, ...sockets.get(inside) })),
    totals,
    refused
  }
}

async function readLinkCounters(): Promise<LinkCounters[]> {
  const [document] = await runJsonBatch(['ip', '-s', '-s', '-json'], [['link', 'show']])
  const links = parseOutput('ip', () => parseLinkCounters(document))
  noteNames(links)
  return links
}

/** Milliseconds of CLOCK_MONOTONIC, which is the same for all processes of the host (clock_gettime(2)). */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Limits of ss: a container can open as many sockets as it likes. The output of a thousand sockets fits. */
const limits: RunLimits = { milliseconds: 5000, bytes: 256 * 1024, keepsStart: true }

async function readSockets({ sandbox, index }: ContainerInterface): Promise<Omit<Listener, 'inside'>> {
  if (!isSandbox(sandbox)) return { sockets: null }
  const options = ['--packet', '--numeric', '--memory', '--extended', '--oneline', '--no-header']
  const bound = `dev = ${writeIndex(index)} or dev = ${writeIndex(unbound)}`
  try {
    const output = await run(enterNamespace(sandbox, ['ss', ...options, bound]), '', limits)
    if (output.isCut) {
      const some = parsePacketSockets(output.stdout.slice(0, output.stdout.lastIndexOf('\n') + 1))
      return { sockets: null, some, unread: tooMany(some.length) }
    }
    if (output.status === notFound) return { sockets: null, unread: noProgram }
    return { sockets: output.status === 0 ? parsePacketSockets(output.stdout) : null }
  } catch (error) {
    return { sockets: null, unread: diagnosticOf(error) }
  }
}

/** The status of nsenter where it finds no program to run: EX_EXEC_ENOENT in util-linux. */
const notFound = 127
const noProgram = diagnostic(
  'PROGRAM_MISSING',
  'the program ss cannot be found',
  'install it: apt-get install iproute2'
)

function tooMany(count: number): Diagnostic {
  const message = `it has more packet sockets than the ${count} that spanplan reads`
  return diagnostic('OUTPUT_TOO_LONG', message, 'see what opens so many: docker top shows the processes of a container')
}

/** The index of a socket that is bound to no interface. */
const unbound = 0

/**
 * Writes an index so that ss does not read it as a name: ss looks for an interface of that name first, and a container may have one
 * with the name `7`. The text is longer than any name (ALTIFNAMSIZ in linux/if.h: 128).
 */
function writeIndex(index: number): string {
  return `0x${index.toString(16).padStart(128, '0')}`
}
