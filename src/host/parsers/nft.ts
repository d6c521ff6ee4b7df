import * as z from 'zod'
import type { NftTable } from '../snapshot.ts'
import { parseRecords } from './records.ts'

const document = z.object({ nftables: z.unknown() })

const entry = z.record(z.string(), z.record(z.string(), z.unknown()))

/** Apart from the object: that is kept as it is. What is not understood names no table. */
const text = z.string().optional().catch(undefined)
const names = z.object({ name: text, table: text })

/** Parses what `nft list ruleset` prints: the tables in which something has a name with `spanplan`. */
export function parseTables(output: unknown): NftTable[] {
  const objects = parseRecords(entry, document.parse(output).nftables).flatMap((one) => Object.entries(one))
  const contents = new Map<string, NftTable['objects'][number][]>()
  const ofSpanplan = new Set<string>()
  for (const [kind, { handle: _, ...object }] of objects) {
    const { name, table = name } = names.parse(object)
    if (kind === 'metainfo' || table === undefined) continue
    contents.set(table, [...(contents.get(table) ?? []), { [kind]: object }])
    if (name?.includes('spanplan')) ofSpanplan.add(table)
  }
  return [...contents].flatMap(([name, contained]) => (ofSpanplan.has(name) ? [{ name, objects: contained }] : []))
}
