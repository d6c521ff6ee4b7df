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
  ['sensors', ['containers']],
  ['container', ['name']],
  ['compose', ['service']],
  ['interface_name', ['ifname', 'interface']]
])

const normalise = (word: string) => word.toLowerCase().replaceAll('-', '_')

/** The candidate that `word` most likely means. undefined: none is near enough; two of five letters may be wrong. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > longestWord) return undefined
  const normalised = normalise(word)
  const known = candidates.find((candidate) => synonyms.get(candidate)?.includes(normalised))
  if (known !== undefined) return known
  let best: string | undefined
  let least = Math.max(1, Math.round(normalised.length * 0.4)) + 1
  for (const candidate of candidates) {
    const changes = distance(normalised, normalise(candidate))
    if (changes < least) {
      best = candidate
      least = changes
    }
  }
  return best
}

/** `did you mean "sources"?`; undefined: no candidate is near enough. */
export function suggestHint(word: string, candidates: readonly string[]): string | undefined {
  const found = suggest(word, candidates)
  return found === undefined ? undefined : `did you mean "${found}"?`
}
