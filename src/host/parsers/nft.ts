import * as z from 'zod'
import type { NftTable } from '../snapshot.ts'

const document = z.object({ nftables: z.array(z.record(z.string(), z.record(z.string(), z.unknown()))) })

const names = z.object({ name: z.string().optional(), table: z.string().optional(), comment: z.string().optional() })

/** Parses what `nft list ruleset` prints: the tables whose name or comment begins with `spanplan`. */
export function parseTables(output: unknown): NftTable[] {
  const objects = document.parse(output).nftables.flatMap((entry) => Object.entries(entry))
  const contents = new Map<string, NftTable['objects'][number][]>()
  for (const [kind, { handle: _, ...object }] of objects) {
    const { name, table = name } = names.parse(object)
    if (kind === 'metainfo' || table === undefined) continue
    contents.set(table, [...(contents.get(table) ?? []), { [kind]: object }])
  }
  return objects.flatMap(([kind, object]): NftTable[] => {
    if (kind !== 'table') return []
    const { name = '', comment = null } = names.parse(object)
    const isOfSpanplan = [name, comment].some((text) => text?.startsWith('spanplan'))
    return isOfSpanplan ? [{ name, comment, objects: contents.get(name) ?? [] }] : []
  })
}
