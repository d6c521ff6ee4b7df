import * as z from 'zod'
import type { FindInterface } from '../interfaces.ts'
import { printOutput } from '../outputs/registry.ts'
import { mappingWithOne } from '../schema/rules.ts'
import { findTree, findValuePlace, type Tree } from '../yaml/tree.ts'
import { type BalanceSpec, balanceKeys } from './balance.ts'
import { printKeys, readKeys, shapeOf } from './item-key.ts'
import { containerOf, isOutput, member, readMember } from './member-item.ts'
import type { OutputSpec } from './output-item.ts'
import { findStatsProblem, printSensor, readSensor, type SensorSpec, sensorKeys, sensorOptions } from './sensor-item.ts'

/** As many as there are parts of which each member gets some: of more members, one would get nothing. */
const mostMembers = 256

const listOfMembers = 'must be a list of members'

const keys = {
  ...sensorKeys,
  balance: z
    .array(member, { error: listOfMembers })
    .min(1, { error: listOfMembers })
    .describe(
      'Sensors that share the frames: each flow goes to one of them, with both directions and all fragments. What is not IP goes to the first. Members are names, or mappings with one of container, label and compose, which may be several containers, or with an output. If a member is gone, the others get its share until it is back'
    )
    .optional()
}

/** An item of `sensors` that is a mapping. */
export const sensorMapping = mappingWithOne(
  keys,
  { ...sensorOptions, ...shapeOf(balanceKeys) },
  { message: 'must have one of container, label, compose and balance', several: 'write an item for each' }
).check(({ value, issues }) => {
  const refuse = (key: 'balance' | 'hash' | 'interface_name' | 'stats', message: string, hint: string) =>
    issues.push({ code: 'custom', input: value[key], path: [key], message, params: { hint } })
  const { balance: members, hash, interface_name: name } = value
  const problem = findStatsProblem(value)
  if (problem !== null) refuse('stats', ...problem)
  if (members === undefined) {
    if (hash !== undefined) refuse('hash', 'belongs beside "balance"', 'take "hash" out')
    return
  }
  if (name !== undefined) {
    refuse(
      'interface_name',
      'belongs to one member',
      'write it in the member, as in {container: NAME, interface_name: span0}'
    )
  }
  if (members.length > mostMembers) {
    refuse('balance', `has more than ${mostMembers} members`, 'leave some out')
  }
  const [first, second] = members
  if (first === undefined || second !== undefined) return
  const container = containerOf(first)
  if (container !== null) {
    refuse('balance', 'has one container, and nobody to share with', `write the sensor itself: "- ${container}"`)
  }
  if (isOutput(first)) {
    refuse('balance', 'has one output, and nobody to share with', 'write the output itself, in "outputs"')
  }
})

/** An item of `sensors`. */
const sensor = z.union([sensorKeys.container, sensorMapping], {
  error: "must be a container's name, or a mapping with container, label, compose or balance"
})

/** `sensors` of a span. */
export const sensors = z.array(sensor, { error: 'must be a list of containers' }).default([]).meta({
  description:
    'The containers to connect: names, or mappings with one of container, label, compose and balance. Others may connect themselves',
  default: []
})

type Items = z.output<typeof sensors>

/** What `sensors` says, with the members of balances among the others. */
export interface SensorList {
  readonly sensors: readonly SensorSpec[]
  /** Those that are members. */
  readonly outputs: readonly OutputSpec[]
  readonly balances: readonly BalanceSpec[]
}

/** Whether an item selects containers. */
export function hasContainers(item: Items[number]): boolean {
  return typeof item === 'string' || item.balance === undefined || item.balance.some((one) => !isOutput(one))
}

/** @param tree of the span. */
export function readSensors(items: Items, tree: Tree, findInterface: FindInterface): SensorList {
  const balances: BalanceSpec[] = []
  const read = items.map((item, index): Pick<SensorList, 'sensors' | 'outputs'>[] => {
    const own = findTree(tree, ['sensors', index]) ?? tree
    const { hash, filter } = readKeys(balanceKeys, typeof item === 'string' ? {} : item, { tree: own })
    const shared = typeof item === 'string' ? undefined : item.balance
    if (shared === undefined) {
      return [{ sensors: readSensor(item, { filter, balance: null, origin: own.at }), outputs: [] }]
    }
    const id = `balance ${balances.length + 1}`
    balances.push({ id, hash, filter, index, origin: own.at })
    return shared.map((one, place) =>
      readMember(one, { id, member: place }, findValuePlace(own, ['balance', place]), findInterface)
    )
  })
  const members = read.flat()
  return {
    sensors: members.flatMap((one) => one.sensors),
    outputs: members.flatMap((one) => one.outputs),
    balances
  }
}

/** As the file has it. */
export function printSensors({ sensors: all, outputs, balances }: SensorList): unknown[] {
  const printed = all
    .filter(({ balance }) => balance === null)
    .map((item) => printSensor(item, printKeys({ filter: balanceKeys.filter }, item)))
  for (const { id, index, ...balance } of balances) {
    const members = [
      ...all.map((item) => ({ ref: item.balance, printed: printSensor(item) })),
      ...outputs.map((item) => ({ ref: item.balance, printed: printOutput(item) }))
    ].flatMap(({ ref, printed }) => (ref?.id === id ? [{ place: ref.member, printed }] : []))
    const inOrder = members.sort((one, other) => one.place - other.place).map((one) => one.printed)
    printed.splice(index, 0, { balance: inOrder, ...printKeys(balanceKeys, balance) })
  }
  return printed
}
