import * as z from 'zod'
import type { Origin } from '../../errors.ts'
import { dockerPattern, dockerRules, longestDockerName, mapping, nameRule, oneOf, text } from '../schema/rules.ts'
import { parseSubnet } from '../values/subnet.ts'
import { optionalKey, plainKey, printKeys, readKeys, shapeOf, type ValuesOf } from './item-key.ts'

/** The name of a Docker network. */
export const networkName = text('the name of a Docker network', [
  ...dockerRules,
  nameRule('must not be one of the networks that Docker itself makes', oneOf(['bridge', 'host', 'none', 'default']))
]).meta({
  pattern: `^(?!(?:bridge|host|none|default)$)${dockerPattern.source.slice(1)}`,
  maxLength: longestDockerName
})

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

const keys = {
  name: plainKey('name', networkName.describe('The name of the Docker network')),
  /** An IPv4 prefix as the user wrote it; null: a free one is chosen. */
  subnet: optionalKey('subnet', subnet)
}

/** The Docker network that hands out a span. */
export type NetworkSpec = ValuesOf<typeof keys> & { readonly origin: Origin }

/** `network`, where it is a mapping. */
export const networkMapping = mapping(shapeOf(keys))

/** What `network` may be. */
export const network = z
  .union([keys.name.schema, networkMapping], { error: 'must be the name of a Docker network, or {name: …, subnet: …}' })
  .describe(
    'The Docker network that hands out the span: a name, or name and subnet. Default: the name of the bridge, if there are sensors'
  )

export function readNetwork(data: z.output<typeof network>, origin: Origin): NetworkSpec {
  return { ...readKeys(keys, typeof data === 'string' ? { name: data } : data, undefined), origin }
}

/** As the file has it. */
export const printNetwork = (item: NetworkSpec) => (item.subnet === null ? item.name : printKeys(keys, item))
