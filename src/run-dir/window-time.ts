import { readHolder, secondsLeft, windowLock } from './lock-holder.ts'

/** A window: the time in which an apply that is done can be confirmed, or rolled back. */
export interface WindowTime {
  readonly id: string
  /** ISO 8601. */
  readonly until: string
}

/** Reads which window is open, at a terminal or in a unit; null: none. */
export function readWindowTime(): WindowTime | null {
  for (const holder of [readHolder(), readHolder(windowLock)]) {
    if (holder?.window === undefined || holder.waits_until === undefined) continue
    if (secondsLeft(holder) > 0) return { id: holder.window, until: holder.waits_until }
  }
  return null
}
