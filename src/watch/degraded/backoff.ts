import type { Degraded } from '../../status/watch-state.ts'

/** Milliseconds from a failure to the next try; it grows by the factor each time. */
const firstDelay = 2000
const growth = 3
const longestDelay = 300_000

/** Why a span is not kept true, and until when it is left alone. */
interface Trouble extends Pick<Degraded, 'span' | 'reason' | 'diagnostic'> {
  /** It is not even tried before. Else it is tried whenever there is a run, because that costs nothing. */
  readonly rests: boolean
}

interface Entry extends Trouble {
  readonly delay: number
  /** Milliseconds of the monotonic clock, as all times here. */
  readonly until: number
}

/** What stands in the way of which spans; null: of all of them. */
export interface Backoff {
  /** The span failed, again or for the first time. */
  add(trouble: Trouble, now: number): void
  /** The span does not fail any more, but may again until then: it stays on the list, and is tried whenever there is a run. */
  watch(span: string | null, until: number): void
  /** The span does not fail any more. */
  end(span: string | null): void
  /** Everything is tried at once. */
  clear(): void
  /** Whether the span is left alone now. */
  rests(span: string | null, now: number): boolean
  /** @param write gives a time as ISO 8601. */
  list(write: (time: number) => string): readonly Degraded[]
  /** When the next one is to be tried; null: there is none. */
  next(): number | null
}

/** Makes an empty list. */
export function openBackoff(): Backoff {
  const entries = new Map<string | null, Entry>()
  return {
    add: (trouble, now) => {
      const before = entries.get(trouble.span)
      // One that is tried out of turn does not come later for that.
      const early = before !== undefined && now < before.until && (before.rests || !trouble.rests)
      const delay = early ? before.delay : delayAfter(before?.delay)
      entries.set(trouble.span, { ...trouble, delay, until: early ? before.until : now + delay })
    },
    watch: (span, until) => {
      const entry = entries.get(span)
      if (entry !== undefined) entries.set(span, { ...entry, rests: false, until })
    },
    end: (span) => {
      entries.delete(span)
    },
    clear: () => entries.clear(),
    rests: (span, now) => {
      const { rests = false, until = now } = entries.get(span) ?? {}
      return rests && now < until
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
  return delay === undefined ? firstDelay : Math.min(longestDelay, delay * growth)
}
