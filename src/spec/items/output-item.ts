import type { z } from 'zod'
import type { ItemId, Origin } from '../../errors.ts'
import type { FindInterface } from '../interfaces.ts'
import { loadOutput, type OutputByKind, outputKeys, outputSummary, printOutput } from '../outputs/registry.ts'
import { mappingWithOne } from '../schema/rules.ts'
import type { Tree } from '../yaml/tree.ts'
import type { BalanceRef } from './balance.ts'
import { filterKey } from './filter-key.ts'
import { printKeys, readKeys, shapeOf, type ValuesOf } from './item-key.ts'

/** The options of an output, of whatever kind. */
const options = {
  /** null: every frame. Of a member of a balance, the balance has it. */
  filter: filterKey('Which frames leave', 'to have every frame of the span leave')
}

/** A further place that gets the frames of a span. */
export type OutputSpec = OutputByKind &
  ValuesOf<typeof options> & {
    readonly id: ItemId
    /** null: it shares with nobody. */
    readonly balance: BalanceRef | null
    readonly origin: Origin
  }

/** A further place of one kind. */
export type OutputOf<Kind extends OutputSpec['kind']> = Extract<OutputSpec, { readonly kind: Kind }>

/** An item of `outputs`. */
export const output = mappingWithOne(outputKeys, shapeOf(options), {
  description: 'A further place that gets the frames of the span',
  none: 'say where the frames leave, for example "- interface: eth2"',
  several: 'write an item for each'
})

/** @param tree of the item. */
export function readOutput(data: z.output<typeof output>, tree: Tree, findInterface: FindInterface): OutputSpec[] {
  return readShared(data, findInterface, { ...readKeys(options, data, { tree }), balance: null, origin: tree.at })
}

/** Reads what an item says beside its options. */
export function readShared(
  data: Parameters<typeof loadOutput>[0],
  findInterface: FindInterface,
  shared: Pick<OutputSpec, 'filter' | 'balance' | 'origin'>
): OutputSpec[] {
  const kind = loadOutput(data)
  if (kind === undefined) return []
  return [{ ...kind, id: `output ${outputSummary(kind, findInterface).identity}`, ...shared }]
}

/** As the file has it. */
export const printOutputItem = (item: OutputSpec) => ({ ...printOutput(item), ...printKeys(options, item) })
