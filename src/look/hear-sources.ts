import { type Diagnostic, diagnostic, diagnosticOf } from '../errors.ts'
import { groupsOf } from '../host/host-index.ts'
import type { Program } from '../host/snapshot.ts'
import { canBeHeard, findDeafness, hearAll } from '../host/traffic/listen.ts'
import { readCapture } from '../host/traffic/read-capture.ts'
import { type ConversationTally, countConversations } from '../host/traffic/tally-conversations.ts'
import { countMirror, type MirrorTally, type TallyFilter, talliedBytes } from '../host/traffic/tally-mirror.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { printable } from '../printable.ts'
import { type CopyPoint, linkOf } from '../resources/desired-state.ts'
import { judgeBy, seenByTc } from '../resources/programs/run-program.ts'
import type { KindName } from '../resources/registry.ts'
import { askedVlans } from '../spec/filter/vlans.ts'
import { listFew } from '../text-lines.ts'

/** What was heard of a source, at one hook. */
export interface HeardPoint {
  readonly point: CopyPoint
  /** A switch may be at its other end: it leads to no container, and ends no tunnel. */
  readonly isPort: boolean
  readonly tally: MirrorTally
}

/** What was heard of sources whose frames belong together: those that switches and hosts send here, or those of one interface of a container. */
export interface HeardGroup {
  readonly span: string
  readonly points: readonly HeardPoint[]
  readonly conversations: ConversationTally
}

/** What was heard, and why the rest was not. */
export interface Heard {
  readonly groups: readonly HeardGroup[]
  readonly unheard: readonly Diagnostic[]
}

/** Hooks at which somebody listens at a time. */
const mostEars = 16

/** Frames of a hook that are looked at. A busy link has them in less than the time. */
const mostFrames = 200_000

/** KiB in which the kernel keeps frames for each of those who listen. */
const bufferSize = 4096

/** Names that a message has. */
const fewNames = 5

/** While one of these is to change, what comes is not yet what the source carries. */
const unready: ReadonlySet<KindName> = new Set(['interface', 'mirror', 'tunnel'])

type Take = (frame: Buffer, size: number, seconds: number) => void

/** A hook of an interface at which to listen. */
interface Ear {
  readonly device: string
  readonly hook: CopyPoint['tcHook']
  readonly takers: readonly Take[]
}

/**
 * Listens on the interfaces of the sources that are copied from, at the hooks that are copied, and changes nothing: an interface that
 * is not in promiscuous mode stays so.
 */
export async function hearSources(view: PlanView, milliseconds: number, signal: AbortSignal): Promise<Heard> {
  const groups = groupPoints(view)
  const all = earsOf(groups)
  if (all.length === 0) return { groups: [], unheard: [] }
  const deafness = await findDeafness()
  if (deafness !== null) return { groups: [], unheard: [unheard('the traffic', deafness.message, deafness.hint)] }
  const ears = all.slice(0, mostEars)
  const failures = await Promise.all(ears.map((ear) => hear(ear, milliseconds, signal)))
  const deaf = new Set(ears.filter((_, index) => failures[index] != null).map(keyOf))
  const listened = new Set(ears.map(keyOf).filter((key) => !deaf.has(key)))
  return {
    // Of one that was heard in part, nothing can be told.
    groups: groups.flatMap(({ span, points, tally }) =>
      points.every(({ point }) => listened.has(keyOfPoint(point)))
        ? { span, points: points.map(({ tally, ...rest }) => ({ ...rest, tally: tally() })), conversations: tally() }
        : []
    ),
    unheard: [...failures.flatMap((failure) => failure ?? []), ...tellLeftOut(all.slice(mostEars))]
  }
}

function unheard(what: string, why: string, hint?: string): Diagnostic {
  return diagnostic('TRAFFIC_UNHEARD', `whether ${what} is whole is not known: ${why}`, hint)
}

function tellLeftOut(ears: readonly Ear[]): Diagnostic[] {
  if (ears.length === 0) return []
  const names = [...new Set(ears.map(({ device }) => printable(device)))]
  const why = `no more than ${mostEars} places are listened to at a time`
  return [
    unheard(`the traffic of ${listFew(names, fewNames)}`, why, 'ask for some spans: spanplan status SPAN --for 10s')
  ]
}

