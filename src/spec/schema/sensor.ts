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
  description: "What the interface is called in the container, with Docker 28 or newer. Default: Docker's choice",
  pattern: `^(?!-)(?!(?:all|default|lo|\\.{1,2})$)[^/:\\s]{1,${longestLinkName}}$`
})

const containerName = selectorKeys.container.describe('The name of a container that is connected to the span')

/** An item of `sensors`. */
export const sensor = z.union(
  [
    containerName,
    mappingWithOne(
      Object.keys(selectorKeys),
      { message: 'must have one of container, label and compose', several: 'write an item for each' },
      {
        container: containerName.optional(),
        label: selectorKeys.label
          .describe(
            'A label, KEY=VALUE: every running container that has it is connected, also where it is its image’s own (LABEL)'
          )
          .optional(),
        compose: selectorKeys.compose
          .describe(
            'A service of a Compose project, PROJECT/SERVICE: every running container that has its labels is connected, also where they are its image’s own (LABEL)'
          )
          .optional(),
        interface_name: sensorInterface.optional()
      }
    )
  ],
  { error: "must be a container's name, or a mapping with container, label or compose" }
)

/** An item of `sensors`, as the schema returns it. */
export type SensorData = z.output<typeof sensor>
