import * as z from 'zod'
import { writeProtocol } from '../tc-syntax.ts'

/** A row of `tc -json filter show`: a filter, a table of u32, or, without options, the summary of a preference. */
export const rowOutput = z.object({
  protocol: z.string(),
  pref: z.number(),
  chain: z.number().default(0),
  kind: z.string(),
  options: z.looseObject({}).optional()
})

/** One such row. */
export type Row = z.infer<typeof rowOutput>

/** u32 prints its hash tables beside its filters. */
const tableOutput = z.object({ options: z.object({ ht_divisor: z.number() }) })

/** Where filters hang: on a queueing discipline, clsact and ingress among them, and there where tc's words say. */
export interface Place {
  readonly device: string
  /** The handle of the queueing discipline. */
  readonly qdisc: string
  /** `ingress` or `egress`, or `parent 1:`. */
  readonly words: readonly string[]
}

/** The filters of one preference, for u32: the table in which a frame begins. */
export interface Root extends Place {
  readonly chain: number
  readonly pref: number
  readonly protocol: string
  /** Such as `800:`; null before it was asked for. */
  readonly table: string | null
}

/**
 * The preferences of which u32 shows more tables than one. The kernel shows all of that preference which the whole
 * queueing discipline has, so at egress of clsact also what is at ingress (u32_walk() in net/sched/cls_u32.c).
 */
export function findRoots(place: Place, document: unknown): Root[] {
  // Most devices have none, and each row that is parsed takes time.
  if (!Array.isArray(document) || !document.some((row) => tableOutput.safeParse(row).success)) return []
  const tables = z.array(rowOutput).parse(document).filter(isTable)
  return tables
    .filter((table, index) => tables.findIndex((one) => isSibling(one, table)) < index)
    .filter((table, index, several) => several.findIndex((one) => isSibling(one, table)) === index)
    .map(({ chain, pref, protocol }) => ({ ...place, chain, pref, protocol, table: null }))
}

/** tc's words that ask for the root table: TC_U32_ROOT in linux/pkt_cls.h stands for it. */
export function rootTableCommand({ device, words, chain, pref, protocol }: Root): string[] {
  const where = ['filter', 'get', 'dev', device, ...words, 'chain', String(chain)]
  return [...where, 'protocol', writeProtocol(protocol), 'pref', String(pref), 'handle', 'fff:', 'u32']
}

/** What the answer to {@link rootTableCommand} says. */
export function parseRoot(root: Root, document: unknown): Root {
  const answer = z.array(rowOutput).safeParse(document)
  const table = answer.success ? answer.data.find(isTable)?.options?.fh : undefined
  return { ...root, table: typeof table === 'string' ? table : null }
}

/** Whether a row is one of u32's tables. */
export function isTable(row: Row): boolean {
  return row.kind === 'u32' && tableOutput.safeParse(row).success
}

/** Whether two are of one preference. */
export function isSibling(one: { chain: number; pref: number }, other: { chain: number; pref: number }): boolean {
  return one.chain === other.chain && one.pref === other.pref
}

/** u32's filters are numbered TABLE:BUCKET:NODE; null for those of other kinds. */
export function tableOf({ fh }: NonNullable<Row['options']>): string | null {
  return typeof fh === 'string' ? `${fh.split(':')[0]}:` : null
}
