import type { z } from 'zod'
import type { ItemId, Origin } from '../../errors.ts'
import {
  countBytes,
  lengthRule,
  linkCharacters,
  linkRules,
  longestLinkName,
  nameRule,
  oneOf,
  text
} from '../schema/rules.ts'
import {
  type ContainerSelector,
  readSelector,
  type SelectorData,
  selectorKeys,
  writeSelector
} from '../values/container-selector.ts'
import type { BalanceRef } from './balance.ts'
import type { FilterSpec } from './filter-key.ts'
import { optionalKey, printKeys, readKeys, shapeOf, type ValuesOf } from './item-key.ts'
import { statsKey } from './stats-key.ts'

const sensorInterface = text('the name of a network interface', [
  ...linkRules,
  linkCharacters,
  nameRule('must not be "lo": the container has one already', oneOf(['lo'])),
  lengthRule(longestLinkName, `a name has at most ${longestLinkName} bytes`, countBytes)
]).meta({
  description:
    'The name of the interface in the container. Docker older than 28 ignores it, with a warning. Default: the choice of Docker',
  pattern: `^(?!-)(?!(?:all|default|lo|\\.{1,2})$)[^/:\\s]{1,${longestLinkName}}$`
})

/** The options of containers that are connected, however they are selected. */
const options = {
  /** The name of the interface in the container; null: Docker chooses. */
  interfaceName: optionalKey('interface_name', sensorInterface),
  /** Where its tool says what it has received and dropped; null: not known. Only of a container that is named. */
  stats: statsKey
}

/** The containers to connect. */
export type SensorSpec = ContainerSelector &
  ValuesOf<typeof options> & {
    readonly id: ItemId
    /** Which frames they get; null: every frame. Of a member of a balance, the balance has it. */
    readonly filter: FilterSpec | null
    /** null: they share with nobody. */
    readonly balance: BalanceRef | null
    readonly origin: Origin
  }

/** The keys that select containers to connect. */
export const sensorKeys = {
  container: selectorKeys.container.describe('The name of a container. It is connected whether it runs or not'),
  label: selectorKeys.label.describe(
    'KEY=VALUE: every running container with this label is connected, also if the label is that of its image'
  ),
  compose: selectorKeys.compose.describe(
    'PROJECT/SERVICE: every running container of this Compose service is connected, except those of docker compose run'
  )
}

/** The schemas of the options. */
export const sensorOptions = shapeOf(options)

/** What is wrong with `stats` beside these keys, and what to do; null: nothing. */
export function findStatsProblem(item: Readonly<Record<string, unknown>>): readonly [string, string] | null {
  if (item.stats === undefined || item.container !== undefined) return null
  if (item.balance !== undefined) {
    return ['belongs to one member', 'write it in the member, as in {container: NAME, stats: {eve: PATH}}']
  }
  if (item.label === undefined && item.compose === undefined) {
    return ['belongs to a container, and an output is none', 'take "stats" out']
  }
  return [
    'belongs to one container, and a label or a service may select several',
    'write an item for each container, as in {container: NAME, stats: {eve: PATH}}'
  ]
}

/** What an item says of the containers, which may be their name alone. */
type SensorData =
  | string
  | (SelectorData & { readonly [Key in keyof typeof sensorOptions]?: z.output<(typeof sensorOptions)[Key]> })

export function readSensor(item: SensorData, shared: Pick<SensorSpec, 'filter' | 'balance' | 'origin'>): SensorSpec[] {
  const data = typeof item === 'string' ? { container: item } : item
  const selector = readSelector(data)
  if (selector === undefined) return []
  const { kind, value } = writeSelector(selector)
  return [{ ...selector, ...readKeys(options, data, undefined), id: ['sensor', kind, value].join(' '), ...shared }]
}

/** As the file has it, with more keys of its item. */
export function printSensor(item: SensorSpec, more: Readonly<Record<string, unknown>> = {}) {
  const { kind, value } = writeSelector(item)
  const printed = { ...printKeys(options, item), ...more }
  return kind === 'container' && Object.keys(printed).length === 0 ? value : { [kind]: value, ...printed }
}
