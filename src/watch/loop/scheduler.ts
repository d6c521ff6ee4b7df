import type { Trigger } from '../../status/watch-state.ts'

/** When a run is due, in milliseconds of the monotonic clock, and its trigger; null: never. */
export type Deadline = readonly [time: number | null, trigger: Trigger]

/** Wakes at the first of some deadlines. */
export interface Scheduler {
  /** Replaces all deadlines. */
  set(deadlines: readonly Deadline[]): void
  close(): void
}

/** Makes a scheduler without deadlines. */
export function openScheduler(wake: (trigger: Trigger) => void): Scheduler {
  let timer: NodeJS.Timeout | undefined
  const close = () => clearTimeout(timer)
  return {
    close,
    set: (deadlines) => {
      close()
      const [next] = deadlines
        .flatMap(([time, trigger]) => (time === null ? [] : [{ time, trigger }]))
        .sort((a, b) => a.time - b.time)
      if (next !== undefined) timer = setTimeout(wake, Math.max(0, next.time - performance.now()), next.trigger)
    }
  }
}
