import { chooses } from '../../resources/mark-inventory.ts'
import type { Degraded } from '../../status/watch-state.ts'
import { writeTime } from '../loop/clock.ts'
import { spansOf } from '../loop/partial-plan.ts'
import type { Outcome } from '../loop/reconcile.ts'
import type { FileAim } from '../loop/target.ts'
import { openTroubles } from './backoff.ts'
import { openRivalry } from './contention.ts'
import { explainContest } from './explain-contention.ts'

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
  note(aim: FileAim, outcome: Outcome, fresh: boolean, now: number): void
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
  const [troubles, rivalry] = [openTroubles(), openRivalry()]
  const contestsOf = ({ view, done }: Outcome, now: number) =>
    view === null
      ? []
      : rivalry.note(done, now).map((change) => ({
          ...({ span: change.span, reason: 'contested' } as const),
          ...{ notice: explainContest(change, view), rests: true }
        }))
  return {
    note: (aim, outcome, fresh, now) => {
      const failed = outcome.failures.map(({ span, notice, planned }) => ({
        ...({ span, reason: 'failed' } as const),
        ...{ notice, rests: !planned }
      }))
      const contested = fresh ? [] : contestsOf(outcome, now)
      // The first of a span counts.
      const troubled = new Map([...failed, ...contested].reverse().map((trouble) => [trouble.span, trouble]))
      // A span that goes is none of the file's.
      const going = troubles
        .list(writeTime)
        .flatMap(({ span }) => (span !== null && chooses(aim.scope.spans, span) ? [span] : []))
      // Where nothing could be read, nothing was tried.
      for (const span of outcome.view === null ? [] : new Set([null, ...spansOf(aim), ...going])) {
        if (troubled.has(span)) continue
        const until = rivalry.suspectedUntil(span, now)
        if (until === null) troubles.end(span)
        else troubles.watch(span, until)
      }
      for (const trouble of troubled.values()) troubles.add(trouble, now)
    },
    rests: troubles.rests,
    list: () => troubles.list(writeTime),
    next: troubles.next,
    clear: () => {
      troubles.clear()
      rivalry.clear()
    }
  }
}
