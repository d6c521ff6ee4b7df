import { readdirSync, readFileSync } from 'node:fs'
import type { Hook } from '../spec/spec.ts'
import {
  askForMirrors,
  type LinkCounters,
  type LinkTotals,
  type MirrorCounters,
  type PacketSocket,
  parseLinkCounters,
  parseMirrorCounters,
  parsePacketSockets,
  parseTotals
} from './counters.ts'
import { batch, readJson, understand } from './read.ts'
import { type Argv, run, sideBySide } from './run.ts'

/** An interface in a container. */
export interface Inside {
  /** Of a process in the container. */
  readonly pid: number
  /** The interface's index there. */
  readonly index: number
}

/** What is to be counted, beside the links. */
export interface Places {
  readonly hooks: readonly { readonly device: string; readonly hook: Hook }[]
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
export async function readSample({ hooks, insides }: Places): Promise<Sample> {
  const links = await readJson(['ip', '-s', '-s', '-json', 'link', 'show'])
  const at = monotonicNow()
  const [filters, listeners] = await Promise.all([readFilters(hooks), readListeners(insides)])
  const totals = parseTotals(readFileSync('/proc/self/net/dev', 'utf8'))
  return {
    at,
    links: understand('ip', () => parseLinkCounters(links)),
    mirrors: understand('tc', () =>
      hooks.flatMap(({ device, hook }, index) => parseMirrorCounters(device, hook, filters[index] ?? []))
    ),
    listeners,
    totals
  }
}

/** Milliseconds of CLOCK_MONOTONIC, which all processes of the host share (clock_gettime(2)). */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function readFilters(hooks: Places['hooks']): Promise<readonly unknown[]> {
  if (hooks.length === 0) return []
  const commands = hooks.map(({ device, hook }) => askForMirrors(device, hook))
  return batch(['tc', '-s', '-json', '-force', '-batch', '-'], commands)
}

async function readListeners(insides: readonly Inside[]): Promise<Listeners[]> {
  const found = new Map<Inside, Listeners>()
  await sideBySide(insides, async (inside) => {
    found.set(inside, { inside, sockets: await readSockets(inside) })
  })
  return insides.flatMap((inside) => found.get(inside) ?? [])
}

/** Another user's container, one that has ended, a host without ss or nsenter: what cannot be told is not known. */
async function readSockets({ pid, index }: Inside): Promise<readonly PacketSocket[] | null> {
  const words = ['--packet', '--numeric', '--memory', '--extended', '--oneline', '--no-header']
  const argv: Argv = ['nsenter', `--net=/proc/${pid}/ns/net`, '--', 'ss', ...words]
  try {
    const name = nameInside(pid, index)
    const output = await run(argv)
    if (output.status !== 0) return null
    return parsePacketSockets(output.stdout).filter(({ device }) => device === null || device === name)
  } catch {
    return null
  }
}

function nameInside(pid: number, index: number): string | undefined {
  const folder = `/proc/${pid}/root/sys/class/net`
  return readdirSync(folder).find((name) => Number(readFileSync(`${folder}/${name}/ifindex`, 'utf8')) === index)
}
