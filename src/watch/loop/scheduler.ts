import type { Trigger } from '../../status/watch-state.ts'

/** A time, in milliseconds of the monotonic clock, and what it is then time for; null: never. */
export type Deadline = readonly [time: number | null, trigger: Trigger]

/** Wakes when the first of some times has come. */
export interface NextWake {
  /** Instead of those before. */
  set(appointments: readonly Deadline[]): void
  close(): void
}

/** Makes one that is not set. */
export function openNextWake(wake: (trigger: Trigger) => void): NextWake {
  let timer: NodeJS.Timeout | undefined
  const close = () => clearTimeout(timer)
  return {
    close,
    set: (appointments) => {
      close()
      const [next] = appointments
        .flatMap(([time, trigger]) => (time === null ? [] : [{ time, trigger }]))
        .sort((a, b) => a.time - b.time)
      if (next !== undefined) timer = setTimeout(wake, Math.max(0, next.time - performance.now()), next.trigger)
    }
  }
}
