import * as z from 'zod'
import { selectorKeys } from '../values/container-selector.ts'
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
} from './rules.ts'

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

const containerName = selectorKeys.container.describe('The name of a container. It is connected whether it runs or not')

/** An item of `sensors` that is a mapping. */
export const sensorMapping = mappingWithOne(
  Object.keys(selectorKeys),
  { message: 'must have one of container, label and compose', several: 'write an item for each' },
  {
    container: containerName.optional(),
    label: selectorKeys.label
      .describe(
        'KEY=VALUE: every running container with this label is connected, also if the label is that of its image'
      )
      .optional(),
    compose: selectorKeys.compose
      .describe(
        'PROJECT/SERVICE: every running container of this Compose service is connected, except those of docker compose run'
      )
      .optional(),
    interface_name: sensorInterface.optional()
  }
)

/** An item of `sensors`. */
export const sensor = z.union([containerName, sensorMapping], {
  error: "must be a container's name, or a mapping with container, label or compose"
})

/** An item of `sensors`, as the schema returns it. */
export type SensorData = z.output<typeof sensor>
