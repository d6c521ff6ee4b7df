import { type Diagnostic, diagnostic } from '../../errors.ts'
import { keysOf } from '../../keys.ts'
import { printable, quote } from '../../printable.ts'
import { tunnelOutputKeys } from '../outputs/registry.ts'
import { sourceKeys, tunnelKeys } from '../sources/registry.ts'
import type { TunnelProtocol } from '../sources/tunnel-spec.ts'
import type { MapTree, Path, ScalarTree, Tree } from '../yaml/tree.ts'
import { suggestHint, suggestSynonym } from './did-you-mean.ts'
import { levelKeys } from './schema.ts'

/** The kinds of mapping in a file. */
export type Level = keyof typeof levelKeys

const tunnels = keysOf(tunnelKeys)

const inTunnel = (protocol: TunnelProtocol) =>
  `under "${protocol}" of a source, as in: sources: [{${protocol}: {KEY: VALUE}}]`

const inSent = (protocol: TunnelProtocol) =>
  `under "${protocol}" of an output, as in: outputs: [{${protocol}: {KEY: VALUE}}]`

/** Where a key of a list's item belongs that does not go with the usual example of one. */
const homesOfKeys: Readonly<Record<string, string>> = {
  balance: 'in an item of "sensors", as in: sensors: [{balance: [NAME, NAME]}]',
  hash: 'in an item of "sensors", as in: sensors: [{balance: [NAME, NAME], hash: VALUE}]'
}

/** The level of a mapping that is a tunnel. */
const tunnelIn = (list: 'sources' | 'outputs', key: PropertyKey | undefined) => {
  const protocol = tunnels.find((one) => one === key)
  return protocol && list === 'outputs' ? (`${protocol}_output` as const) : protocol
}

/** Where a key of each level belongs. */
const homes: Readonly<Record<Level, string>> = {
  span: 'in a span, as in: spans: {span0: {KEY: VALUE}}',
  source: 'in an item of "sources", as in: sources: [{interface: eth1, KEY: VALUE}]',
  match: 'under "match", as in: match: {KEY: VALUE}',
  network: 'under "network", as in: network: {name: NAME, KEY: VALUE}',
  interface: 'in an entry of "interfaces", as in: interfaces: {eth1: {KEY: VALUE}}',
  sensor: 'in an item of "sensors", as in: sensors: [{container: NAME, KEY: VALUE}]',
  output: 'in an item of "outputs", as in: outputs: [{interface: eth2, KEY: VALUE}]',
  member: 'in a member of "balance", as in: sensors: [{balance: [{container: NAME, KEY: VALUE}]}]',
  sample: 'under "sample" of a source, as in: sources: [{interface: eth1, sample: {KEY: VALUE}}]',
  stats: 'under "stats" of a sensor, as in: sensors: [{container: NAME, stats: {KEY: VALUE}}]',
  vxlan: inTunnel('vxlan'),
  gretap: inTunnel('gretap'),
  erspan: inTunnel('erspan'),
  vxlan_output: inSent('vxlan'),
  gretap_output: inSent('gretap'),
  erspan_output: inSent('erspan'),
  file: 'at the top of the file, in column 1'
}

/** The levels of the items of lists. */
const itemLevels: ReadonlyMap<PropertyKey | undefined, Level> = new Map([
  ['sources', 'source'],
  ['sensors', 'sensor'],
  ['outputs', 'output']
])

/** The level of the mapping at a path. */
export function levelOf([group, ...path]: Path): Level | undefined {
  if (group === undefined) return 'file'
  const [, key] = path
  if (group === 'interfaces') return path.length === 1 ? 'interface' : key === 'match' ? 'match' : undefined
  if (group !== 'spans' || path.length === 0) return undefined
  if (path.length === 1) return 'span'
  if (key === 'network' && path.length === 2) return 'network'
  if (key === 'sources' && path.length === 4 && path[3] === 'sample') return 'sample'
  if (key === 'sensors' && path.at(-1) === 'stats' && (path.length === 4 || isInMember(path))) return 'stats'
  if ((key === 'sources' || key === 'outputs') && path.length === 4) return tunnelIn(key, path[3])
  if (key === 'sensors' && path[3] === 'balance' && path.length === 5) return 'member'
  if (key === 'sensors' && isInMember(path)) return tunnelIn('outputs', path[5])
  if (path.length !== 3) return undefined
  return itemLevels.get(key)
}

