import * as z from 'zod'
import type { HookPlace, Qdisc, TcHook } from '../snapshot.ts'
import { list } from './records.ts'

/** The kind of what is not understood; no kind of tc's has this name. */
export const opaqueKind = 'unknown'

/** The kernel gives no block this number. */
const opaqueBlock = 0

/** A shared block that is not understood is some block. */
const blockOutput = z.number().optional().catch(opaqueBlock)

/** One that is not understood is of no known kind: nothing is done with it. */
const qdiscOutput = z.object({
  kind: z.string().catch(opaqueKind),
  dev: z.string(),
  handle: z.string().default('0:').catch('0:'),
  root: z.boolean().default(false).catch(false),
  parent: z.string().optional().catch(undefined),
  options: z.unknown().optional(),
  ingress_block: blockOutput,
  egress_block: blockOutput
})

/** prio's own defaults (iproute2, tc/q_prio.c), which are those of the kernel's pfifo_fast too. */
const plainPrioOutput = z.object({
  bands: z.literal(3),
  priomap: z.array(z.number()).refine((bands) => bands.join('') === '1222120011111111')
})

/** Parses `tc -json qdisc show`. */
export function parseQdiscs(document: unknown): Qdisc[] {
  // Also of a broken row, all that is needed may be understood.
  return list
    .parse(document)
    .flatMap((row) => qdiscOutput.safeParse(row).data ?? [])
    .map(({ dev, kind, handle, root, parent, options, ingress_block, egress_block }) => ({
      device: dev,
      kind,
      handle,
      root,
      parent: parent ?? null,
      plainPrio: kind === 'prio' && plainPrioOutput.safeParse(options).success,
      block: ingress_block ?? egress_block ?? null
    }))
}

/** Parses `tc -json qdisc show dev …`, which does not repeat the device. */
export function parseInnerQdiscs(device: string, document: unknown): Qdisc[] {
  return parseQdiscs(
    z
      .array(z.looseObject({}))
      .parse(document)
      .map((row) => ({ ...row, dev: device }))
  )
}

/** The tc hooks of the devices that have any. */
export function findHooks(qdiscs: readonly Qdisc[]): HookPlace[] {
  return qdiscs.flatMap(({ device, kind }) => (hooksOf[kind] ?? []).map((tcHook) => ({ device, tcHook })))
}

const hooksOf: Readonly<Record<string, readonly TcHook[]>> = { clsact: ['ingress', 'egress'], ingress: ['ingress'] }

/** The kinds that have no filters of their own (those without a `tcf_block` in the kernel's net/sched). */
const withoutFilters: ReadonlySet<string> = new Set([
  ...['clsact', 'ingress', 'noop', 'noqueue', 'mq', 'mqprio', 'taprio', 'fq', 'codel', 'pie', 'tbf', 'red', 'gred'],
  ...['pfifo', 'bfifo', 'pfifo_fast', 'pfifo_head_drop', 'netem', 'etf', 'cbs', 'plug', 'blackhole']
])

/**
 * The queueing disciplines that may have filters, which assign frames to classes. One that the kernel has added by itself has no
 * handle, and thus no filters.
 */
export function findClassful(qdiscs: readonly Qdisc[]): Qdisc[] {
  return qdiscs.filter(({ kind, handle }) => handle !== '0:' && !withoutFilters.has(kind))
}
