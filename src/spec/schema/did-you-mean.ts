import { distance } from 'fastest-levenshtein'
import { printable } from '../../printable.ts'

/** Characters. Longer words are no typing errors, and computing the distance takes time that grows with the square of the length. */
const longestWord = 64

/** Characters. Of a shorter name, two changes may make any other. */
const shortestName = 5

/** Other names that people know a key or a value by. */
const synonyms: ReadonlyMap<string, readonly string[]> = new Map([
  ['ingress', ['in', 'rx', 'receive']],
  ['egress', ['out', 'tx', 'transmit']],
  ['both', ['all', 'any', 'inout']],
  ['true', ['yes', 'on', 'y']],
  ['false', ['no', 'off', 'n']],
  ['macaddress', ['mac']],
  ['filter', ['bpf']],
  ['sample', ['sampling', 'sample_rate', 'sampling_rate']],
  ['limit', ['rate', 'rate_limit', 'bandwidth', 'police']],
  ['balance', ['balanced', 'load_balance', 'fanout', 'cluster']],
  ['addresses', ['ip', 'ips', 'hosts', 'l3', 'layer3', '2_tuple']],
  ['ports', ['flow', 'flows', 'l4', 'layer3+4', '5_tuple', 'symmetric']],
  ['inner', ['tunnel', 'encap', 'inside']],
  ['sensors', ['containers']],
  ['eve', ['suricata', 'eve_json', 'eve.json']],
  ['zeek', ['bro', 'capture_loss', 'capture_loss.log']],
  ['prometheus', ['url', 'metrics', 'http']],
  ['stats', ['statistics', 'counters']],
  ['container', ['name']],
  ['compose', ['service']],
  ['interface_name', ['ifname', 'interface']],
  ['interface', ['dev']],
  ['id', ['vni']],
  ['session', ['id', 'erspan_id', 'session_id', 'key']],
  ['type', ['version', 'erspan_ver', 'header_type']],
  ['port', ['dstport']]
])

const normalise = (word: string) => word.toLowerCase().replaceAll('-', '_')

const findSynonym = (word: string, candidates: readonly string[]) =>
  candidates.find((candidate) => synonyms.get(candidate)?.includes(normalise(word)))

/** The candidate that `word` most likely means. undefined: none is near enough; two of five letters may be wrong. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > longestWord) return undefined
  const known = findSynonym(word, candidates)
  if (known !== undefined) return known
  const normalised = normalise(word)
  const most = Math.max(1, Math.round(normalised.length * 0.4))
  const near = candidates.map((candidate) => ({ candidate, changes: distance(normalised, normalise(candidate)) }))
  const [best] = near.filter(({ changes }) => changes <= most).sort((one, other) => one.changes - other.changes)
  return best?.candidate
}

const ask = (found: string | undefined) => (found === undefined ? undefined : `did you mean "${found}"?`)

/** `did you mean "sources"?`; undefined: no candidate is near enough. */
export function suggestHint(word: string, candidates: readonly string[]): string | undefined {
  return ask(suggest(word, candidates))
}

/** The same for a candidate that people know by this other name only. */
export function suggestSynonym(word: string, candidates: readonly string[]): string | undefined {
  return ask(findSynonym(word, candidates))
}

const sortLetters = (word: string) => [...word].sort().join('')

/** The candidates that are one slip away: swapped letters, one letter more, less or other, or capitals. */
export function findSlips(word: string, candidates: readonly string[]): readonly string[] {
  if (word.length > longestWord) return []
  const normalised = normalise(word)
  const near = candidates.filter((one) => isWithin(one.length > 2 ? 1 : 0, normalised, one))
  const letters = sortLetters(normalised)
  const swapped = candidates.filter((one) => one.length === word.length && sortLetters(normalise(one)) === letters)
  return [...new Set([...swapped, ...near])]
}

/** Whether a candidate is so many changes away, or fewer. One that is much longer is not compared: it may be of any length. */
function isWithin(most: number, normalised: string, candidate: string): boolean {
  if (Math.abs(candidate.length - normalised.length) > most) return false
  return distance(normalised, normalise(candidate)) <= most
}

const askAll = (found: readonly string[]): string | undefined =>
  found.length === 0
    ? undefined
    : `did you mean ${found
        .slice(0, 3)
        .map((one) => `"${printable(one)}"`)
        .join(' or ')}?`

/** `did you mean "web" or "webs"?`, of all candidates that are one slip away; undefined: none is. */
export function suggestSlips(word: string, candidates: readonly string[]): string | undefined {
  return askAll(findSlips(word, candidates))
}

/**
 * The same for names that people have given: two changes away where none is nearer, if the word is not so short that this may be any
 * other name. Where numbers differ in more than one digit, another thing is meant: ens256 is no slip for ens224.
 */
export function suggestNames(word: string, candidates: readonly string[]): string | undefined {
  const slips = suggestSlips(word, candidates)
  if (slips !== undefined || word.length > longestWord || word.length < shortestName) return slips
  const normalised = normalise(word)
  const numbers = digitsOf(normalised)
  return askAll(candidates.filter((one) => isWithin(2, normalised, one) && digitsOf(one) === numbers))
}

const digitsOf = (text: string) => text.replace(/\D/g, '')

/** The same, or the most similar candidate where none is one slip away. */
export function suggestWords(word: string, candidates: readonly string[]): string | undefined {
  return suggestSlips(word, candidates) ?? suggestHint(word, candidates)
}
