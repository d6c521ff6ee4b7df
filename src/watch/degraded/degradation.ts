import type { Target } from '../../plan/target.ts'
import { matchesSpan } from '../../spec/scope.ts'
import type { Degraded } from '../../status/watch-state.ts'
import { writeTime } from '../loop/clock.ts'
import type { RunOutcome } from '../loop/reconcile.ts'
import { spansOf } from '../loop/targets.ts'
import { openBackoff } from './backoff.ts'
import { explainContention, openContention } from './contention.ts'

/**
 * Makes an empty list of spans that are not kept in sync, because they fail or another program undoes their changes. A span
 * of null stands for all spans. Times are milliseconds of the monotonic clock.
 */
export function openDegradation() {
  const [backoff, contention] = [openBackoff(), openContention()]
  const list = (): readonly Degraded[] => backoff.list(writeTime)
  return {
    list,
    /** Whether no run tries the span now. */
    isBackedOff: backoff.isBackedOff,
    /** When the next attempt of any span is due; null: no span is degraded. */
    next: backoff.next,
    /**
     * Takes what came of a run.
     *
     * @param isNewFile it was the first run with this file: no other program has undone what it changed.
     */
    update: (target: Target, { view, done, failures }: RunOutcome, isNewFile: boolean, now: number): void => {
      const contested =
        view === null || isNewFile ? [] : contention.add(done, now).map((change) => explainContention(change, view))
      const all = [...failures, ...contested]
      // Of several problems of a span, the first counts.
      const problems = new Map(all.reverse().map((problem) => [problem.span, problem]))
      // Listed spans that are being removed are not in the file.
      const listed = list().flatMap(({ span }) => (matchesSpan(target.scope.spans, span) ? [span] : []))
      // Where nothing could be read, no span was tried.
      for (const span of view === null ? [] : new Set([null, ...spansOf(target), ...listed])) {
        if (problems.has(span)) continue
        const until = contention.suspectedUntil(span, now)
        if (until === null) backoff.remove(span)
        else backoff.suspect(span, until)
      }
      for (const problem of problems.values()) backoff.add(problem, now)
    },
    /** Forgets all failures and all contention: the next run tries every span. */
    clear: () => {
      backoff.clear()
      contention.clear()
    }
  }
}
