import * as z from 'zod'
import type { TcHook } from '../../spec/spec.ts'
import type { HookPlace, Qdisc } from '../snapshot.ts'

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

/** Parses `tc -json qdisc show`. */
export function parseQdiscs(document: unknown): Qdisc[] {
  const rows = z.array(qdiscOutput).parse(document)
  return rows.map(({ dev, kind, handle, root, parent, options, ingress_block, egress_block }) => ({
    ...{ device: dev, kind, handle, root, parent: parent ?? null },
    plainPrio: kind === 'prio' && plainPrioOutput.safeParse(options).success,
    block: ingress_block ?? egress_block ?? null
  }))
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
