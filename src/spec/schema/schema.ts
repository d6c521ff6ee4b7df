import * as z from 'zod'
import { hasControls } from '../../printable.ts'
import { sourceKeys } from '../sources/registry.ts'
import { readDuration } from '../values/duration.ts'
import { parseSubnet } from '../values/subnet.ts'
import {
  countBytes,
  dockerPattern,
  dockerRules,
  interfaceName,
  lengthRule,
  linkRules,
  longestDockerName,
  longestLinkName,
  mapping,
  mappingWithOne,
  nameRule,
  oneOf,
  type Rule,
  text
} from './rules.ts'
import { sensor, sensorMapping } from './sensor-schema.ts'

/**
 * The one definition of spans.yaml. Each message says what a value must be, and follows the value's name: "mtu must be auto or a
 * number from 68 to 65535".
 */

const spanName = text('a name', [
  ...linkRules,
  nameRule('must have only A-Z a-z 0-9 _ . -', (value) => !/^[A-Za-z0-9_.-]+$/.test(value)),
  lengthRule(longestLinkName, `it becomes the name of a bridge, which has at most ${longestLinkName} characters`)
]).meta({
  description: `The span's name, and that of its bridge: 1 to ${longestLinkName} of A-Z a-z 0-9 _ . -`,
  pattern: `^(?!-)(?!(?:all|default|\\.{1,2})$)[A-Za-z0-9_.-]{1,${longestLinkName}}$`
})

const networkName = text('the name of a Docker network', [
  ...dockerRules,
  nameRule('must not be one of the networks that Docker itself makes', oneOf(['bridge', 'host', 'none', 'default']))
]).meta({
  pattern: `^(?!(?:bridge|host|none|default)$)${dockerPattern.source.slice(1)}`,
  maxLength: longestDockerName
})

const macPattern = /^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i

const macaddress = text('a MAC address such as "00:1b:21:aa:00:01"', [
  { broken: (value) => !macPattern.test(value), message: 'must be a MAC address such as "00:1b:21:aa:00:01"' }
]).meta({
  description:
    'The permanent MAC address of the interface, with : or -. Put it in quotes: YAML reads some addresses as numbers',
  pattern: '^[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})$'
})

const match = mappingWithOne(
  ['macaddress', 'name'],
  {
    description: 'How the interface is found. Default: the key is its name',
    message: 'must have either macaddress or name'
  },
  {
    macaddress: macaddress.optional(),
    name: interfaceName.optional().describe('The name of the interface, or one of its altnames')
  }
)

const flag = () => z.boolean({ error: 'must be true or false' })

const interfaceEntry = mapping({
  match: match.optional(),
  dedicated: flag()
    .default(false)
    .describe(
      'The interface is for capture only: its frames do not reach the host, and the host sends none; no ARP, no IPv6, GRO and LRO off. Refused if it has an address or a route'
    )
}).describe('An interface, for every span that copies from it. Sources name it by this key')

const noControls: Rule = {
  broken: (value) => hasControls(value, '\n\t'),
  message: 'must have no control characters'
}

const longestFilter = 64 * 1024

const filter = text('text: a pcap-filter(7) expression', [
  { broken: (value) => value.trim() === '', message: 'must not be empty', hint: 'remove the key to copy everything' },
  { broken: (value) => countBytes(value) > longestFilter, message: `must have at most ${longestFilter / 1024} KiB` },
  noControls
]).meta({
  description: 'Which frames are copied: a pcap-filter(7) expression, as for tcpdump. Default: every frame',
  examples: ['not port 22', 'vlan 10 and tcp'],
  minLength: 1
})

const durationPattern = ['h', 'm', 's', 'ms'].map((unit) => `(?:[0-9]+(?:\\.[0-9]+)?${unit})?`).join('')

const maxIdle = z
  .string({ error: 'must be a duration with a unit, such as 30s, 5m or 1h30m' })
  .meta({
    description:
      'The source is unhealthy after so long without a frame: a duration such as 30s, 5m or 1h30m. Default: never',
    examples: ['5m'],
    pattern: `^(?=.)${durationPattern}$`
  })
  .transform((value, { issues }) => {
    const duration = readDuration(value)
    if (typeof duration === 'number' && duration >= 1) return duration
    const problem = typeof duration === 'number' ? 'be more than 0' : duration.problem
    issues.push({ code: 'custom', input: value, message: `must ${problem}` })
    return z.NEVER
  })

const source = mappingWithOne(
  Object.keys(sourceKeys),
  {
    description: 'Where traffic is copied from',
    message: `must have one of these keys: ${Object.keys(sourceKeys).join(', ')}`,
    none: 'say what is copied, for example "- interface: eth1"',
    several: 'write an item for each'
  },
  {
    ...sourceKeys,
    direction: z
      .enum(['ingress', 'egress', 'both'], { error: 'must be ingress, egress or both' })
      .optional()
      .describe('Which frames are copied: received, sent, or both. Default: both; ingress for a dedicated interface'),
    filter: filter.optional(),
    max_idle: maxIdle.optional()
  }
)

