import type { PlannedChange } from '../../plan/plan.ts'

/** A change is contested if it was needed again `limit` times within so many milliseconds. */
const window = 60_000
const limit = 5

/** Recognises changes that another program undoes again and again. Times are milliseconds of the monotonic clock. */
export interface Contention {
  /** Takes the changes that a run has applied, and gives those of them that are contested. */
  add(changes: readonly PlannedChange[], now: number): readonly PlannedChange[]
  /** When the contention of a span is over if no contested change is needed before; null: there is none. */
  suspectedUntil(span: string | null, now: number): number | null
  clear(): void
}

/** When a contested change was last needed. */
interface Contested {
  readonly span: string | null
  readonly last: number
}

/** Makes a record of no changes. It forgets changes that are older than the window. */
export function openContention(): Contention {
  const times = new Map<string, readonly number[]>()
  const contested = new Map<string, Contested>()
  const forgetOld = (now: number) => {
    for (const [key, list] of times) if (list.every((time) => time <= now - window)) times.delete(key)
  }
  const addKey = (key: string, { span }: PlannedChange, now: number): boolean => {
    const recent = [...(times.get(key) ?? []), now].filter((time) => time > now - window).slice(-limit)
    times.set(key, recent)
    if (recent.length < limit && !contested.has(key)) return false
    contested.set(key, { span, last: now })
    return true
  }
  return {
    add: (changes, now) => {
      forgetOld(now)
      return changes.filter((change) => keysOf(change).filter((key) => addKey(key, change, now)).length > 0)
    },
    suspectedUntil: (span, now) => {
      const ofSpan = [...contested].filter(([, one]) => one.span === span)
      const until = Math.max(0, ...ofSpan.map(([, { last }]) => last + window))
      if (until > now) return until
      for (const [key] of ofSpan) contested.delete(key)
      return null
    },
    clear: () => {
      times.clear()
      contested.clear()
    }
  }
}

/** One key for each field that differed; where the resource itself was missing, or should not have been there, one for the action. */
function keysOf({ address, action, facts }: PlannedChange): string[] {
  const fields = facts.filter(({ changed }) => changed).map(({ key }) => key)
  return (fields.length > 0 ? fields : [action]).map((field) => `${address} ${field}`)
}
