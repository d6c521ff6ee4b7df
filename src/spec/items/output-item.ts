import type { z } from 'zod'
import type { ItemId, Origin } from '../../errors.ts'
import type { FindInterface } from '../interfaces.ts'
import { loadOutput, type OutputByKind, outputKeys, outputSummary, printOutput } from '../outputs/registry.ts'
import { mappingWithOne } from '../schema/rules.ts'

/** A further place that gets the frames of a span. */
export type OutputSpec = OutputByKind & { readonly id: ItemId; readonly origin: Origin }

/** A further place of one kind. */
export type OutputOf<Kind extends OutputSpec['kind']> = Extract<OutputSpec, { readonly kind: Kind }>

/** An item of `outputs`. */
export const output = mappingWithOne(
  outputKeys,
  {},
  {
    description: 'A further place that gets every frame of the span',
    message: `must have one of these keys: ${Object.keys(outputKeys).join(', ')}`,
    none: 'say where the frames leave, for example "- interface: eth2"',
    several: 'write an item for each'
  }
)

export function readOutput(data: z.output<typeof output>, origin: Origin, findInterface: FindInterface): OutputSpec[] {
  const kind = loadOutput(data)
  if (kind === undefined) return []
  return [{ ...kind, id: `output ${outputSummary(kind, findInterface).identity}`, origin }]
}

/** As the file has it. */
export const printOutputItem = (item: OutputSpec) => printOutput(item)
