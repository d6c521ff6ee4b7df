import * as z from 'zod'
import type { TcHook } from '../../spec/spec.ts'
import type { Qdisc } from '../snapshot.ts'

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
