import type { Degraded } from '../../status/watch-state.ts'

/** Milliseconds from a failure to the next attempt. The delay grows by the factor with each failure. */
const firstDelay = 2000
const factor = 3
const longestDelay = 300_000

/** Why a span is not kept in sync. */
interface Problem extends Pick<Degraded, 'span' | 'reason' | 'diagnostic'> {
  /** Whether no run tries the span before the next attempt is due. Else each run tries it, as that costs nothing. */
  readonly backsOff: boolean
}

interface Entry extends Problem {
  readonly delay: number
  /** When the next attempt is due, in milliseconds of the monotonic clock, as all times here. */
  readonly until: number
}

/** The spans that are not kept in sync, and when each is tried next. A span of null stands for all spans. */
export interface Backoff {
  /** The span failed. */
  add(problem: Problem, now: number): void
  /** The span does not fail now, but may again before `until`: it stays listed, and each run tries it. */
  suspect(span: string | null, until: number): void
  /** The span does not fail any more. */
  remove(span: string | null): void
  /** Forgets all failures: the next run tries every span. */
  clear(): void
  /** Whether no run tries the span now. */
  isBackedOff(span: string | null, now: number): boolean
  /** @param write gives a time as ISO 8601. */
  list(write: (time: number) => string): readonly Degraded[]
  /** When the next attempt of any span is due; null: no span is listed. */
  next(): number | null
}

/** Makes an empty list. */
export function openBackoff(): Backoff {
  const entries = new Map<string | null, Entry>()
  return {
    add: (problem, now) => {
      const before = entries.get(problem.span)
      // An attempt before it was due does not delay the next one.
      const isEarly = before !== undefined && now < before.until && (before.backsOff || !problem.backsOff)
      const delay = isEarly ? before.delay : delayAfter(before?.delay)
      entries.set(problem.span, { ...problem, delay, until: isEarly ? before.until : now + delay })
    },
    suspect: (span, until) => {
      const entry = entries.get(span)
      if (entry !== undefined) entries.set(span, { ...entry, backsOff: false, until })
    },
    remove: (span) => {
      entries.delete(span)
    },
    clear: () => entries.clear(),
    isBackedOff: (span, now) => {
      const { backsOff = false, until = now } = entries.get(span) ?? {}
      return backsOff && now < until
    },
    list: (write) =>
      [...entries.values()].map(({ span, reason, diagnostic, until }) => ({
        span,
        reason,
        diagnostic,
        until: write(until)
      })),
    next: () => (entries.size === 0 ? null : Math.min(...[...entries.values()].map(({ until }) => until)))
  }
}

/** Milliseconds: 2 s, 6 s, 18 s, 54 s, 162 s, then always 300 s. */
function delayAfter(delay: number | undefined): number {
  return delay === undefined ? firstDelay : Math.min(longestDelay, delay * factor)
}
