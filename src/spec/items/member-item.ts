import * as z from 'zod'
import type { Origin } from '../../errors.ts'
import type { FindInterface } from '../interfaces.ts'
import { outputKeys } from '../outputs/registry.ts'
import { mappingWithOne } from '../schema/rules.ts'
import type { BalanceRef } from './balance.ts'
import { type OutputSpec, readShared } from './output-item.ts'
import { findStatsProblem, readSensor, type SensorSpec, sensorKeys, sensorOptions } from './sensor-item.ts'

/** Another key says the same of an output. */
const asOutput = 'As in an item of outputs'

/** What a member that is a mapping has one of. */
const keys = {
  ...sensorKeys,
  interface: outputKeys.interface.describe(asOutput),
  vxlan: outputKeys.vxlan.describe(asOutput),
  gretap: outputKeys.gretap.describe(asOutput),
  erspan: outputKeys.erspan.describe(asOutput)
} satisfies typeof sensorKeys & typeof outputKeys

/** A member of a balance that is a mapping. */
export const memberMapping = mappingWithOne(keys, sensorOptions, {
  description: 'A sensor or an output that gets a share',
  several: 'write a member for each'
}).check(({ value, issues }) => {
  const refuse = (key: 'interface_name' | 'stats', message: string, hint: string) =>
    issues.push({ code: 'custom', input: value[key], path: [key], message, params: { hint } })
  const problem = findStatsProblem(value)
  if (problem !== null) refuse('stats', ...problem)
  if (value.interface_name === undefined || Object.keys(outputKeys).every((key) => !(key in value))) return
  refuse('interface_name', 'belongs to a container, and an output is none', 'take "interface_name" out')
})

/** A member of a balance. */
export const member = z.union([sensorKeys.container, memberMapping], {
  error: "must be a container's name, or a mapping with container, label, compose, interface, vxlan, gretap or erspan"
})

type Member = z.output<typeof member>

/** The one container that a member is; null: it may be several, or it is an output. */
export function containerOf(item: Member): string | null {
  return typeof item === 'string' ? item : (item.container ?? null)
}

/** Whether a member is an output. */
export function isOutput(item: Member): boolean {
  return typeof item !== 'string' && Object.keys(outputKeys).some((key) => key in item)
}

/** A member, which is either. */
interface Members {
  readonly sensors: readonly SensorSpec[]
  readonly outputs: readonly OutputSpec[]
}

export function readMember(item: Member, balance: BalanceRef, origin: Origin, findInterface: FindInterface): Members {
  // The balance has the filter.
  const shared = { filter: null, balance, origin }
  return {
    sensors: readSensor(item, shared),
    outputs: typeof item === 'string' ? [] : readShared(item, findInterface, shared)
  }
}
