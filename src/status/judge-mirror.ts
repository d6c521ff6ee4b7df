import type { Code } from '../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../errors.ts'
import type { ConversationTally } from '../host/traffic/tally-conversations.ts'
import type { MirrorTally } from '../host/traffic/tally-mirror.ts'
import { printable } from '../printable.ts'
import { findInsideTag } from '../spec/filter/inside-tag.ts'
import { askedVlans } from '../spec/filter/vlans.ts'
import { listFew, writePercent } from '../text-lines.ts'

/** What was heard at a source. */
export interface HeardSource {
  /** What the source is called. */
  readonly name: string
  /** Its filter; null: it has none. */
  readonly filter: string | null
  /** A switch may be at its other end: it leads to no container, and ends no tunnel. */
  readonly isPort: boolean
  readonly tally: MirrorTally
}

/** Fewer frames tell nothing; nor do fewer conversations. */
const [fewestFrames, fewestConversations] = [20, 3]

/** Parts of all frames from which on a finding is none of chance. */
const limits = {
  oneSided: 0.2,
  repeated: 0.1,
  repeatedOfAll: 0.05,
  cut: 0.02,
  unicast: 0.05,
  chatter: 0.9,
  stray: 0.01
} as const

/** Frames for single hosts that come to any port at times: a switch floods what is for a host that it does not know. */
const fewStray = 20

/** What a sentence names of VLANs, and of sources. */
const [fewVlans, fewSources] = [5, 3]

/** What is said after the name of the source, and what to do; null: there is nothing to say. */
type Finding = readonly [what: string, todo: string] | null

/** Ways in which a source is not whole. */
const sourceRules: readonly (readonly [Code, (heard: HeardSource) => Finding])[] = [
  ['TRAFFIC_FLOODED', findFlooded],
  ['TRAFFIC_CUT', findCut],
  ['TRAFFIC_VLANS', findVlans]
]

/** Ways in which sources are not whole that belong together. */
const groupRules: readonly (readonly [Code, (tally: ConversationTally) => Finding])[] = [
  ['TRAFFIC_ONE_SIDED', findOneSided],
  ['TRAFFIC_REPEATED', findRepeated]
]

/** Whether what comes at sources that belong together is whole. */
export interface TrafficVerdict {
  readonly span: string
  readonly sources: readonly { readonly name: string; readonly frames: number }[]
  /** In which ways it is not. Nothing: in none that is known. */
  readonly findings: readonly Diagnostic[]
  /** null: too few frames came to tell. */
  readonly isWhole: boolean | null
}

/**
 * Judges what was heard.
 *
 * @param conversations of the frames of all these sources.
 */
export function judgeMirror(
  span: string,
  sources: readonly HeardSource[],
  conversations: ConversationTally
): TrafficVerdict {
  const findings = findAll(span, sources, conversations)
  const isTold = conversations.frames >= fewestFrames
  return {
    span,
    sources: sources.map(({ name, tally: { frames } }) => ({ name, frames })),
    findings,
    isWhole: findings.length > 0 ? false : isTold || null
  }
}

function findAll(span: string, sources: readonly HeardSource[], conversations: ConversationTally): Diagnostic[] {
  const names = [...new Set(sources.flatMap(({ name, tally }) => (tally.frames > 0 ? printable(name) : [])))]
  const write = (code: Code, name: string, finding: Finding) =>
    finding === null ? [] : diagnostic(code, `span ${span}: ${name}: ${finding[0]}`, finding[1])
  return [
    ...sources.flatMap((heard) =>
      heard.tally.frames < fewestFrames
        ? []
        : sourceRules.flatMap(([code, find]) => write(code, printable(heard.name), find(heard)))
    ),
    ...groupRules.flatMap(([code, find]) => write(code, listFew(names, fewSources), find(conversations)))
  ]
}

function findFlooded({ isPort, tally: { frames, unicast, chatter } }: HeardSource): Finding {
  if (!isPort || chatter < limits.chatter * frames) return null
  if (unicast > Math.min(fewStray, limits.unicast * frames)) return null
  return [
    `${unicast === 0 ? 'no frame is' : 'next to no frame is'} for a single host: what comes are broadcasts and multicasts, as at any port of a switch`,
    "unless no host talks just now, the switch does not mirror to this port: look at its session (Cisco: show monitor session all), and whether the port is the session's destination"
  ]
}

