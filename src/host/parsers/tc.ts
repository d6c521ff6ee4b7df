import * as z from 'zod'
import type { TcHook } from '../../spec/spec.ts'
import type { Program, Qdisc } from '../snapshot.ts'
import { protocolWord } from './u32.ts'

/**
 * The preference (tc's priority) of every mirror: low, so that a classifier that ends classification comes after,
 * and not 1 or 49152, which other tools and the kernel choose by themselves.
 */
export const mirrorPref = 8

/** The preference of the filter that drops what sensors send; after the mirrors, which let a frame go on. */
export const sealPref = 9

/** Returns TC_ACT_SHOT (2, linux/pkt_cls.h): as a direct action, it drops every frame. */
export const dropProgram: Program = '1,6 0 0 2'

/** Returns TC_ACT_UNSPEC (-1): as a direct action, it leaves every frame to the next filter. */
export const passProgram: Program = '1,6 0 0 4294967295'

/** Matches every frame: cls_bpf takes -1 as "the filter's own class", and runs its action. */
export const everyFrame: Program = '1,6 0 0 4294967295'

const qdiscOutput = z.object({
  kind: z.string(),
  dev: z.string(),
  handle: z.string().default('0:'),
  root: z.boolean().default(false),
  parent: z.string().optional(),
  options: z.unknown().optional(),
  ingress_block: z.number().optional(),
  egress_block: z.number().optional()
})

/** prio's own defaults (iproute2, tc/q_prio.c), which are those of the kernel's pfifo_fast too. */
const plainPrioOutput = z.object({
  bands: z.literal(3),
  priomap: z.array(z.number()).refine((bands) => bands.join('') === '1222120011111111')
})

/** What `tc -json qdisc show` prints. */
export function parseQdiscs(document: unknown): Qdisc[] {
  return z
    .array(qdiscOutput)
    .parse(document)
    .map(({ dev, kind, handle, root, parent, options, ingress_block, egress_block }) => ({
      ...{ device: dev, kind, handle, root, parent: parent ?? null },
      plainPrio: kind === 'prio' && plainPrioOutput.safeParse(options).success,
      block: ingress_block ?? egress_block ?? null
    }))
}

/** The hooks of each device that has any, as parseFilters() and the command that reads them take them. */
export function hooksOf(qdiscs: readonly Qdisc[]): { device: string; tcHook: TcHook }[] {
  return qdiscs.flatMap(({ device, kind }): { device: string; tcHook: TcHook }[] => {
    if (kind === 'clsact')
      return [
        { device, tcHook: 'ingress' },
        { device, tcHook: 'egress' }
      ]
    return kind === 'ingress' ? [{ device, tcHook: 'ingress' }] : []
  })
}

/** The kinds that hand a frame on without asking any filter (those without a `tcf_block` in the kernel's net/sched). */
const unfiltered: ReadonlySet<string> = new Set([
  ...[
    'clsact',
    'ingress',
    'noop',
    'noqueue',
    'mq',
    'mqprio',
    'taprio',
    'pfifo',
    'bfifo',
    'pfifo_fast',
    'pfifo_head_drop'
  ],
  ...['fq', 'codel', 'pie', 'tbf', 'red', 'gred', 'netem', 'etf', 'cbs', 'plug', 'blackhole']
])

/** The queueing disciplines that sort frames by filters of their own; one that the kernel chose by itself has no handle. */
export function sortersOf(qdiscs: readonly Qdisc[]): Qdisc[] {
  return qdiscs.filter(({ kind, handle }) => handle !== '0:' && !unfiltered.has(kind))
}

/** tc's words that put a mirror in place, or change the one that is there: the writer to parseFilters()'s reader. */
export function writeMirror(mirror: {
  device: string
  tcHook: TcHook
  handle: number
  program: Program
  /** `all` if not given. */
  protocol?: string
  directAction?: boolean
  target: string
  cookie: string
}): string[] {
  // "continue", not mirred's own default "pipe": that ends classification, and a second mirror sees nothing.
  return [
    ...filterWords('replace', mirror.device, mirror.tcHook, mirrorPref, mirror.handle, mirror.protocol ?? 'all'),
    ...(mirror.directAction === true ? ['da'] : []),
    ...['bytecode', mirror.program],
    ...['action', 'mirred', 'egress', 'mirror', 'dev', mirror.target, 'continue', 'cookie', mirror.cookie]
  ]
}

/** tc's words for the filter of spanplan's on a device that drops everything that enters, or lets everything in. */
export function writeSeal(device: string, handle: number, program: Program = dropProgram, classId = ''): string[] {
  return [
    ...filterWords('replace', device, 'ingress', sealPref, handle, 'all'),
    ...['da', ...(classId === '' ? [] : ['classid', classId]), 'bytecode', program]
  ]
}

/** tc's words that remove one of our filters, and no other. */
export function deleteFilter(device: string, tcHook: TcHook, pref: number, handle: number): string[] {
  return filterWords('del', device, tcHook, pref, handle)
}

/** Without a protocol, tc deletes the filter whatever protocol its preference has. */
function filterWords(
  verb: 'replace' | 'del',
  device: string,
  tcHook: TcHook,
  pref: number,
  handle: number,
  protocol?: string
): string[] {
  return [
    ...['filter', verb, 'dev', device, tcHook],
    ...(protocol === undefined ? [] : ['protocol', protocolWord(protocol)]),
    ...['pref', String(pref), 'handle', `0x${handle.toString(16)}`, 'bpf']
  ]
}
