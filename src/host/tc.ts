import * as z from 'zod'
import type { Hook } from '../spec/spec.ts'
import type { Filter, Program, Qdisc } from './host.ts'

/**
 * The preference (tc's priority) of every mirror: low, so that a classifier that ends classification comes after,
 * and not 1 or 49152, which other tools and the kernel choose by themselves.
 */
export const mirrorPref = 8

/** The preference of the filter that drops what sensors send; after the mirrors, which let a frame go on. */
export const sealPref = 9

/** Returns TC_ACT_SHOT (2, linux/pkt_cls.h): as a direct action, it drops every frame. */
export const dropProgram: Program = '1,6 0 0 2'

/** Matches every frame: cls_bpf takes -1 as "the filter's own class", and runs its action. */
export const everyFrame: Program = '1,6 0 0 4294967295'

const qdiscOutput = z.object({
  kind: z.string(),
  dev: z.string(),
  ingress_block: z.number().optional(),
  egress_block: z.number().optional()
})

const mirredOutput = z.object({
  kind: z.literal('mirred'),
  mirred_action: z.literal('mirror'),
  direction: z.literal('egress'),
  to_dev: z.string(),
  control_action: z.object({ type: z.string() }),
  cookie: z.string().optional()
})

const filterOutput = z.object({
  protocol: z.string(),
  pref: z.number(),
  chain: z.number().default(0),
  kind: z.string(),
  options: z
    .looseObject({
      handle: z.unknown().optional(),
      'direct-action': z.boolean().optional(),
      bytecode: z
        .object({
          length: z.number(),
          insns: z.array(z.object({ code: z.number(), jt: z.number(), jf: z.number(), k: z.number() }))
        })
        .optional(),
      actions: z.array(z.unknown()).optional()
    })
    .optional()
})

/** What `tc -json qdisc show` prints. */
export function parseQdiscs(document: unknown): Qdisc[] {
  return z
    .array(qdiscOutput)
    .parse(document)
    .map(({ dev, kind, ingress_block, egress_block }) => ({
      device: dev,
      kind,
      block: ingress_block ?? egress_block ?? null
    }))
}

/** The hooks of each device that has any, as {@link parseFilters} and the command that reads them take them. */
export function hooksOf(qdiscs: readonly Qdisc[]): { device: string; hook: Hook }[] {
  return qdiscs.flatMap(({ device, kind }): { device: string; hook: Hook }[] => {
    if (kind === 'clsact')
      return [
        { device, hook: 'ingress' },
        { device, hook: 'egress' }
      ]
    return kind === 'ingress' ? [{ device, hook: 'ingress' }] : []
  })
}

/** What `tc -json filter show dev DEVICE HOOK` prints, without the summary row that each preference has. */
export function parseFilters(device: string, hook: Hook, document: unknown): Filter[] {
  return z
    .array(filterOutput)
    .parse(document)
    .flatMap((row): Filter[] => {
      const { options } = row
      if (options === undefined) return []
      const mirred = options.actions?.length === 1 ? mirredOutput.safeParse(options.actions[0]) : undefined
      return [
        {
          device,
          hook,
          chain: row.chain,
          pref: row.pref,
          protocol: row.protocol,
          kind: row.kind,
          handle: typeof options.handle === 'string' ? Number(options.handle) : null,
          program: options.bytecode ? writeProgram(options.bytecode.insns) : null,
          directAction: options['direct-action'] === true,
          mirror: mirred?.success
            ? {
                target: mirred.data.to_dev,
                control: mirred.data.control_action.type,
                cookie: mirred.data.cookie ?? null
              }
            : null
        }
      ]
    })
}

/** tc's words that put a mirror in place, or change the one that is there: the writer to {@link parseFilters}'s reader. */
export function writeMirror(mirror: {
  device: string
  hook: Hook
  handle: number
  program: Program
  target: string
  cookie: string
}): string[] {
  // "continue", not mirred's own default "pipe": that ends classification, and a second mirror sees nothing.
  return [
    ...filterWords('replace', mirror.device, mirror.hook, mirrorPref, mirror.handle),
    'bytecode',
    mirror.program,
    ...['action', 'mirred', 'egress', 'mirror', 'dev', mirror.target, 'continue', 'cookie', mirror.cookie]
  ]
}

/** tc's words that drop everything that enters a device. */
export function writeSeal(device: string, handle: number): string[] {
  return [...filterWords('replace', device, 'ingress', sealPref, handle), 'da', 'bytecode', dropProgram]
}

/** tc's words that remove one of our filters, and no other. */
export function deleteFilter(device: string, hook: Hook, pref: number, handle: number): string[] {
  return filterWords('del', device, hook, pref, handle)
}

function filterWords(verb: 'replace' | 'del', device: string, hook: Hook, pref: number, handle: number): string[] {
  return [
    ...['filter', verb, 'dev', device, hook, 'protocol', 'all', 'pref', String(pref)],
    ...['handle', `0x${handle.toString(16)}`, 'bpf']
  ]
}

/** A program in the words of tc's `bytecode`. */
function writeProgram(instructions: readonly { code: number; jt: number; jf: number; k: number }[]): Program {
  return [instructions.length, ...instructions.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`)].join(',')
}
