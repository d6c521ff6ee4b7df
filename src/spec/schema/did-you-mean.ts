import { distance } from 'fastest-levenshtein'

/** Characters. Longer words are no typing errors, and computing the distance takes time that grows with the square of the length. */
const longestWord = 64

/** Other names that people know a key or a value by. */
const synonyms: ReadonlyMap<string, string> = new Map([
  ['in', 'ingress'],
  ['rx', 'ingress'],
  ['receive', 'ingress'],
  ['out', 'egress'],
  ['tx', 'egress'],
  ['transmit', 'egress'],
  ['all', 'both'],
  ['any', 'both'],
  ['inout', 'both'],
  ['yes', 'true'],
  ['on', 'true'],
  ['y', 'true'],
  ['no', 'false'],
  ['off', 'false'],
  ['n', 'false'],
  ['mac', 'macaddress'],
  ['bpf', 'filter'],
  ['containers', 'sensors'],
  ['name', 'container'],
  ['service', 'compose'],
  ['ifname', 'interface_name'],
  ['interface', 'interface_name']
])

const normalise = (word: string) => word.toLowerCase().replaceAll('-', '_')

/** The candidate that `word` most likely means. undefined: none is near enough; two of five letters may be wrong. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > longestWord) return undefined
  const normalised = normalise(word)
  const synonym = synonyms.get(normalised)
  if (synonym !== undefined && candidates.includes(synonym)) return synonym
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
