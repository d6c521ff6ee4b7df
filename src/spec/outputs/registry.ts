import type { z } from 'zod'
import type { FindInterface } from '../interfaces.ts'
import type { TunnelProtocol, TunnelSpec } from '../sources/tunnel-spec.ts'
import { erspanOutput, erspanOutputMapping } from './erspan.ts'
import { gretapOutput, gretapOutputMapping } from './gretap.ts'
import { interfaceOutput } from './interface.ts'
import type { OutputSummary, OutputSyntax } from './output-syntax.ts'
import { vxlanOutput, vxlanOutputMapping } from './vxlan.ts'

/** The kinds of output. */
const kinds = { interface: interfaceOutput, vxlan: vxlanOutput, gretap: gretapOutput, erspan: erspanOutput }

/** The keys of all kinds: an item of `outputs` has exactly one of them. */
export const outputKeys = {
  ...interfaceOutput.keys,
  ...vxlanOutput.keys,
  ...gretapOutput.keys,
  ...erspanOutput.keys
}

/** The keys of the mapping that each kind of tunnel is. */
export const tunnelOutputKeys: Readonly<Record<`${TunnelProtocol}_output`, readonly string[]>> = {
  vxlan_output: Object.keys(vxlanOutputMapping.shape),
  gretap_output: Object.keys(gretapOutputMapping.shape),
  erspan_output: Object.keys(erspanOutputMapping.shape)
}

type Kinds = typeof kinds
type DataOf<K extends keyof Kinds> = Parameters<Kinds[K]['load']>[0]
type OutputOf<K extends keyof Kinds> = { [P in K]: NonNullable<ReturnType<Kinds[P]['load']>> & { readonly kind: P } }[K]

/** Where frames leave, as the kind of output says it. */
export type OutputByKind = OutputOf<keyof Kinds>

// The same table, in the form from which the compiler follows which kind takes which output.
const kindOf: { readonly [K in keyof Kinds]: OutputSyntax<DataOf<K>, OutputOf<K>> } = kinds

/** Reads an item that the schema has checked; undefined: it has none of the keys. */
export function loadOutput(
  data: z.output<ReturnType<z.ZodObject<typeof outputKeys>['partial']>>
): OutputByKind | undefined {
  return Object.values(kinds)
    .map((kind) => kind.load(data))
    .find((output) => output !== undefined)
}

/** The keys that an item of the file has for it. */
export function printOutput<K extends keyof Kinds>(output: OutputOf<K>): DataOf<K> {
  return kindOf[output.kind].print(output)
}

/** The pcap expressions of what an output sends itself, as {@link OutputSyntax} says. */
export function packetsOf<K extends keyof Kinds>(output: OutputOf<K>): readonly string[] {
  return kindOf[output.kind].packets?.(output) ?? []
}

/** Whether an output takes packets of another tunnel, as {@link OutputSyntax} says. */
export function takesPackets<K extends keyof Kinds>(output: OutputOf<K>, other: TunnelSpec): boolean {
  return kindOf[output.kind].takesPackets?.(output, other) ?? false
}

/** What the files alone say of an output. */
export function outputSummary<K extends keyof Kinds>(output: OutputOf<K>, findInterface: FindInterface): OutputSummary {
  return kindOf[output.kind].summary(output, findInterface)
}
