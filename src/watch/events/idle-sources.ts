import { setTimeout as sleep } from 'node:timers/promises'
import type { PlanView } from '../../plan/plan-view.ts'
import { type FramePath, framePathOf, takeSample } from '../../status/counters/frame-path.ts'
import { isIdle, readSources, type SourceIdleness } from '../../status/counters/idleness.ts'
import { explainIdleness } from '../../status/health.ts'
import type { EmitEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/** Milliseconds from one sample to the next: a share of the shortest max_idle, so that the event is not late. */
const [shortestPeriod, longestPeriod] = [1000, 5000]
const shareOfMaxIdle = 0.1

/**
 * Counts the frames of the sources that have a max_idle, and emits an event when one is idle from now on, and when it is not
 * any more. It takes two processes each time, and none where there is no such source.
 *
 * @param signal ends it.
 * @returns a function that takes a plan: from then on, the sources of this plan are watched, and no others.
 */
export function trackIdleSources(emit: EmitEvent, signal: AbortSignal): (view: PlanView) => void {
  const idleSources = trackTransitions<SourceIdleness>(keyOf)
  let watched: readonly FramePath[] = []
  let isCounting = false
  const emitChanges = (sources: readonly SourceIdleness[]) => {
    const counted = new Map(sources.map((source) => [keyOf(source), source]))
    const wasRecreated = (source: SourceIdleness) => counted.get(keyOf(source))?.heard === false
    const { started, ended } = idleSources.update(sources.filter(isIdle), wasRecreated)
    for (const source of started) emit({ type: 'idle', source, diagnostic: explainIdleness(source) })
    // A source that has no max_idle any more has not become busy.
    for (const source of ended) {
      if (counted.has(keyOf(source))) emit({ type: 'idle_over', source, diagnostic: explainIdleness(source) })
    }
  }
  const count = async () => {
    isCounting = true
    for (let period = periodOf(watched); period !== null; period = periodOf(watched)) {
      await sleep(period, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      const paths = watched
      // What cannot be read now is read the next time.
      const sample = await takeSample(paths).catch(() => null)
      if (sample !== null && !signal.aborted) emitChanges(paths.flatMap((path) => readSources(path, sample)))
    }
    isCounting = false
  }
  return (view) => {
    const spans = view.desired.spans.filter(({ mirrors }) => mirrors.some(({ maxIdle }) => maxIdle !== null))
    // The sockets of sensors do not matter here, and cost a process each.
    watched = spans.map((span) => ({ ...framePathOf(span, view), ports: [] }))
    if (!isCounting) void count()
  }
}

function keyOf({ span, points: [first] }: SourceIdleness): string {
  return JSON.stringify([span, first.item])
}

/** null: no source has a max_idle. */
function periodOf(paths: readonly FramePath[]): number | null {
  const limits = paths.flatMap(({ mirrors }) => mirrors.flatMap(({ point }) => point.maxIdle ?? []))
  if (limits.length === 0) return null
  return Math.min(longestPeriod, Math.max(shortestPeriod, shareOfMaxIdle * Math.min(...limits)))
}
