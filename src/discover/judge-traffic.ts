import type { Link } from '../host/snapshot.ts'
import type { LinkTraffic } from '../host/traffic/read-traffic.ts'
import type { FrameTally } from '../host/traffic/tally-frames.ts'
import { counted, listFew, writePercent } from '../text-lines.ts'

/** What is known of an interface and of what it has received. */
export interface Observation {
  readonly link: Pick<Link, 'up' | 'carrier'>
  /** What the host uses it for; null: for nothing that is known. */
  readonly use: string | null
  /** undefined: the interface has gone meanwhile. */
  readonly traffic: LinkTraffic | undefined
}

/** What an interface looks like, for programs, and in words. */
export interface Verdict {
  readonly kind: TrafficKind
  readonly message: string
}

/** Of the frames of an interface, from this part on those for others are more than what a switch floods now and then. */
const mirroredShare = 0.2

/** VLANs that a sentence names. */
const fewVlans = 5

/** An interface with a sample of its frames, of which there is one at least. */
type Judged = Omit<Observation, 'traffic'> & { readonly tally: FrameTally }

/** A kind of interface: whether an observation is of it, and what is said then. */
type Rule<Seen> = readonly [kind: string, isSo: (seen: Seen) => boolean, say: (seen: Seen) => string]

/** What tells without a frame. The first rule that holds counts. */
const byState = [
  ['gone', ({ traffic }) => traffic === undefined, () => 'it went away just now'],
  ['in_use', ({ use }) => use !== null, ({ use }) => String(use)],
  ['down', ({ link }) => !link.up, () => 'down: spanplan apply brings it up'],
  [
    'no_carrier',
    ({ link }) => !link.carrier,
    () => 'no carrier: nothing is at the other end of its cable, or that is off'
  ],
  [
    'silent',
    ({ traffic }) => traffic?.framesPerSecond === 0 && !traffic.tally?.frames,
    () => 'silent: nothing came meanwhile'
  ],
  ['unknown', ({ traffic }) => !traffic?.tally?.frames, () => 'it receives frames; who they are for is not known']
] as const satisfies readonly Rule<Observation>[]

/** What a sample of frames tells. The last rule always holds. */
const bySample = [
  [
    'mirror',
    ({ tally }) => tally.toOthers >= mirroredShare * tally.frames && tally.toOthers >= tally.toOwn,
    ({ tally }) =>
      `looks like a mirror port: ${writePercent(tally.toOthers, tally.frames)} of the frames are for other hosts, ${
        tally.toOwn === 0 ? 'none' : writePercent(tally.toOwn, tally.frames)
      } for this one; ${counted(tally.senders, 'sender')}${writeVlans(tally)}`
  ],
  [
    'host',
    ({ tally }) => tally.toOwn > 0,
    ({ tally }) =>
      `no mirror port: ${writePercent(tally.toOwn, tally.frames)} of the frames are for this host, ${
        tally.toOthers === 0 ? 'none' : writePercent(tally.toOthers, tally.frames)
      } for others`
  ],
  [
    'access',
    () => true,
    ({ tally }) =>
      `an access port: ${tally.toOthers === 0 ? 'broadcasts only' : 'little but broadcasts'}, of ${counted(
        tally.groupSenders,
        'sender'
      )}${writeVlans(tally)}; the switch does not mirror to it yet`
  ]
] as const satisfies readonly Rule<Judged>[]

/** A kind of interface. */
export type TrafficKind = (typeof byState)[number][0] | (typeof bySample)[number][0]

/** The kinds, the likeliest source first. */
export const trafficKinds = [
  ...(['mirror', 'unknown', 'access', 'silent', 'host', 'no_carrier', 'down', 'in_use', 'gone'] as const)
] satisfies readonly TrafficKind[]

/** Says what an interface looks like. */
export function judgeTraffic(seen: Observation): Verdict {
  const tally = seen.traffic?.tally
  for (const [kind, isSo, say] of byState) if (isSo(seen)) return { kind, message: say(seen) }
  const judged = tally && { ...seen, tally }
  for (const [kind, isSo, say] of bySample) if (judged && isSo(judged)) return { kind, message: say(judged) }
  throw new Error('the last rule always holds')
}

/** Sorts by likelihood, and then by the number of frames. */
export function compareLikelihood(
  one: { readonly verdict: Verdict; readonly traffic: LinkTraffic | undefined },
  other: { readonly verdict: Verdict; readonly traffic: LinkTraffic | undefined }
): number {
  const rank = ({ verdict }: typeof one) => trafficKinds.indexOf(verdict.kind)
  const rate = ({ traffic }: typeof one) => traffic?.framesPerSecond ?? 0
  return rank(one) - rank(other) || rate(other) - rate(one)
}

function writeVlans({ vlans }: FrameTally): string {
  if (vlans.length === 0) return ''
  return `, VLAN${vlans.length === 1 ? '' : 's'} ${listFew(vlans.map(String), fewVlans)}`
}
