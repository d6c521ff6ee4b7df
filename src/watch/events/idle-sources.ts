import type { PlanView } from '../../plan/plan-view.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { isIdle, readSources, type SourceIdleness } from '../../status/counters/idleness.ts'
import { describeIdleness } from '../../status/health.ts'
import type { EmitEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/** Milliseconds from one sample to the next: a share of the shortest max_idle, so that the event is not late. */
const [shortestPeriod, longestPeriod] = [1000, 5000]
const shareOfMaxIdle = 0.1

/**
 * Counts the frames of the sources that have a max_idle, and emits an event when one is idle from now on, and when it is not
 * any more. It takes two processes each time, and none where there is no such source.
 */
export function trackIdleSources(emit: EmitEvent) {
  const idleSources = trackTransitions<SourceIdleness>(keyOf)
  let current: PlanView | null = null
  let timer: NodeJS.Timeout | null = null
  let closed = false
  const schedule = () => {
    const period = current === null ? null : periodOf(current)
    timer = period === null || closed ? null : setTimeout(() => void count(), period)
  }
  const emitChanges = (sources: readonly SourceIdleness[]) => {
    const counted = new Map(sources.map((source) => [keyOf(source), source]))
    const wasRecreated = (source: SourceIdleness) => counted.get(keyOf(source))?.heard === false
    const { started, ended } = idleSources.update(sources.filter(isIdle), wasRecreated)
    for (const source of started) emit({ type: 'idle', ...describeSource(source) })
    // A source that has no max_idle any more has not become busy.
    for (const source of ended) if (counted.has(keyOf(source))) emit({ type: 'idle_over', ...describeSource(source) })
  }
  const count = async () => {
    // What cannot be read now is read the next time.
    const sources = current === null ? null : await readIdleSources(current).catch(() => null)
    if (sources !== null && !closed) emitChanges(sources)
    schedule()
  }
  return {
    /** From now on, the sources of this plan are watched, and no others. */
    follow: (view: PlanView): void => {
      current = view
      if (timer === null) schedule()
    },
    close: (): void => {
      closed = true
      if (timer !== null) clearTimeout(timer)
    }
  }
}

function keyOf({ span, device, origin }: SourceIdleness): string {
  return JSON.stringify([span, device, origin])
}

function describeSource(source: SourceIdleness) {
  const { span, device } = source
  return { span, device, diagnostic: describeIdleness(source) }
}

/** null: no source has a max_idle. */
function periodOf({ desired }: PlanView): number | null {
  const limits = desired.spans.flatMap(({ mirrors }) => mirrors.flatMap(({ maxIdle }) => maxIdle ?? []))
  if (limits.length === 0) return null
  return Math.min(longestPeriod, Math.max(shortestPeriod, shareOfMaxIdle * Math.min(...limits)))
}

async function readIdleSources(view: PlanView): Promise<SourceIdleness[]> {
  // The sockets of sensors do not matter here, and cost a process each.
  const paths = framePathsOf(view).map((path) => ({ ...path, ports: [] }))
  const watched = paths.filter(({ mirrors }) => mirrors.some(({ maxIdle }) => maxIdle !== null))
  const sample = await takeSample(watched)
  return watched.flatMap((path) => readSources(path, sample))
}
