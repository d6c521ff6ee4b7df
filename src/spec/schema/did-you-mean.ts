import { distance } from 'fastest-levenshtein'

/** Characters. Longer words are no typing errors, and computing the distance takes time that grows with the square of the length. */
const longestWord = 64

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

/**
 * The same with all candidates that are one slip away: swapped letters, one letter more, less or other, or capitals; undefined: none
 * is.
 */
export function suggestSlips(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > longestWord) return undefined
  const normalised = normalise(word)
  const near = candidates.filter((one) => distance(normalised, normalise(one)) <= (one.length > 2 ? 1 : 0))
  const swapped = candidates.filter((one) => sortLetters(normalised) === sortLetters(normalise(one)))
  const found = [...new Set([...swapped, ...near])].slice(0, 3)
  return found.length === 0 ? undefined : `did you mean ${found.map((one) => `"${one}"`).join(' or ')}?`
}

/** The same, or the most similar candidate where none is one slip away. */
export function suggestWords(word: string, candidates: readonly string[]): string | undefined {
  return suggestSlips(word, candidates) ?? suggestHint(word, candidates)
}
