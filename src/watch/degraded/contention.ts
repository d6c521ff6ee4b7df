import type { PlannedChange } from '../../plan/plan.ts'

/** Milliseconds, and how often the same has to be put back meanwhile for it to be a tug-of-war. */
const window = 60_000
const limit = 5

/** Knows what is put back again and again. Times are milliseconds of the monotonic clock. */
export interface Contention {
  /** What was put back; gives what of it somebody else undoes each time. */
  note(changes: readonly PlannedChange[], now: number): readonly PlannedChange[]
  /** Until when what was contested of a span has to stay as it is for that to be over; null: it is. */
  suspectedUntil(span: string | null, now: number): number | null
  clear(): void
}

/** What was contested, and when it was last put back. */
interface Contested {
  readonly span: string | null
  readonly last: number
}

/** Makes one that suspects nobody. It forgets what was put back longer ago than counts. */
export function openContention(): Contention {
  const times = new Map<string, readonly number[]>()
  const contested = new Map<string, Contested>()
  const forget = (now: number) => {
    for (const [key, list] of times) if (list.every((time) => time <= now - window)) times.delete(key)
  }
  const note = (key: string, { span }: PlannedChange, now: number): boolean => {
    const recent = [...(times.get(key) ?? []), now].filter((time) => time > now - window).slice(-limit)
    times.set(key, recent)
    if (recent.length < limit && !contested.has(key)) return false
    contested.set(key, { span, last: now })
    return true
  }
  return {
    note: (changes, now) => {
      forget(now)
      return changes.filter((change) => keysOf(change).filter((key) => note(key, change, now)).length > 0)
    },
    suspectedUntil: (span, now) => {
      const mine = [...contested].filter(([, one]) => one.span === span)
      const until = Math.max(0, ...mine.map(([, { last }]) => last + window))
      if (until > now) return until
      for (const [key] of mine) contested.delete(key)
      return null
    },
    clear: () => {
      times.clear()
      contested.clear()
    }
  }
}

/** One for each field that differed, or for the whole where it was not there, or should not have been. */
function keysOf({ address, action, facts }: PlannedChange): string[] {
  const fields = facts.filter(({ changed }) => changed).map(({ key }) => key)
  return (fields.length > 0 ? fields : [action]).map((what) => `${address} ${what}`)
}
