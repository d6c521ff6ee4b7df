import * as z from 'zod'
import type { Origin } from '../errors.ts'
import { itemKeys, optionalKey, plainKey, printKeys, readKeys, shapeOf, type ValuesOf } from './items/item-key.ts'
import { flag, interfaceName, mapping, mappingWithOne, text } from './schema/rules.ts'

/** How an interface is found: by its name (altnames too) or by its permanent MAC address, lower case with colons. */
export type InterfaceMatch = { readonly name: string } | { readonly macaddress: string }

const macPattern = /^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i

const macaddress = text('a MAC address such as "00:1b:21:aa:00:01"', [
  { broken: (value) => !macPattern.test(value), message: 'must be a MAC address such as "00:1b:21:aa:00:01"' }
]).meta({
  description:
    'The permanent MAC address of the interface, with : or -. Put it in quotes: YAML reads some addresses as numbers',
  pattern: '^[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})$'
})

/** `match` of an entry of `interfaces`. */
export const matchMapping = mappingWithOne(
  {
    macaddress,
    name: interfaceName.optional().describe('The name of the interface, or one of its altnames')
  },
  {},
  {
    description: 'How the interface is found. Default: the key is its name',
    message: 'must have either macaddress or name'
  }
)

const keys = {
  match: itemKeys<{ readonly key: string }>()({
    key: 'match',
    schema: matchMapping.optional(),
    read: (match, { key }): InterfaceMatch =>
      match?.macaddress === undefined
        ? { name: match?.name ?? key }
        : { macaddress: match.macaddress.toLowerCase().replaceAll('-', ':') },
    print: (match) => match
  }),
  /** A capture-only interface: no ARP, no IPv6, nothing merged by GRO or LRO. */
  dedicated: plainKey(
    'dedicated',
    flag()
      .default(false)
      .describe(
        'The interface is for capture only: its frames do not reach the host, and the host sends none; no ARP, no IPv6, GRO and LRO off. Refused if it has an address or a route'
      )
  ),
  /** How many frames the interface holds until the kernel takes them; null: as many as it does. */
  ring: optionalKey(
    'ring',
    z
      .literal('max', { error: 'must be max' })
      .describe(
        'The receive ring: max is as large as the driver takes it, so that the interface loses fewer frames of a burst. To set it, some drivers lose all frames for seconds. Default: as it is'
      )
  )
}

/** An entry of `interfaces`. An interface that only `sources` name has no entry. */
export type InterfaceSpec = ValuesOf<typeof keys> & { readonly key: string; readonly origin: Origin }

/** An entry of `interfaces` in the file. */
export const interfaceEntry = mapping(shapeOf(keys)).describe(
  'An interface, for every span that copies from it. Sources name it by this key'
)

export function readInterface(data: z.output<typeof interfaceEntry>, key: string, origin: Origin): InterfaceSpec {
  return { key, origin, ...readKeys(keys, data, { key }) }
}

/** As the file has it, with its defaults. */
export const printInterface = (item: InterfaceSpec) => printKeys(keys, item)

/** Finds the entry of `interfaces` for a name that a source gives. */
export type FindInterface = (name: string) => InterfaceSpec | undefined

/** Indexes `interfaces` by key and, second, by the name that an entry matches. */
export function indexInterfaces(interfaces: readonly InterfaceSpec[]): FindInterface {
  const byKey = new Map(interfaces.map((one) => [one.key, one]))
  const byName = new Map<string, InterfaceSpec>()
  for (const one of interfaces) if ('name' in one.match && !byName.has(one.match.name)) byName.set(one.match.name, one)
  return (name) => byKey.get(name) ?? byName.get(name)
}

/** Two matches that write the same text mean the same interface. */
export function writeMatch(match: InterfaceMatch): string {
  return 'name' in match ? `name ${match.name}` : `macaddress ${match.macaddress}`
}