const subnet = z
  .string({ error: 'must be an IPv4 prefix such as 198.18.0.0/26' })
  .check((payload) => {
    const result = parseSubnet(payload.value)
    if (!('problem' in result)) return
    const params = { code: 'SUBNET_INVALID', hint: result.hint }
    payload.issues.push({ code: 'custom', input: payload.value, message: result.problem, params })
  })
  .meta({
    description:
      'The IPv4 prefix of the network, /8 to /29. Default: a free /26 of 198.18.0.0/15, chosen at random and kept once made',
    pattern: '^(?:[0-9]{1,3}\\.){3}[0-9]{1,3}/(?:[89]|1[0-9]|2[0-9])$'
  })

const networkMapping = mapping({
  name: networkName.describe('The name of the Docker network'),
  subnet: subnet.optional()
})

const network = z
  .union(
    [
      networkName.describe('The name of the Docker network').transform((name) => ({ name, subnet: undefined })),
      networkMapping
    ],
    { error: 'must be the name of a Docker network, or {name: …, subnet: …}' }
  )
  .describe(
    'The Docker network that hands out the span: a name, or name and subnet. Default: the name of the span, if there are sensors'
  )

/** Bytes. IPv4 needs the one (RFC 791); a bridge's MTU in the kernel goes up to the other. */
const smallestMtu = 68
const largestMtu = 65535
const mtuError = { error: `must be auto or a number from ${smallestMtu} to ${largestMtu}` }

const span = mapping({
  description: text('text', [noControls]).optional().describe('What the span is for. The plan shows it'),
  sources: z
    .array(source, { error: 'must be a list of one source or more' })
    .min(1, { error: 'must be a list of one source or more' })
    .describe(
      'Where traffic is copied from: one source or more, each with one of interface, container, label and compose'
    ),
  network: network.optional(),
  sensors: z
    .array(sensor, { error: 'must be a list of containers' })
    .default([])
    .describe(
      'The containers to connect: names, or mappings with one of container, label and compose. Others may connect themselves'
    ),
  mtu: z
    .union([z.literal('auto'), z.int(mtuError).min(smallestMtu, mtuError).max(largestMtu, mtuError)], mtuError)
    .default('auto')
    .describe(
      'The largest frame, in bytes. auto: that of the largest source; it never becomes smaller while sensors run'
    ),
  wire: flag().default(true).describe('Frames are as on the wire: segmented, with checksums filled in'),
  sealed: flag()
    .default(true)
    .describe(
      'Sensors receive, and can never send: not to the host, not to each other. What is mirrored reaches their packet sockets alone'
    )
}).describe('A named tap: a bridge, the mirrors that feed it, the Docker network that hands it out')

const longestOwner = 32

const owner = text('text', [
  nameRule('must begin with a letter or digit, and have only A-Z a-z 0-9 _ . -', (value) => !dockerPattern.test(value)),
  lengthRule(longestOwner, `it has at most ${longestOwner} characters`),
  nameRule('must not be "all"', oneOf(['all']))
]).meta({
  description: 'Whose these spans are. apply and destroy touch nothing of another name',
  default: 'default',
  pattern: `^(?!all$)[A-Za-z0-9][A-Za-z0-9_.-]{0,${longestOwner - 1}}$`
})

const file = mapping({
  version: z.literal(1, { error: 'must be 1' }).describe('The version of this format'),
  name: owner.optional(),
  interfaces: z
    .record(interfaceName, interfaceEntry, { error: 'must be a mapping of names to interfaces' })
    .default({})
    .describe('Interfaces of which more has to be said than their name'),
  spans: z
    .record(spanName, span, { error: 'must be a mapping of names to spans' })
    .describe('The spans, by name. {} says that there are none')
})

/** The schema of a file, and of the parts that are checked by themselves if the file has errors. */
export const schemas = { file, owner, interfaceName, interface: interfaceEntry, spanName, span, network: networkName }

/** An entry of `interfaces`, as the schema returns it. */
export type InterfaceData = z.output<typeof interfaceEntry>
/** An entry of `spans`, as the schema returns it. */
export type SpanData = z.output<typeof span>

/** The keys of each kind of mapping in a file. */
export const levelKeys = {
  file: Object.keys(file.shape),
  interface: Object.keys(interfaceEntry.shape),
  match: Object.keys(match.shape),
  span: Object.keys(span.shape),
  source: Object.keys(source.shape),
  network: Object.keys(networkMapping.shape),
  sensor: Object.keys(sensorMapping.shape)
}

/** Whether a top-level key is the user's own. */
export const isOwnKey = (key: string) => key.startsWith('x-')

/** The JSON Schema of spans.yaml, for editors. yaml-language-server supports draft 7 best. */
export function jsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(file, { target: 'draft-07', io: 'input' })
  return {
    $schema,
    title: 'spans.yaml of spanplan',
    description:
      'SPAN and mirror traffic for IDS containers: which interfaces are copied, to which Docker network, for whom',
    ...rest,
    patternProperties: { '^x-': { description: 'Your own: for anchors' } }
  }
}
