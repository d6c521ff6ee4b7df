import { distance } from 'fastest-levenshtein'

/** Longer words are no slips of the finger, and the distance takes time that grows with the square of the length. */
const longest = 64

/** What people write who know the thing by another name. */
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

/** The candidate that was most likely meant by `word`, if one is near enough: two of five letters may be wrong. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > longest) return undefined
  const wanted = normalise(word)
  const synonym = synonyms.get(wanted)
  if (synonym !== undefined && candidates.includes(synonym)) return synonym
  let best: string | undefined
  let least = Math.max(1, Math.round(wanted.length * 0.4)) + 1
  for (const candidate of candidates) {
    const changes = distance(wanted, normalise(candidate))
    if (changes < least) {
      best = candidate
      least = changes
    }
  }
  return best
}

/** `did you mean "sources"?`, or undefined if nothing is near. */
export function suggestHint(word: string, candidates: readonly string[]): string | undefined {
  const found = suggest(word, candidates)
  return found === undefined ? undefined : `did you mean "${found}"?`
}