/** Whether a path within a list of sensors is of a value of a member of a balance. */
const isInMember = (path: Path) => path[3] === 'balance' && path.length === 6

/** The keys that the mapping at a path may have. */
export function keysAt(path: Path): readonly string[] {
  const level = levelOf(path)
  return level === undefined ? [] : levelKeys[level]
}

/** The list in whose items a mapping is a tunnel, a sample or stats; undefined: it is none of these. */
function listOf(level: Level): Level | undefined {
  if (level in tunnelOutputKeys) return 'output'
  if (level === 'stats') return 'sensor'
  return level in tunnelKeys || level === 'sample' ? 'source' : undefined
}

/** The first level that has a key. In the mapping of a tunnel, a sample or stats, it belongs only beside that. */
const homeOf = (key: string, level: Level | undefined) =>
  keysOf(homes).find((one) => levelKeys[one].includes(key) && (listOf(one) ?? level) === level)

/** The keys of a level that a key which does not belong there stands for: without the key, they would not be missing. */
export function keysMeant(key: string, level: Level | undefined): readonly string[] {
  if (level === 'file') return ['spans']
  if (level === 'sample' || level === 'stats') return levelKeys[level]
  const isOfSource = homeOf(key, level) === 'source' || filterWords.has(key) || key === 'interfaces'
  return level === 'span' && isOfSource ? ['sources'] : []
}

/** Keys that say what a filter says, and the word of a filter for each. */
const filterWords: ReadonlyMap<string, string> = new Map([
  ['vlan', 'vlan'],
  ['vlan_id', 'vlan'],
  ['port', 'port'],
  ['host', 'host'],
  ['ip', 'host']
])

/** A hint for a key that is unknown at its place. `around` is the mapping that has it. */
export function suggestKey(key: string, path: Path, around: Tree | undefined): string {
  const level = levelOf(path)
  const known = keysAt(path)
  const value = around?.kind === 'map' ? around.entries.get(key)?.value : undefined
  return (
    suggestFilter(key, level, value, around) ??
    suggestSpan(key, path, value) ??
    suggestSynonym(key, known) ??
    suggestHome(key, level, value) ??
    suggestHint(key, known) ??
    `known here: ${known.join(', ')}`
  )
}

/** The levels that have a filter. */
const filtered: ReadonlySet<Level | undefined> = new Set(['source', 'sensor', 'output'])

function suggestFilter(key: string, level: Level | undefined, value: Tree | undefined, around: Tree | undefined) {
  const word = filterWords.get(key)
  if (word === undefined || !(level === 'span' || filtered.has(level))) return undefined
  // Beside a tunnel, its port is meant.
  if (around?.kind === 'map' && tunnels.some((one) => around.entries.has(one))) return undefined
  const other = around?.kind === 'map' ? around.entries.get('filter')?.value : undefined
  const rest = other?.kind === 'scalar' ? ` and (${shorten(other)})` : ''
  const filter = `filter: ${word} ${value?.kind === 'scalar' ? shorten(value) : '…'}${rest}`
  return level === 'span' ? `write it in an item of "sources": ${filter}` : `write ${filter}`
}

/** A hint for a key that is a span's name or says it. */
function suggestSpan(key: string, path: Path, value: Tree | undefined): string | undefined {
  if (path.length === 0 && isSpan(value)) return 'a span belongs under "spans": indent it by two spaces'
  if (levelOf(path) !== 'span') return undefined
  if (key === 'name') return `a span's name is its key: ${quote(String(path.at(-1)))} here`
  if (key !== 'interfaces') return undefined
  if (value?.kind === 'map') return 'it belongs at the top of the file, in column 1'
  const [first = value] = value?.kind === 'list' ? value.items : []
  return `write sources: [{interface: ${first?.kind === 'scalar' ? shorten(first) : 'eth1'}}]`
}

