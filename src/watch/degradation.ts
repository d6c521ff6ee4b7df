import type { FileAim } from './aim.ts'
import { writeTime } from './clock.ts'
import { spansOf } from './possible.ts'
import type { Outcome } from './reconcile.ts'
import { explainContest } from './rival.ts'
import { openRivalry } from './rivalry.ts'
import type { Degraded } from './state.ts'
import { openTroubles } from './troubles.ts'

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
      // Where nothing could be read, nothing was tried.
      for (const span of outcome.view === null ? [] : [null, ...spansOf(aim)]) {
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
