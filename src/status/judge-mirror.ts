import type { Code } from '../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../errors.ts'
import type { MirrorTally } from '../host/traffic/tally-mirror.ts'
import { printable } from '../printable.ts'
import { listFew, writePercent } from '../text-lines.ts'

/** What was heard at a source. */
export interface HeardSource {
  readonly span: string
  /** What the source is called. */
  readonly name: string
  /** Its filter; null: it has none. */
  readonly filter: string | null
  /** A switch may be at its other end: it leads to no container, and ends no tunnel. */
  readonly isPort: boolean
  /** It was heard at one hook alone: what a mirror port gets all comes in there. */
  readonly isOneHook: boolean
  readonly tally: MirrorTally
}

/** Fewer frames tell nothing; nor do fewer conversations. */
const [fewestFrames, fewestConversations] = [20, 3]

/** Parts of all frames from which on a finding is none of chance. */
const limits = { oneSided: 0.2, repeated: 0.1, cut: 0.02, unicast: 0.01, chatter: 0.9 } as const

/** VLANs that a sentence names. */
const fewVlans = 5

/** A way in which a mirror is not whole: what is said after the name of the source, and what to do; null: it is not so. */
type Rule = readonly [Code, (heard: HeardSource) => readonly [what: string, todo: string] | null]

const rules: readonly Rule[] = [
  ['TRAFFIC_FLOODED', findFlooded],
  ['TRAFFIC_ONE_SIDED', findOneSided],
  ['TRAFFIC_REPEATED', findRepeated],
  ['TRAFFIC_CUT', findCut],
  ['TRAFFIC_VLANS', findVlans]
]

/** Says in which ways what a source carries is not whole. Nothing: in none that is known. */
export function judgeMirror(heard: HeardSource): Diagnostic[] {
  if (heard.tally.frames < fewestFrames) return []
  return rules.flatMap(([code, find]) => {
    const found = find(heard)
    if (found === null) return []
    const message = `span ${heard.span}: ${printable(heard.name)}: ${found[0]}`
    return diagnostic(code, message, found[1])
  })
}

function findFlooded({ isPort, tally: { frames, unicast, chatter } }: HeardSource) {
  if (!isPort || unicast > limits.unicast * frames || chatter < limits.chatter * frames) return null
  return [
    `${unicast === 0 ? 'no frame is' : 'next to no frame is'} for a single host: what comes are broadcasts and multicasts, as at any port of a switch`,
    "the switch does not mirror to this port: look at its session (Cisco: show monitor session all), and whether the port is the session's destination"
  ] as const
}

function findOneSided({ isPort, isOneHook, tally: { tcp, oneSided } }: HeardSource) {
  // The file asks for one direction.
  if (isOneHook && !isPort) return null
  if (tcp.frames < fewestFrames || oneSided.conversations < fewestConversations) return null
  if (oneSided.frames < limits.oneSided * tcp.frames) return null
  return [
    `${writePercent(oneSided.frames, tcp.frames)} of the TCP frames are of conversations of which only one direction comes`,
    'have the session mirror both directions (Cisco: monitor session 1 source … both); or find where the other one goes: another link of a bond, a second path, or a direction that spans.yaml leaves out'
  ] as const
}

function findRepeated({ tally: { distinct, repeated } }: HeardSource) {
  if (distinct < fewestFrames || repeated < limits.repeated * distinct) return null
  return [
    `${writePercent(repeated, distinct)} of the frames come a second time`,
    'mirror each frame at one place: ports or their VLAN and not both, and what goes from one mirrored port to another in one direction alone (rx)'
  ] as const
}

function findCut({ tally: { ip, cut } }: HeardSource) {
  if (ip < fewestFrames || cut.frames < limits.cut * ip) return null
  return [
    `${writePercent(cut.frames, ip)} of the IP packets are cut short: the longest frame of these has ${cut.longest} bytes`,
    'have the switch or the packet broker hand on whole frames (slicing, truncation, snaplen, or an MTU on the way that is too small)'
  ] as const
}

/** What a filter says of VLANs, and what comes. */
function findVlans({ filter, tally: { outer, inner, frames } }: HeardSource) {
  const asked = vlansOf(filter ?? '')
  const missing = asked.filter((number) => !outer.has(number))
  // Of "vlan 20 and vlan 30", the second one is behind the first.
  const isNested = missing.length < asked.length && missing.every((number) => inner.has(number))
  if (missing.length === 0 || isNested) return null
  const list = (numbers: readonly number[]) => listFew(numbers.map(String), fewVlans)
  const tagged = [...outer.keys()].filter((number) => number !== null)
  const behind = missing.filter((number) => inner.has(number))
  if (behind.length > 0) {
    return [
      `the filter asks for VLAN ${list(asked)}, and VLAN ${list(behind)} comes behind another tag, of VLAN ${list(tagged)}`,
      'the switch or the broker adds a tag of its own: have it leave that out, or filter by both, as in "vlan 4000 and vlan 100"'
    ] as const
  }
  if ((outer.get(null) ?? 0) === frames) {
    return [
      `the filter asks for VLAN ${list(asked)}, and no frame has a tag`,
      'have the session keep the tags (Cisco: monitor session 1 destination … encapsulation replicate), or leave vlan out of the filter'
    ] as const
  }
  const seen = tagged.length === 0 ? 'none' : list(tagged)
  return [
    `the filter asks for VLAN ${list(asked)}, and no frame of VLAN ${list(missing)} came meanwhile; what came: ${seen}`,
    'have the session mirror these VLANs too, or take them out of the filter; a VLAN may also have been silent for that time'
  ] as const
}

/** The VLANs that a filter takes. What it negates, it does not ask for. */
function vlansOf(filter: string): number[] {
  const asked = filter.replace(/(?:\bnot\b|!)\s*(?:\([^)]*\)|(?:(?!\band\b|\bor\b|&&|\|\||\)).)*)/g, '')
  return [...new Set([...asked.matchAll(/\bvlan\s+(\d+)\b/g)].map(([, number]) => Number(number)))]
}
