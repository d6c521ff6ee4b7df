import type { Origin } from '../errors.ts'

/** How an interface is found: by its name (altnames too) or by its permanent MAC address, lower case with colons. */
export type InterfaceMatch = { readonly name: string } | { readonly macaddress: string }

/** An entry of `interfaces`. An interface that only `sources` name has no entry. */
export interface InterfaceSpec {
  readonly key: string
  readonly match: InterfaceMatch
  /** A capture-only interface: no ARP, no IPv6, nothing merged by GRO or LRO. */
  readonly dedicated: boolean
  readonly origin: Origin
}

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
