import * as z from 'zod'
import { hasUnprintable } from '../yaml/quote.ts'
import {
  countBytes,
  dockerPattern,
  dockerRules,
  linkCharacters,
  linkRules,
  longestDockerName,
  longestLinkName,
  mapping,
  oneOf,
  text
} from './rules.ts'

/** Of the names that Compose takes: a project's in lower case, and a service's (compose-spec.json). */
const composePattern = /^[a-z0-9][a-z0-9_-]*\/[a-zA-Z0-9._-]+$/

const containerName = text("a container's name", [
  {
    broken: (value) => /^[^=]+=/.test(value),
    message: "must be a container's name",
    hint: 'to choose containers by a label, write "label: KEY=VALUE"'
  },
  {
    broken: (value) => composePattern.test(value),
    message: "must be a container's name",
    hint: 'to choose the containers of a Compose service, write "compose: PROJECT/SERVICE"'
  },
  ...dockerRules
]).meta({
  description: 'The name of a container that is connected to the span',
  pattern: dockerPattern.source,
  maxLength: longestDockerName
})

const containerLabel = text('KEY=VALUE, such as role=ids', [
  { broken: (value) => !/^[^=]+=/.test(value), message: 'must be KEY=VALUE, such as role=ids' },
  { broken: (value) => hasUnprintable(value), message: 'must have no control characters' }
]).meta({
  description:
    'A label, KEY=VALUE: every running container that has it is connected, also where it is its image’s own (LABEL)',
  pattern: '^[^=]+=',
  examples: ['role=ids']
})

const composeService = text('PROJECT/SERVICE, such as shop/ids', [
  { broken: (value) => !composePattern.test(value), message: 'must be PROJECT/SERVICE, such as shop/ids' }
]).meta({
  description:
    'A service of a Compose project, PROJECT/SERVICE: every running container that has its labels is connected, also where they are its image’s own (LABEL)',
  pattern: composePattern.source,
  examples: ['shop/ids']
})

const sensorInterface = text('the name of a network interface', [
  ...linkRules,
  ...linkCharacters,
  { broken: oneOf(['lo']), message: 'must not be "lo": the container has one already', code: 'NAME_INVALID' },
  {
    broken: (value) => countBytes(value) > longestLinkName,
    message: `is too long: a name has at most ${longestLinkName} bytes`,
    code: 'NAME_TOO_LONG'
  }
]).meta({
  description: "What the interface is called in the container, with Docker 28 or newer. Default: Docker's choice",
  pattern: `^(?!-)(?!(?:all|default|lo|\\.{1,2})$)[^/:\\s]{1,${longestLinkName}}$`
})

/** The ways to choose containers: each item has one of them. */
const choices = { container: containerName, label: containerLabel, compose: composeService }

const chosenSensor = mapping({
  container: choices.container.optional(),
  label: choices.label.optional(),
  compose: choices.compose.optional(),
  interface_name: sensorInterface.optional()
})
  .check((payload) => {
    const { interface_name: _, ...choice } = payload.value
    const given = Object.values(choice).filter((value) => value !== undefined)
    if (given.length === 1) return
    const message = 'must have one of container, label and compose'
    const hint = given.length > 1 ? 'write an item for each' : undefined
    payload.issues.push({ code: 'custom', input: payload.value, message, params: { code: 'VALUE_INVALID', hint } })
  })
  .meta({ oneOf: Object.keys(choices).map((key) => ({ required: [key] })) })

/** An item of `sensors`. */
export const sensor = z.union([containerName, chosenSensor], {
  error: "must be a container's name, or a mapping with container, label or compose"
})

/** An item of `sensors`, as the schema gives it. */
export type SensorData = z.output<typeof sensor>
