import { readFileSync } from 'node:fs'
import type { TcHook } from '../spec/spec.ts'
import { isSandbox } from './docker/container-veths.ts'
import { type Limits, run, sideBySide } from './exec.ts'
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
import { parseOutput, runJson, runJsonBatch } from './run-json.ts'

/** An interface in a container. */
export interface Inside {
  /** Docker's file of the container's network namespace. */
  readonly sandbox: string
  /** The interface's index there. */
  readonly index: number
}

/** What is to be counted, beside the links. */
export interface Places {
  readonly tcHooks: readonly { readonly device: string; readonly tcHook: TcHook }[]
  readonly insides: readonly Inside[]
}

/** Who listens on an interface in a container; null where we may not look. */
export type Listeners = { readonly inside: Inside; readonly sockets: readonly PacketSocket[] | null }

/** All counters at one moment. It is JSON, and of use to another process too. */
export interface Sample {
  /** Milliseconds of the host's monotonic clock, when the mirrors were read: after the links, and before their totals. */
  readonly at: number
  readonly links: readonly LinkCounters[]
  readonly mirrors: readonly MirrorCounters[]
  readonly listeners: readonly Listeners[]
  readonly totals: readonly LinkTotals[]
}

/**
 * Takes a sample. The counters of a living host cannot be read all at once: those of links are read before and after the
 * others, so that it is known what they were at most and at least. Two processes, and one for each container.
 *
 * @throws SpanplanError if ip or tc is missing, hangs, or says what spanplan does not understand.
 */
export async function readSample({ tcHooks, insides }: Places): Promise<Sample> {
  const links = await runJson(['ip', '-s', '-s', '-json', 'link', 'show'])
  const at = monotonicNow()
  const [filters, listeners] = await Promise.all([readFilters(tcHooks), readListeners(insides)])
  const totals = parseTotals(readFileSync('/proc/self/net/dev', 'utf8'))
  return {
    at,
    links: parseOutput('ip', () => parseLinkCounters(links)),
    mirrors: parseOutput('tc', () =>
      tcHooks.flatMap(({ device, tcHook }, index) => parseMirrorCounters(device, tcHook, filters[index] ?? []))
    ),
    listeners,
    totals
  }
}

/** Milliseconds of CLOCK_MONOTONIC, which all processes of the host share (clock_gettime(2)). */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function readFilters(tcHooks: Places['tcHooks']): Promise<readonly unknown[]> {
  if (tcHooks.length === 0) return []
  const commands = tcHooks.map(({ device, tcHook }) => mirrorsCommand(device, tcHook))
  return runJsonBatch(['tc', '-s', '-json', '-force', '-batch', '-'], commands)
}

async function readListeners(insides: readonly Inside[]): Promise<Listeners[]> {
  const found = new Map<Inside, Listeners>()
  await sideBySide(insides, async (inside) => {
    found.set(inside, { inside, sockets: await readSockets(inside) })
  })
  return insides.flatMap((inside) => found.get(inside) ?? [])
}

/** What ss may take, and may print: a container makes as many sockets as it likes. This is enough for a thousand. */
const limits: Limits = { milliseconds: 5000, bytes: 256 * 1024 }

/** Another user's container, one that has ended, a host without ss or nsenter: what cannot be told is not known. */
async function readSockets({ sandbox, index }: Inside): Promise<readonly PacketSocket[] | null> {
  if (!isSandbox(sandbox)) return null
  const words = ['--packet', '--numeric', '--memory', '--extended', '--oneline', '--no-header']
  const bound = `dev = ${writeIndex(index)} or dev = ${writeIndex(unbound)}`
  try {
    const output = await run(['nsenter', `--net=${sandbox}`, '--', 'ss', ...words, bound], '', limits)
    return output.status === 0 ? parsePacketSockets(output.stdout) : null
  } catch {
    return null
  }
}

/** The index that a socket has which is bound to no interface. */
const unbound = 0

/**
 * An index that ss does not take for a name: it looks for an interface of that name first, and a container may call one `7`.
 * No name is as long as this (ALTIFNAMSIZ in linux/if.h: 128).
 */
function writeIndex(index: number): string {
  return `0x${index.toString(16).padStart(128, '0')}`
}
