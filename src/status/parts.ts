import { type Diagnostic, diagnostic } from '../errors.ts'
import { groupsOf } from '../host/host-index.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Absence, DesiredSpan, Part } from '../resources/desired-state.ts'
import { writeShareRatio } from '../resources/feeds/part-words.ts'
import { bucketCount } from '../resources/programs/share-program.ts'
import type { FlowReport } from './counters/flow-report.ts'
import { coveredBalances, liveFeeds, livePart } from './counters/live-feeds.ts'

/** A receiver that gets a part of a span's frames. */
export interface ReceiverPart {
  readonly kind: 'sensor' | 'output'
  /** The name of the container, or of the link. */
  readonly name: string
  /** As the live mirrors hand it out. */
  readonly part: Part
  /** The live mirrors hand all flows of its balance to members that can take them. */
  readonly isCovered: boolean
  /** Why it takes none now; null: it takes them. */
  readonly absence: Absence | null
  /** The host's end of its interface, or the output; null: there is none now. */
  readonly device: string | null
  /** What it got between the samples; null: it is not there. */
  readonly frames: number | null
}

/** Why a receiver gets nothing, after these words. */
export const absences: Readonly<Record<Absence, string>> = {
  missing: 'while it is missing',
  stopped: 'while it does not run',
  paused: 'while it is paused',
  disconnected: 'until it is connected',
  ambiguous: 'while several of its interfaces are on the bridge',
  detached: 'until it is attached',
  no_carrier: 'while its interface has no carrier',
  no_route: 'while there is no route to its host',
  underlay_down: 'while the interface that leads to its host has no carrier',
  starting: 'until Docker calls it healthy',
  unhealthy: 'while Docker calls it unhealthy',
  unread: 'that is known: Docker was not read'
}

/** The receivers of a span that get a part, and what each got. */
export function readParts(span: DesiredSpan, { hops }: FlowReport, view: PlanView): ReceiverPart[] {
  const live = liveFeeds(span, view)
  const covered = coveredBalances(span, live)
  return span.feeds.flatMap((feed): ReceiverPart | [] => {
    const { kind, name, target, absence } = feed
    const part = livePart(span, feed, live)
    if (part === null) return []
    const hop = hops.find((one) => one.device === target && (one.kind === 'port' || one.kind === 'output'))
    const frames = hop?.frames ?? null
    return {
      ...{ kind: kind === 'sensor' ? 'sensor' : 'output', name, part, absence, device: target, frames },
      isCovered: part.balance !== null && covered.has(part.balance.id)
    }
  })
}

/**
 * Each that takes nothing now, in one sentence.
 *
 * @param hold what keeps an apply away for now, in words; null: nothing that is known.
 */
export function writeAbsent(parts: readonly ReceiverPart[], hold: string | null): string[] {
  return parts.flatMap((one) => {
    const { name, absence } = one
    if (absence === null || absence === 'unread') return []
    return [`${name} gets nothing ${absences[absence]}${writeFlows(one, parts, hold)}`]
  })
}

/** Who has the flows of a member that takes nothing. */
function writeFlows({ part, isCovered }: ReceiverPart, parts: readonly ReceiverPart[], hold: string | null): string {
  if (part.balance === null) return ''
  const others = parts.filter((one) => one.part.balance?.id === part.balance?.id)
  if (!others.some(({ absence }) => absence === null)) return ': nobody has its share'
  if (isCovered) return ': the others have its share'
  return `: its flows go to nobody until the next apply${hold === null ? '' : `; ${hold}`}`
}

/** Fewer frames than these may be uneven by chance. */
const enoughFrames = 1000

/** A member with so much more than its share is worth a warning. */
const muchMore = 1.5

/** The members of balances that get far more than their shares. */
export function warnOfUneven(span: string, parts: readonly ReceiverPart[]): Diagnostic[] {
  const groups = groupsOf(parts, ({ part }) => part.balance?.id)
  return [...groups.values()].flatMap((members) => {
    const total = members.reduce((sum, { frames }) => sum + (frames ?? 0), 0)
    // What goes to nobody, no member has counted.
    if (total < enoughFrames || !members.every(({ isCovered }) => isCovered)) return []
    return members.flatMap((one) => warnIfUneven(span, one, total))
  })
}

function warnIfUneven(span: string, { kind, name, part, device, frames }: ReceiverPart, total: number): Diagnostic[] {
  const { share } = part
  if (share === null || device === null || frames === null) return []
  if (frames <= (muchMore * total * share.buckets.size) / bucketCount) return []
  const [what, whole] =
    share.hash === 'ports' ? ['one conversation', 'a conversation'] : ['one pair of hosts', 'a pair of hosts']
  const got = `${Math.round((frames / total) * 100)} %`
  const message = `span ${span}: ${name} got ${got} of the frames, with a share of ${writeShareRatio(share)}: ${what} may be most of it, and ${whole} is never divided`
  const ports = share.hash === 'addresses' ? '; "hash: ports" divides what two hosts say' : ''
  const hint = `see who talks: tcpdump -c 1000 -nqti ${device} | awk '{print $2, $4}' | sort | uniq -c | sort -rn | head${ports}`
  return [{ ...diagnostic('SHARE_UNEVEN', message, hint), subject: { span, kind, id: [name] } }]
}
