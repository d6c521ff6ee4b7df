import * as z from 'zod'
import type { ClassPlace, HookPlace } from '../snapshot.ts'
import { writeKey } from '../tc-conventions.ts'
import { opaqueKind } from './qdiscs.ts'
import { list, parseRecords } from './records.ts'

const rowOutput = z.object({
  protocol: z.string(),
  pref: z.number(),
  chain: z.number().default(0),
  kind: z.string(),
  options: z.looseObject({}).optional()
})

/** A row of `tc -json filter show`: a filter, a table of u32, or the summary of a preference, which has no options. */
export type Row = z.infer<typeof rowOutput>

/** A row that is not understood is a filter that does other work: at its preference, or where that is not understood, before all. */
const opaqueOutput = z
  .object({
    protocol: z.string().catch('all'),
    pref: z.number().catch(0),
    chain: z.number().catch(0),
    kind: z.string().catch(opaqueKind)
  })
  .catch({ protocol: 'all', pref: 0, chain: 0, kind: opaqueKind })
  .transform((row): Row => ({ ...row, options: { [opaqueKind]: true } }))

/** Parses the output of `tc -json filter show`, each row by itself. */
export function parseRows(document: unknown): Row[] {
  const rows = list.parse(document).map((row) => parseRecords(rowOutput, [row])[0] ?? opaqueOutput.parse(row))
  const keyOf = ({ chain, pref }: Row) => `${chain} ${pref}`
  const shown = new Set(rows.flatMap((row) => (row.options === undefined ? [] : [keyOf(row)])))
  // The kernel leaves a matchall filter out of a long dump where the filter does not fit into the rest of a buffer: mall_walk() in
  // net/sched/cls_matchall.c counts it all the same. The summary row is there, and a preference without a filter has none: so there
  // is a filter, of which nothing more is known.
  const isLeftOut = (row: Row) => row.kind === 'matchall' && !shown.has(keyOf(row))
  return rows.map((row) => (isLeftOut(row) ? { ...row, options: { [opaqueKind]: true } } : row))
}

/** tc prints the hash tables of u32 among the filters. */
const tableOutput = z.object({ options: z.object({ ht_divisor: z.number() }) })

/** The root table of u32 for a preference of a place: a frame begins there. */
export interface Root {
  readonly place: HookPlace | ClassPlace
  readonly chain: number
  readonly pref: number
  readonly protocol: string
  /** Such as `800:`; null: not read yet. */
  readonly table: string | null
}

/**
 * The preferences for which tc shows more than one table of u32, so that the root table is not certain. The kernel shows the tables
 * of the whole queueing discipline: at egress of clsact also those of ingress (u32_walk() in net/sched/cls_u32.c).
 */
export function findRoots(place: Root['place'], document: unknown): Root[] {
  // Most devices have none, and parsing each row takes time.
  if (!Array.isArray(document) || !document.some((row) => tableOutput.safeParse(row).success)) return []
  const tables = parseRows(document).filter(isTable)
  return tables
    .filter((table) => tables.filter((one) => isSamePref(one, table))[1] === table)
    .map(({ chain, pref, protocol }) => ({ place, chain, pref, protocol, table: null }))
}

/** tc's arguments that read the root table: its handle is TC_U32_ROOT in linux/pkt_cls.h. */
export function rootTableCommand({ place, chain, pref, protocol }: Root): string[] {
  return writeKey('get', { ...place, chain, pref, protocol, kind: 'u32' }, 'fff:')
}

/** Parses the output of {@link rootTableCommand}. */
export function parseRoot(root: Root, document: unknown): Root {
  const table = Array.isArray(document) ? parseRows(document).find(isTable)?.options?.fh : undefined
  return { ...root, table: typeof table === 'string' ? table : null }
}

/** Whether a row is a table of u32. */
export function isTable(row: Row): boolean {
  return row.kind === 'u32' && tableOutput.safeParse(row).success
}

/** Whether two rows have the same chain and preference. */
export function isSamePref(one: { chain: number; pref: number }, other: { chain: number; pref: number }): boolean {
  return one.chain === other.chain && one.pref === other.pref
}

/** The table of a u32 filter, whose handle is TABLE:BUCKET:NODE; null: a filter of another kind. */
export function tableOf({ fh }: NonNullable<Row['options']>): string | null {
  return typeof fh === 'string' ? `${fh.split(':')[0]}:` : null
}
