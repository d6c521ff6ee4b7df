import type { PlanView } from '../../plan/plan-view.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { isIdle, readSources, type SourceIdleness } from '../../status/counters/idleness.ts'
import { type Transitions, trackTransitions } from './transition-tracker.ts'

/** A source with a max_idle, and its span. */
export interface IdleSource extends SourceIdleness {
  readonly span: string
}

/** Watches which sources are idle. */
export interface IdleTracker {
  /** From now on, the sources of this plan are watched, and no others. */
  follow(view: PlanView): void
  close(): void
}

/** Milliseconds from one sample to the next: a share of the shortest max_idle, so that the event is not late. */
const [shortestPeriod, longestPeriod] = [1000, 5000]
const shareOfMaxIdle = 0.1

/**
 * Counts the frames of the sources that have a max_idle. It takes two processes each time, and none where there is no such
 * source.
 *
 * @param onChange gets the sources that are idle from now on, and those that are not any more.
 */
export function trackIdleSources(onChange: (changes: Transitions<IdleSource>) => void): IdleTracker {
  const idleSources = trackTransitions<IdleSource>(keyOf)
  let current: PlanView | null = null
  let timer: NodeJS.Timeout | null = null
  let closed = false
  const schedule = () => {
    const period = current === null ? null : periodOf(current)
    timer = period === null || closed ? null : setTimeout(() => void count(), period)
  }
  const update = (sources: readonly IdleSource[]) => {
    const counted = new Map(sources.map((source) => [keyOf(source), source]))
    const wasRecreated = (source: IdleSource) => counted.get(keyOf(source))?.heard === false
    const { started, ended } = idleSources.update(sources.filter(isIdle), wasRecreated)
    // A source that has no max_idle any more has not become busy.
    return { started, ended: ended.filter((source) => counted.has(keyOf(source))) }
  }
  const count = async () => {
    // What cannot be read now is read the next time.
    const sources = current === null ? null : await readIdleSources(current).catch(() => null)
    if (sources !== null && !closed) onChange(update(sources))
    schedule()
  }
  return {
    follow: (view) => {
      current = view
      if (timer === null) schedule()
    },
    close: () => {
      closed = true
      if (timer !== null) clearTimeout(timer)
    }
  }
}

function keyOf({ span, device, origin }: IdleSource): string {
  return JSON.stringify([span, device, origin])
}

/** null: no source has a max_idle. */
function periodOf({ desired }: PlanView): number | null {
  const limits = desired.spans.flatMap(({ mirrors }) => mirrors.flatMap(({ maxIdle }) => maxIdle ?? []))
  if (limits.length === 0) return null
  return Math.min(longestPeriod, Math.max(shortestPeriod, shareOfMaxIdle * Math.min(...limits)))
}

async function readIdleSources(view: PlanView): Promise<IdleSource[]> {
  // The sockets of sensors do not matter here, and cost a process each.
  const paths = framePathsOf(view).map((path) => ({ ...path, ports: [] }))
  const watched = paths.filter(({ mirrors }) => mirrors.some(({ maxIdle }) => maxIdle !== null))
  const sample = await takeSample(watched)
  return watched.flatMap((path) => readSources(path, sample).map((source) => ({ ...source, span: path.span })))
}