function findOneSided({ tcp, oneSided }: ConversationTally): Finding {
  if (tcp.frames < fewestFrames || oneSided.conversations < fewestConversations) return null
  if (oneSided.frames < limits.oneSided * tcp.frames) return null
  return [
    `${writePercent(oneSided.frames, tcp.frames)} of the TCP frames are of conversations of which only one direction comes`,
    'have the session mirror both directions (Cisco: monitor session 1 source … both); or find where the other one goes: another link of a bond, a second path, or a direction that spans.yaml leaves out'
  ]
}

function findRepeated({ frames, distinct, repeated }: ConversationTally): Finding {
  if (distinct < fewestFrames || repeated < limits.repeated * distinct) return null
  if (repeated < limits.repeatedOfAll * frames) return null
  return [
    `${writePercent(repeated, frames)} of the frames come a second time`,
    'mirror each frame at one place: ports or their VLAN and not both, and what goes from one mirrored port to another in one direction alone (rx)'
  ]
}

function findCut({ tally: { ip, cut } }: HeardSource): Finding {
  if (ip < fewestFrames || cut.frames < limits.cut * ip) return null
  return [
    `${writePercent(cut.frames, ip)} of the IP packets are cut short: the longest frame of these has ${cut.longest} bytes`,
    'have the switch or the packet broker hand on whole frames (slicing, truncation, snaplen, or an MTU on the way that is too small)'
  ]
}

const list = (numbers: readonly number[]) => listFew(numbers.map(String), fewVlans)

/** What a filter says of VLANs, and what comes. */
function findVlans({ filter, tally: { frames, outer, inner, taken, wanted } }: HeardSource): Finding {
  const named = askedVlans(filter ?? '')
  const refused = findRefused(filter ?? '', named, [...outer, ...inner])
  if (refused !== null) return refused
  const asked = named.filter((vlan) => vlan !== null)
  const missing = asked.filter((vlan) => !outer.has(vlan))
  const tagged = [...outer.keys()].filter((vlan) => vlan !== null)
  // Somebody may send a frame with a tag of their own through the port of a switch that takes tags off.
  const isUntagged = frames - (outer.get(null)?.frames ?? 0) <= limits.stray * frames
  if (isUntagged && wanted.size > 0 && taken <= limits.stray * frames) {
    const what = asked.length === 0 ? 'tags of VLANs' : `VLAN ${list(asked)}`
    return [
      `the filter asks for ${what}, and ${tagged.length === 0 ? 'no' : 'hardly a'} frame has the tag of one`,
      'have the session keep the tags (Cisco: monitor session 1 destination … encapsulation replicate), or leave vlan out of the filter'
    ]
  }
  if (tagged.length === 0 || missing.length === 0) return null
  const behind = missing.filter((vlan) => wanted.has(vlan) && inner.get(vlan)?.taken === 0)
  if (behind.length > 0) {
    return [
      `the filter asks for VLAN ${list(asked)}, and VLAN ${list(behind)} comes behind another tag, of VLAN ${list(tagged)}`,
      'the switch or the broker adds a tag of its own: have it leave that out, or filter by both, as in "vlan 4000 and vlan 100"'
    ]
  }
  const silent = missing.filter((vlan) => !inner.has(vlan))
  if (silent.length === 0) return null
  return [
    `the filter asks for VLAN ${list(asked)}, and no frame of VLAN ${list(silent)} came meanwhile; what came: ${list(tagged)}`,
    'have the session mirror these VLANs too, or take them out of the filter; a VLAN may also have been silent for that time'
  ]
}

/** VLANs that the filter names and that come, and of which it takes nothing because of how pcap-filter(7) reads it. */
function findRefused(
  filter: string,
  named: readonly (number | null)[],
  vlans: readonly (readonly [number | null, { readonly taken: number }])[]
): Finding {
  const inside = findInsideTag(filter)
  if (inside === null) return null
  const refused = [
    ...new Set(vlans.flatMap(([vlan, { taken }]) => (named.includes(vlan) && taken === 0 ? (vlan ?? []) : [])))
  ].sort((one, other) => one - other)
  if (refused.length === 0) return null
  return [
    `frames of VLAN ${list(refused)} come, and the filter takes none of these: what stands right of "${inside.wrapper}" is looked for ${inside.where}`,
    inside.better === null ? 'have a span for each VLAN' : `write: ${inside.better}`
  ]
}