const isSpan = (value: Tree | undefined): value is MapTree =>
  value?.kind === 'map' && [...value.entries.keys()].some((key) => levelKeys.span.includes(key))

function suggestHome(key: string, level: Level | undefined, value: Tree | undefined): string | undefined {
  const home = homeOf(key, level)
  if (home === undefined || home === level) return undefined
  const one = homesOfKeys[key] ?? (key in sourceKeys ? homes[home].replace('interface: eth1, ', '') : homes[home])
  const place = one.replaceAll(/\bKEY\b/g, () => key)
  return `it belongs ${place.replaceAll(/\bVALUE\b/g, () => (value?.kind === 'scalar' ? inFlow(value) : '…'))}`
}

/** A value as it can stand between braces. */
function inFlow(value: ScalarTree): string {
  const text = shorten(value)
  return /^[\w. /()-]+$/.test(text) ? text : quote(text)
}

/** A hint for a key without a value, where what follows is meant as the value. `place` is that of the key. */
export function suggestIndent(path: Path, around: Tree | undefined): string | undefined {
  if (around?.kind !== 'map') return undefined
  const entries = [...around.entries]
  const at = entries.findIndex(([key]) => key === path.at(-1))
  const [own, next] = [entries[at], entries[at + 1]]
  if (own === undefined || next === undefined) return undefined
  const [key, { value, at: place }] = next
  const isMeant = path.length === 1 ? isSpan(value) : isKeyOfSpan(path.with(-1, key), value)
  return isMeant ? `begin ${quote(key)} in column ${own[1].at.column + 2}, line ${place.line}` : undefined
}

/** Whether a key that stands where spans' names are is a key of a span. */
export function isKeyOfSpan(path: Path, value: Tree | undefined): boolean {
  const [group, name] = path
  if (group !== 'spans' || path.length !== 2 || !levelKeys.span.includes(String(name))) return false
  return value?.kind !== 'map' || !isSpan(value)
}

/** What other programs' files have at the top, and no spans.yaml. */
const foreignFiles: Readonly<Record<string, string>> = {
  services: 'a Compose file',
  apiVersion: 'a Kubernetes manifest',
  network: 'a netplan file'
}

/** One diagnostic for a whole file of another program: a folder may hold such a file too. undefined: it may be a spans.yaml. */
export function explainForeign({ entries }: MapTree): Diagnostic | undefined {
  const [key, kind] = Object.entries(foreignFiles).find(([one]) => entries.has(one)) ?? []
  if (key === undefined || entries.has('spans')) return undefined
  const message = `${quote(key)} is a key of ${kind}, not of spans.yaml`
  const hint = 'name the right file with -f; all *.yaml of a folder are read, so move this file to another folder'
  return diagnostic('KEY_UNKNOWN', message, hint, entries.get(key)?.at)
}

/** The start of a value's text, safe to print. */
export const shorten = ({ text }: ScalarTree) => printable(text.slice(0, 60).replaceAll('\n', ' '))

const jumbo = 9000

/** A hint for the words that people write as an MTU. */
export function suggestMtu(text: string): string | undefined {
  if (/^jumbo/i.test(text)) return `write the number of bytes: ${jumbo}`
  const [, digits = '', kilo] = /^(\d[\d_,. ]*?)\s*(k)?i?(?:b|bytes?)?$/i.exec(text) ?? []
  const number = kilo === undefined ? Number(digits.replace(/[_,. ]/g, '')) : Number(digits) * 1000
  if (digits === '' || Number.isNaN(number)) return suggestHint(text, ['auto'])
  return String(number) === text ? `take the quotes off: ${text}` : `write the number of bytes: ${number}`
}
