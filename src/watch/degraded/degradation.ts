import type { Target } from '../../plan/target.ts'
import { matchesSpan } from '../../spec/scope.ts'
import { writeTime } from '../loop/clock.ts'
import type { RunOutcome } from '../loop/reconcile.ts'
import { type LeftAlone, spansOf } from '../loop/targets.ts'
import { openBackoff, type Rest } from './backoff.ts'
import { openContention } from './contention.ts'

/**
 * Makes an empty list of what is not kept in sync: spans that fail, and things that another program undoes again and again. A
 * span of null stands for all spans. Times are milliseconds of the monotonic clock.
 */
export function openDegradation() {
  const [backoff, contention] = [openBackoff(), openContention()]
  return {
    list: (): readonly Rest[] => [...backoff.list(writeTime), ...contention.list(performance.now(), writeTime)],
    /** Whether no run is made now, but on demand. */
    isBackedOff: (now: number): boolean => backoff.backedOff(null, now) !== null,
    /** What the next run leaves alone, of these spans. */
    leftAlone: (spans: readonly string[], now: number): LeftAlone => {
      const backedOff = (which: 'whole' | 'but seals') => spans.filter((span) => backoff.backedOff(span, now) === which)
      return { things: contention.resting(now), spans: new Set(backedOff('but seals')), excluded: backedOff('whole') }
    },
    /** When the next attempt of anything is due; Infinity: nothing is degraded. */
    next: (now: number): number => Math.min(backoff.next(), contention.next(now)),
    /** Takes what came of a run. */
    update: (target: Target, { view, done, leftOut, failures }: RunOutcome, now: number): void => {
      contention.fail(leftOut, now)
      const { resting } = target
      contention.add(done, view?.host ?? null, now, resting.things)
      const rests = (span: string | null) => span !== null && resting.spans.has(span)
      // Of several problems of a span, the first counts. What fails in the plan of a span that rests is no attempt.
      const counted = failures.filter(({ span, backsOff }) => backsOff || !rests(span))
      const problems = new Map([...counted].reverse().map((problem) => [problem.span, problem]))
      // Listed spans that are being removed are not in the file.
      const listed = backoff
        .list(writeTime)
        .flatMap(({ span }) => (matchesSpan(target.scope.spans, span) ? [span] : []))
      // Where nothing could be read, no span was tried.
      for (const span of view === null ? [] : new Set([null, ...spansOf(target), ...listed])) {
        if (!problems.has(span) && !rests(span)) backoff.remove(span)
      }
      for (const problem of problems.values()) backoff.add(problem, now, rests(problem.span))
    },
    /** Forgets all failures and all contention: the next run tries everything. */
    clear: () => {
      backoff.clear()
      contention.clear()
    }
  }
}
