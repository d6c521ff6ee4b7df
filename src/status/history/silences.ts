import { groupsOf } from '../../host/host-index.ts'
import type { Sample } from '../../host/read-counters.ts'
import { writePoint, writeSourceName } from '../../resources/sources/host-source-kind.ts'
import { listFew } from '../../text-lines.ts'
import type { Hop } from '../counters/flow-report.ts'
import type { FramePath, PathMirror } from '../counters/frame-path.ts'
import { askOfSilence, readIdleness, type SourceIdleness } from '../counters/idleness.ts'
import type { Period } from './rate-rings.ts'

/** A time in which no frame of a source was copied, though frames came before; in milliseconds of the monotonic clock. */
export interface Silence {
  readonly span: string
  /** The source, by its name: of several containers, the first ones. */
  readonly source: string
  /** The same with its direction. */
  readonly title: string
  /** Of an interface whose ingress is mirrored, how many frames came in meanwhile; null: nothing tells that. */
  arrived: number | null
  readonly from: number
  /** null: it goes on. */
  to: number | null
  /** Frames a second before. */
  readonly before: number
  /** What may keep the frames away. */
  readonly asks: string
}

/** A source that has no max_idle is silent after so many periods without a frame, if so many with frames came before, one after another. */
const silentAfter = 3
const busyBefore = 10

/** Some mirrors of one source, and what is known of them. */
interface Tracked {
  readonly key: string
  /** Periods with frames, one after another. */
  busy: readonly number[]
  /** Periods without a frame since. */
  zeros: number
  from: number
  arrived: number | null
  open: Silence | null
  /** The last one that is over. */
  over: Silence | null
  seen: number
}

/** The hops of a span's path, and whether each was counted from the begin of the period to its end. */
export interface CountedPath {
  readonly path: FramePath
  readonly hops: readonly Hop[]
  readonly isKnown: (hop: Hop) => boolean
}

/**
 * Makes what tells when a source is silent. A max_idle counts for all of a source. Without one, each direction is judged by itself: what
 * the host itself sends now and then must not hide that the switch sends nothing.
 *
 * @param onBegin gets each silence as it begins; it is changed when it ends.
 */
export function trackSilences(onBegin: (silence: Silence) => void) {
  const tracked = new Map<string, Tracked>()
  return {
    add: (paths: readonly CountedPath[], sample: Sample, period: Period): void => {
      for (const { path, hops, isKnown } of paths) {
        for (const [key, mirrors] of groupsOf(path.mirrors, groupName(path.span))) {
          const known = tracked.get(key) ?? {
            key,
            busy: [],
            zeros: 0,
            from: 0,
            arrived: null,
            open: null,
            over: null,
            seen: 0
          }
          tracked.set(key, known)
          known.seen = period.end
          const own = hops.filter((hop) => 'point' in hop && mirrors.some(({ point }) => point === hop.point))
          const sum = (kind: Hop['kind']) =>
            sumFrames(
              own.filter((hop) => hop.kind === kind),
              isKnown
            )
          const idleness = readIdleness(mirrors, sample)
          update(known, path.span, mirrors, { frames: sum('mirror'), arrived: sum('interface'), idleness }, period)
        }
      }
      for (const [key, one] of tracked) {
        if (one.seen === period.end) continue
        // It is paused or gone: nobody knows how it goes on.
        if (one.open !== null) one.open.to = period.begin
        tracked.delete(key)
      }
    }
  }

  function update(known: Tracked, span: string, mirrors: Mirrors, counts: Counts, { begin, end }: Period): void {
    const { frames, arrived, idleness } = counts
    if (frames === null) return
    if (frames > 0) {
      if (known.open !== null) {
        known.open.to = end
        known.over = known.open
      }
      const rate = (1000 * frames) / (end - begin)
      known.busy = known.zeros > 0 ? [rate] : [...known.busy, rate].slice(-busyBefore)
      known.zeros = 0
      known.open = null
      return
    }
    const [{ point }] = mirrors
    const last = idleness === null ? begin : end - idleness.idle
    // tc tells the last frame to the second: it came before this period, and not long before.
    if (known.zeros === 0) known.from = last <= begin && last > begin - (end - begin) ? last : begin
    known.arrived = known.zeros === 0 ? arrived : addKnown(known.arrived, arrived)
    known.zeros++
    if (known.open !== null) {
      known.open.arrived = known.arrived
      return
    }
    const { maxIdle } = point
    const isSilent =
      maxIdle === null
        ? known.zeros >= silentAfter && known.busy.length >= busyBefore
        : idleness !== null && idleness.idle >= maxIdle
    if (!isSilent) return
    const names = [...new Set(mirrors.map((one) => writeSourceName(one.point.source)))]
    known.open = {
      span,
      source: listFew(names, mostNames),
      title: mirrors.length === 1 ? writePoint(point) : listFew(names, mostNames),
      arrived: known.arrived,
      from: maxIdle === null ? known.from : last,
      to: null,
      before: known.busy.length === 0 ? 0 : known.busy.reduce((sum, rate) => sum + rate, 0) / known.busy.length,
      asks: askOfSilence([point, ...mirrors.slice(1).map((one) => one.point)])
    }
    const { over } = known
    // It was not over before the last frame, and no later than that.
    if (over !== null && over.to !== null && over.to > known.open.from) over.to = Math.max(over.from, known.open.from)
    onBegin(known.open)
  }
}

type Mirrors = readonly [PathMirror, ...PathMirror[]]

interface Counts {
  readonly frames: number | null
  readonly arrived: number | null
  readonly idleness: Pick<SourceIdleness, 'idle'> | null
}

/** Of many containers, the first ones are named. */
const mostNames = 3

/** What is judged together. */
function groupName(span: string): (mirror: PathMirror) => string {
  return ({ point: { item, maxIdle, tcHook } }) => JSON.stringify([span, item, maxIdle === null ? tcHook : null])
}

/** null: none was counted; or some were not, and the others have no frame. */
function sumFrames(hops: readonly Hop[], isKnown: (hop: Hop) => boolean): number | null {
  const known = hops.filter(isKnown)
  const sum = known.reduce((total, { frames }) => total + (frames ?? 0), 0)
  return sum > 0 || (known.length > 0 && known.length === hops.length) ? sum : null
}

function addKnown(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other
}
