import * as z from 'zod'
import type { ItemId, Origin } from '../../errors.ts'
import {
  countBytes,
  lengthRule,
  linkCharacters,
  linkRules,
  longestLinkName,
  mappingWithOne,
  nameRule,
  oneOf,
  text
} from '../schema/rules.ts'
import { type ContainerSelector, readSelector, selectorKeys, writeSelector } from '../values/container-selector.ts'
import { optionalKey, printKeys, readKeys, shapeOf, type ValuesOf } from './item-key.ts'

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

/** The options of a sensor, however its containers are selected. */
const options = {
  /** The name of the interface in the container; null: Docker chooses. */
  interfaceName: optionalKey('interface_name', sensorInterface)
}

/** The containers to connect. */
export type SensorSpec = ContainerSelector & ValuesOf<typeof options> & { readonly id: ItemId; readonly origin: Origin }

const containerName = selectorKeys.container.describe('The name of a container. It is connected whether it runs or not')

/** An item of `sensors` that is a mapping. */
export const sensorMapping = mappingWithOne(
  {
    container: containerName,
    label: selectorKeys.label.describe(
      'KEY=VALUE: every running container with this label is connected, also if the label is that of its image'
    ),
    compose: selectorKeys.compose.describe(
      'PROJECT/SERVICE: every running container of this Compose service is connected, except those of docker compose run'
    )
  },
  shapeOf(options),
  { message: 'must have one of container, label and compose', several: 'write an item for each' }
)

/** An item of `sensors`. */
export const sensor = z.union([containerName, sensorMapping], {
  error: "must be a container's name, or a mapping with container, label or compose"
})

export function readSensor(item: z.output<typeof sensor>, origin: Origin): SensorSpec[] {
  const data = typeof item === 'string' ? { container: item } : item
  const selector = readSelector(data)
  if (selector === undefined) return []
  const { kind, value } = writeSelector(selector)
  return [{ ...selector, ...readKeys(options, data, undefined), id: ['sensor', kind, value].join(' '), origin }]
}

/** As the file has it. */
export function printSensor(item: SensorSpec) {
  const { kind, value } = writeSelector(item)
  const printed = printKeys(options, item)
  return kind === 'container' && Object.keys(printed).length === 0 ? value : { [kind]: value, ...printed }
}
