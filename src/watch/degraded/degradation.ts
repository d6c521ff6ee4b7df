import { matchesSpan } from '../../spec/scope.ts'
import type { Degraded } from '../../status/watch-state.ts'
import { writeTime } from '../loop/clock.ts'
import type { FileTarget } from '../loop/file-target.ts'
import { spansOf } from '../loop/partial-plan.ts'
import type { Outcome } from '../loop/reconcile.ts'
import { openBackoff } from './backoff.ts'
import { openContention } from './contention.ts'
import { explainContention } from './explain-contention.ts'

/**
 * What is not kept true, because it fails or somebody else undoes it, and for how long it is left alone. Times are milliseconds
 * of the monotonic clock.
 */
export interface Degradation {
  /**
   * What came of a run.
   *
   * @param fresh it was the first one with this file: what it changed, nobody had undone.
   */
  note(target: FileTarget, outcome: Outcome, fresh: boolean, now: number): void
  /** Whether the span is left alone now; null: all of them. */
  rests(span: string | null, now: number): boolean
  list(): readonly Degraded[]
  /** When the next one is to be tried; null: there is none. */
  next(): number | null
  /** There is a new file, or somebody asks for it: everything is tried at once, and nothing of before is held against anybody. */
  clear(): void
}

/** Makes one of which nothing is known. */
export function openDegradation(): Degradation {
  const [backoff, contention] = [openBackoff(), openContention()]
  const contestsOf = ({ view, done }: Outcome, now: number) =>
    view === null
      ? []
      : contention.note(done, now).map((change) => ({
          ...({ span: change.span, reason: 'contested' } as const),
          ...{ diagnostic: explainContention(change, view), rests: true }
        }))
  return {
    note: (target, outcome, fresh, now) => {
      const failed = outcome.failures.map(({ span, diagnostic, planned }) => ({
        ...({ span, reason: 'failed' } as const),
        ...{ diagnostic, rests: !planned }
      }))
      const contested = fresh ? [] : contestsOf(outcome, now)
      // The first of a span counts.
      const troubled = new Map([...failed, ...contested].reverse().map((trouble) => [trouble.span, trouble]))
      // A span that goes is none of the file's.
      const going = backoff
        .list(writeTime)
        .flatMap(({ span }) => (span !== null && matchesSpan(target.scope.spans, span) ? [span] : []))
      // Where nothing could be read, nothing was tried.
      for (const span of outcome.view === null ? [] : new Set([null, ...spansOf(target), ...going])) {
        if (troubled.has(span)) continue
        const until = contention.suspectedUntil(span, now)
        if (until === null) backoff.end(span)
        else backoff.watch(span, until)
      }
      for (const trouble of troubled.values()) backoff.add(trouble, now)
    },
    rests: backoff.rests,
    list: () => backoff.list(writeTime),
    next: backoff.next,
    clear: () => {
      backoff.clear()
      contention.clear()
    }
  }
}
