import { diagnosticOf } from '../../errors.ts'
import type { Degraded } from '../../status/watch-state.ts'

/** Milliseconds from a failure to the next attempt. The delay grows by the factor with each failure. */
const firstDelay = 2000
const factor = 3
const longestDelay = 300_000

/** Why a span is not kept in sync. */
export interface Problem extends Omit<Degraded, 'until'> {
  /** Whether no run tries the span before the next attempt is due. Else each run tries it, as that costs nothing. */
  readonly backsOff: boolean
}

/** The problem that a span could not be brought in sync. */
export function failureOf(span: string | null, error: unknown, backsOff = true): Problem {
  return { span, reason: 'failed', diagnostic: diagnosticOf(error), backsOff }
}

interface Entry extends Problem {
  readonly delay: number
  /** When the next attempt is due. */
  readonly until: number
}

/**
 * Makes an empty list of spans that are not kept in sync, with when each is tried next. A span of null stands for all spans.
 * Times are milliseconds of the monotonic clock.
 */
export function openBackoff() {
  const entries = new Map<string | null, Entry>()
  return {
    /** The span failed. */
    add: (problem: Problem, now: number): void => {
      const before = entries.get(problem.span)
      // An attempt before it was due does not delay the next one.
      const isEarly = before !== undefined && now < before.until && (before.backsOff || !problem.backsOff)
      const delay = isEarly ? before.delay : delayAfter(before?.delay)
      entries.set(problem.span, { ...problem, delay, until: isEarly ? before.until : now + delay })
    },
    /** The span does not fail now, but may again before `until`: it stays listed, and each run tries it. */
    suspect: (span: string | null, until: number): void => {
      const entry = entries.get(span)
      if (entry !== undefined) entries.set(span, { ...entry, backsOff: false, until })
    },
    /** The span does not fail any more. */
    remove: (span: string | null) => entries.delete(span),
    /** Forgets all failures: the next run tries every span. */
    clear: () => entries.clear(),
    /** Whether no run tries the span now. */
    isBackedOff: (span: string | null, now: number): boolean => {
      const { backsOff = false, until = now } = entries.get(span) ?? {}
      return backsOff && now < until
    },
    /** @param write gives a time as ISO 8601. */
    list: (write: (time: number) => string): readonly Degraded[] =>
      [...entries.values()].map(({ span, reason, diagnostic, until }) => ({
        ...{ span, reason, diagnostic },
        until: write(until)
      })),
    /** When the next attempt of any span is due; null: no span is listed. */
    next: (): number | null =>
      entries.size === 0 ? null : Math.min(...[...entries.values()].map(({ until }) => until))
  }
}

/** Milliseconds: 2 s, 6 s, 18 s, 54 s, 162 s, then always 300 s. */
function delayAfter(delay: number | undefined): number {
  return delay === undefined ? firstDelay : Math.min(longestDelay, delay * factor)
}
