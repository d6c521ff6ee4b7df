import type { Target } from '../../plan/target.ts'
import { matchesSpan } from '../../spec/scope.ts'
import type { Degraded } from '../../status/watch-state.ts'
import { writeTime } from '../loop/clock.ts'
import type { RunOutcome } from '../loop/reconcile.ts'
import { spansOf } from '../loop/targets.ts'
import { openBackoff } from './backoff.ts'
import { openContention } from './contention.ts'
import { explainContention } from './explain-contention.ts'

/**
 * The spans that are not kept in sync, because they fail or another program undoes their changes. A span of null stands for
 * all spans. Times are milliseconds of the monotonic clock.
 */
export interface Degradation {
  /**
   * Takes what came of a run.
   *
   * @param isNewFile it was the first run with this file: no other program has undone what it changed.
   */
  update(target: Target, outcome: RunOutcome, isNewFile: boolean, now: number): void
  /** Whether no run tries the span now. */
  isBackedOff(span: string | null, now: number): boolean
  list(): readonly Degraded[]
  /** When the next attempt of any span is due; null: no span is degraded. */
  next(): number | null
  /** Forgets all failures and all contention: the next run tries every span. */
  clear(): void
}

/** Makes a list without spans. */
export function openDegradation(): Degradation {
  const [backoff, contention] = [openBackoff(), openContention()]
  const findContested = ({ view, done }: RunOutcome, now: number) =>
    view === null
      ? []
      : contention.add(done, now).map((change) => ({
          ...({ span: change.span, reason: 'contested' } as const),
          ...{ diagnostic: explainContention(change, view), backsOff: true }
        }))
  return {
    update: (target, outcome, isNewFile, now) => {
      const failed = outcome.failures.map((failure) => ({ ...failure, reason: 'failed' }) as const)
      const contested = isNewFile ? [] : findContested(outcome, now)
      // Of several problems of a span, the first counts.
      const problems = new Map([...failed, ...contested].reverse().map((problem) => [problem.span, problem]))
      // Listed spans that are being removed are not in the file.
      const listed = backoff
        .list(writeTime)
        .flatMap(({ span }) => (span !== null && matchesSpan(target.scope.spans, span) ? [span] : []))
      // Where nothing could be read, no span was tried.
      for (const span of outcome.view === null ? [] : new Set([null, ...spansOf(target), ...listed])) {
        if (problems.has(span)) continue
        const until = contention.suspectedUntil(span, now)
        if (until === null) backoff.remove(span)
        else backoff.suspect(span, until)
      }
      for (const problem of problems.values()) backoff.add(problem, now)
    },
    isBackedOff: backoff.isBackedOff,
    list: () => backoff.list(writeTime),
    next: backoff.next,
    clear: () => {
      backoff.clear()
      contention.clear()
    }
  }
}
