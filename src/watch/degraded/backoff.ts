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

/** What is not kept in sync. */
export interface Rest extends Degraded {
  /** Milliseconds for which it is left alone after an attempt: 0 where each run tries it. */
  readonly rest: number
  /** Names the container that it is about; null: it is about none. */
  readonly container: string | null
  /** The thing that is contested, as the plan's row has it: `mirror ens192 ingress → span0`; null: it is a whole span. */
  readonly thing: string | null
}

/** The problem that a span could not be brought in sync. */
export function failureOf(span: string | null, error: unknown, backsOff = true): Problem {
  return { span, reason: 'failed', diagnostic: diagnosticOf(error), backsOff }
}

interface Entry extends Problem {
  readonly delay: number
  /** Also what keeps its sensors from sending has failed: then nothing of the span is tried. */
  readonly isWhole: boolean
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
    /**
     * The span failed.
     *
     * @param isWhole it failed though nothing was tried but what keeps its sensors from sending.
     */
    add: (problem: Problem, now: number, isWhole = false): void => {
      const before = entries.get(problem.span)
      // An attempt before it was due does not delay the next one.
      const isEarly = before !== undefined && now < before.until && (before.backsOff || !problem.backsOff)
      const delay = isEarly ? before.delay : delayAfter(before?.delay)
      entries.set(problem.span, { ...problem, delay, isWhole, until: isEarly ? before.until : now + delay })
    },
    /** The span does not fail any more. */
    remove: (span: string | null) => entries.delete(span),
    /** Forgets all failures: the next run tries every span. */
    clear: () => entries.clear(),
    /** How much of the span no run tries now; null: all is tried. */
    backedOff: (span: string | null, now: number): 'whole' | 'but seals' | null => {
      const { backsOff = false, until = now, isWhole } = entries.get(span) ?? {}
      if (!backsOff || now >= until) return null
      return isWhole ? 'whole' : 'but seals'
    },
    /** @param write gives a time as ISO 8601. */
    list: (write: (time: number) => string): readonly Rest[] =>
      [...entries.values()].map(({ span, reason, diagnostic, until, backsOff, delay }) => ({
        span,
        reason,
        diagnostic,
        until: write(until),
        rest: backsOff ? delay : 0,
        container: null,
        thing: null
      })),
    /** When the next attempt of any span is due; Infinity: no span is listed. */
    next: (): number => Math.min(...[...entries.values()].map(({ until }) => until))
  }
}

/** Milliseconds: 2 s, 6 s, 18 s, 54 s, 162 s, then always 300 s. */
export function delayAfter(delay: number | undefined): number {
  return delay === undefined ? firstDelay : Math.min(longestDelay, delay * factor)
}
