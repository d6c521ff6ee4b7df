import type { z } from 'zod'
import type { FindInterface } from '../interfaces.ts'
import { interfaceOutput } from './interface.ts'
import type { OutputSummary, OutputSyntax } from './output-syntax.ts'
import { vxlanOutput } from './vxlan.ts'

/** The kinds of output. */
const kinds = { interface: interfaceOutput, vxlan: vxlanOutput }

/** The keys of all kinds: an item of `outputs` has exactly one of them. */
export const outputKeys = { ...interfaceOutput.keys, ...vxlanOutput.keys }

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

/** What the files alone say of an output. */
export function outputSummary<K extends keyof Kinds>(output: OutputOf<K>, findInterface: FindInterface): OutputSummary {
  return kindOf[output.kind].summary(output, findInterface)
}
