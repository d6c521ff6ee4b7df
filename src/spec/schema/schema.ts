import * as z from 'zod'
import { interfaceEntry, matchMapping } from '../interfaces.ts'
import { memberMapping } from '../items/member-item.ts'
import { networkMapping } from '../items/network-item.ts'
import { output } from '../items/output-item.ts'
import { sensorMapping } from '../items/sensor-list.ts'
import { sampleMapping } from '../items/share-keys.ts'
import { source } from '../items/source-item.ts'
import { span } from '../items/span-item.ts'
import { statsMapping } from '../items/stats-key.ts'
import { tunnelOutputKeys } from '../outputs/registry.ts'
import { tunnelKeys } from '../sources/registry.ts'
import {
  dockerPattern,
  interfaceName,
  lengthRule,
  longestLinkName,
  mapping,
  nameRule,
  oneOf,
  spanRules,
  text
} from './rules.ts'

/**
 * The one definition of spans.yaml. Each message says what a value must be, and follows the value's name: "mtu must be auto or a
 * number from 68 to 65535".
 */

/** Characters: as many as a label has in a host's name. */
const longestSpanName = 63

const spanName = text('a name', [
  ...spanRules,
  lengthRule(longestSpanName, `it has at most ${longestSpanName} characters`)
]).meta({
  description: `The span's name: 1 to ${longestSpanName} of A-Z a-z 0-9 _ . -. One of more than ${longestLinkName} needs "bridge"`,
  pattern: `^(?!-)(?!(?:all|default|\\.{1,2})$)[A-Za-z0-9_.-]{1,${longestSpanName}}$`
})

const longestOwner = 32

const ownerRules = [
  nameRule('must begin with a letter or digit, and have only A-Z a-z 0-9 _ . -', (value) => !dockerPattern.test(value)),
  lengthRule(longestOwner, `it has at most ${longestOwner} characters`),
  nameRule('must not be "all"', oneOf(['all']))
]

const owner = text('text', ownerRules).meta({
  description: 'Whose these spans are. apply and destroy touch nothing of another name',
  default: 'default',
  pattern: `^(?!all$)[A-Za-z0-9][A-Za-z0-9_.-]{0,${longestOwner - 1}}$`
})

const formerName = text('text', ownerRules)

const formerly = z
  .union([formerName, z.array(formerName).min(1, { error: 'must have one name or more' })], {
    error: 'must be a name, or a list of names'
  })
  .transform((names) => [names].flat())
  .meta({
    description: 'The names that this file had before: what they have marked is its own, and gets the mark of "name"'
  })

const file = mapping({
  version: z.literal(1, { error: 'must be 1' }).describe('The version of this format'),
  name: owner.optional(),
  formerly: formerly.optional(),
  interfaces: z
    .record(interfaceName, interfaceEntry, { error: 'must be a mapping of names to interfaces' })
    .default({})
    .describe('Interfaces of which more has to be said than their name'),
  spans: z
    .record(spanName, span, { error: 'must be a mapping of names to spans' })
    .describe('The spans, by name. {} says that there are none')
})

/** The schema of a file, and of the parts that are checked by themselves if the file has errors. */
export const schemas = { file, owner, formerly, interfaceName, interface: interfaceEntry, spanName, span }

/** The keys of each kind of mapping in a file. */
export const levelKeys = {
  file: Object.keys(file.shape),
  interface: Object.keys(interfaceEntry.shape),
  match: Object.keys(matchMapping.shape),
  span: Object.keys(span.shape),
  source: Object.keys(source.shape),
  network: Object.keys(networkMapping.shape),
  sample: Object.keys(sampleMapping.shape),
  stats: Object.keys(statsMapping.shape),
  ...tunnelKeys,
  sensor: Object.keys(sensorMapping.shape),
  output: Object.keys(output.shape),
  member: Object.keys(memberMapping.shape),
  ...tunnelOutputKeys
}

/** The JSON Schema of spans.yaml, for editors. yaml-language-server supports draft 7 best. */
export function jsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(file, { target: 'draft-07', io: 'input' })
  return {
    $schema,
    title: 'spans.yaml of spanplan',
    description: 'SPAN and mirror traffic for IDS containers: what is copied, to which Docker network, for whom',
    ...rest,
    patternProperties: { '^x-': { description: 'Your own: for anchors' } }
  }
}