const keyOf = ({ device, hook }: Pick<Ear, 'device' | 'hook'>) => `${device} ${hook}`
const keyOfPoint = ({ device, tcHook }: CopyPoint) => keyOf({ device: device.name, hook: tcHook })

/** Points that are counted together, with their counters. */
interface Group {
  readonly span: string
  readonly points: readonly (Omit<HeardPoint, 'tally'> & { readonly take: Take; readonly tally: () => MirrorTally })[]
  readonly tally: () => ConversationTally
}

/** The sources of each span, but for those that a plan changes, that are down, or on whose interface nobody can listen. */
function groupPoints({ desired, plan, host }: PlanView): Group[] {
  const busy = new Set(plan.changes.flatMap(({ kind, device }) => (unready.has(kind) ? [device] : [])))
  const isHeard = ({ device: { name } }: CopyPoint) =>
    canBeHeard(name) && host.linkOf(name)?.carrier === true && !busy.has(name)
  return desired.spans.flatMap(({ name: span, mirrors }) => {
    const heard = mirrors.filter(isHeard)
    // What two containers say to each other comes at both, as the file has it.
    const groups = groupsOf(heard, (point) => (point.serves === null ? '' : point.device.name))
    return [...groups.values()].map((points) => makeGroup(span, points))
  })
}

function makeGroup(span: string, points: readonly CopyPoint[]): Group {
  const conversations = countConversations()
  const isBoth = (point: CopyPoint) =>
    new Set(points.filter(({ device }) => device.name === point.device.name).map(({ tcHook }) => tcHook)).size > 1
  return {
    span,
    points: points.map((point) => {
      const link = linkOf(point.device)
      const mirror = countMirror(link?.mac ?? '', tallyFilter(point.program, point.selection.expression))
      // Of the host's own conversations, and of a container's, one hook has one direction. A switch sends both there.
      const isWhole = isBoth(point)
      const isFollowed = (frame: Buffer) =>
        isWhole || (point.tcHook === 'ingress' && point.serves === null && !mirror.isOwn(frame))
      return {
        point,
        isPort: point.serves === null && link?.tunnel === undefined,
        take: (frame, size, seconds) => {
          mirror.count(frame, size)
          conversations.count(frame, seconds, isFollowed(frame))
        },
        tally: mirror.tally
      }
    }),
    tally: conversations.tally
  }
}

/** The tag of 802.1Q. */
const tagType = 0x8100

/** What a filter takes of the frames that are heard.
 *
 * @param program null: not known. */
export function tallyFilter(program: Program | null, expression: string | null): TallyFilter {
  if (program === null || expression === null) return { takes: () => true, wouldTake: () => true, vlans: [] }
  const judge = judgeBy(program)
  return {
    takes: (frame, size) => judge(seenByTc(frame, size)) !== 'refused',
    wouldTake: (frame, size, vlan) =>
      judge({ ...seenByTc(frame, size), tag: { type: tagType, control: vlan ?? 1 } }) !== 'refused',
    vlans: askedVlans(expression)
  }
}

function earsOf(groups: readonly Group[]): Ear[] {
  const all = groups.flatMap(({ points }) => points)
  return [...groupsOf(all, ({ point }) => keyOfPoint(point)).values()].flatMap(([first, ...others]) =>
    first === undefined
      ? []
      : {
          device: first.point.device.name,
          hook: first.point.tcHook,
          takers: [first, ...others].map(({ take }) => take)
        }
  )
}

/** @returns why it could not be heard, or null. */
async function hear({ device, hook, takers }: Ear, milliseconds: number, signal: AbortSignal) {
  let frames = 0
  const reader = readCapture(talliedBytes, (frame, size, seconds) => {
    for (const take of takers) take(frame, size, seconds)
    frames++
    return frames < mostFrames
  })
  const place = { name: device, isPromiscuous: false, bytes: talliedBytes, only: hook, bufferSize }
  const what = `the traffic of ${printable(device)}`
  try {
    const heard = await hearAll(place, milliseconds, reader.push, signal)
    // It ends by itself where it has heard enough.
    if (frames >= mostFrames) return null
    if ('failure' in heard) return unheard(what, `tcpdump ended: ${heard.failure}`)
    return reader.isSound() ? null : unheard(what, 'it carries no Ethernet frames, or tcpdump wrote none')
  } catch (error) {
    const { message, hint } = diagnosticOf(error)
    return unheard(what, message, hint)
  }
}
