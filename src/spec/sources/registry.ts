import type { z } from 'zod'
import type { FindInterface } from '../interfaces.ts'
import { containerSource } from './container.ts'
import { networkSource } from './docker-network.ts'
import { erspanMapping, erspanSource } from './erspan.ts'
import { gretapMapping, gretapSource } from './gretap.ts'
import { interfaceSource } from './interface.ts'
import type { SourceSummary, SourceSyntax } from './source-syntax.ts'
import type { TunnelProtocol } from './tunnel-spec.ts'
import { vxlanMapping, vxlanSource } from './vxlan.ts'

/** The kinds of source. */
const kinds = {
  interface: interfaceSource,
  container: containerSource,
  network: networkSource,
  vxlan: vxlanSource,
  gretap: gretapSource,
  erspan: erspanSource
}

/** The keys of all kinds: an item of `sources` has exactly one of them. */
export const sourceKeys = {
  ...interfaceSource.keys,
  ...containerSource.keys,
  ...networkSource.keys,
  ...vxlanSource.keys,
  ...gretapSource.keys,
  ...erspanSource.keys
}

/** The keys of the mapping that each kind of tunnel is. */
export const tunnelKeys: Readonly<Record<TunnelProtocol, readonly string[]>> = {
  vxlan: Object.keys(vxlanMapping.shape),
  gretap: Object.keys(gretapMapping.shape),
  erspan: Object.keys(erspanMapping.shape)
}

type Kinds = typeof kinds

/** What a source's frames are copied at. */
export type SourceEnd = Kinds[keyof Kinds]['end']

type DataOf<K extends keyof Kinds> = Parameters<Kinds[K]['load']>[0]
type SourceOf<K extends keyof Kinds> = { [P in K]: NonNullable<ReturnType<Kinds[P]['load']>> & { readonly kind: P } }[K]

/** What is copied, as the kind of source says it. */
export type SourceByKind = SourceOf<keyof Kinds>

// The same table, in the form from which the compiler follows which kind takes which source.
const kindOf: { readonly [K in keyof Kinds]: SourceSyntax<DataOf<K>, SourceOf<K>> } = kinds

/** Reads an item that the schema has checked; undefined: it has none of the keys. */
export function loadSource(
  data: z.output<ReturnType<z.ZodObject<typeof sourceKeys>['partial']>>
): SourceByKind | undefined {
  return Object.values(kinds)
    .map((kind) => kind.load(data))
    .find((source) => source !== undefined)
}

/** The keys that an item of the file has for it. */
export function printSource<K extends keyof Kinds>(source: SourceOf<K>): DataOf<K> {
  return kindOf[source.kind].print(source)
}

/** What a source's frames are copied at. */
export function endOf({ kind }: Pick<SourceByKind, 'kind'>): SourceEnd {
  return kinds[kind].end
}

/** What the files alone say of a source. */
export function sourceSummary<K extends keyof Kinds>(source: SourceOf<K>, findInterface: FindInterface): SourceSummary {
  return kindOf[source.kind].summary(source, findInterface)
}
