import { EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Trigger } from '../../status/watch-state.ts'
import { throttleAfter } from './throttle.ts'

/** Does one run at a time, with at most one more queued. */
export interface RunQueue {
  /** Queues a run: it begins at once, or after the run under way. A run that is queued already takes the trigger along. */
  wake(trigger: Trigger): void
  /** Settles at the next call of wake(), for a run that takes long. */
  nextWake(): Promise<unknown>
  /** When the run under way began, in milliseconds of the monotonic clock; null: there is none. */
  busySince(): number | null
  /** When the last run ended, or the queue was made, in milliseconds of the monotonic clock. */
  lastEnd(): number
  /** Begins no further run; settles when the run under way has ended. */
  close(): Promise<void>
}

/**
 * Makes an empty queue. Runs that follow each other directly are throttled.
 *
 * @param work one run; it gets its triggers, each once, in their order.
 * @param fail gets what a run throws. No run follows it.
 */
export function openRunQueue(
  work: (triggers: readonly Trigger[]) => Promise<void>,
  fail: (error: unknown) => void
): RunQueue {
  const queued = new Set<Trigger>()
  const wakes = new EventEmitter()
  const stop = new AbortController()
  let busySince: number | null = null
  let lastEnd = performance.now()
  let loop: Promise<void> | null = null
  const runAll = async () => {
    for (let streak = 0; queued.size > 0 && !stop.signal.aborted; streak++) {
      const triggers = [...queued]
      queued.clear()
      const began = performance.now()
      busySince = began
      await work(triggers)
      busySince = null
      lastEnd = performance.now()
      const pause = throttleAfter(lastEnd - began, streak)
      await sleep(pause, undefined, { signal: stop.signal }).catch(() => undefined)
    }
    // In the same tick as the check of the queue: a wake() in between would be lost.
    loop = null
  }
  return {
    wake: (trigger) => {
      if (stop.signal.aborted) return
      queued.add(trigger)
      wakes.emit('wake')
      loop ??= runAll().catch((error: unknown) => {
        stop.abort()
        fail(error)
      })
    },
    nextWake: () => once(wakes, 'wake'),
    busySince: () => busySince,
    lastEnd: () => lastEnd,
    close: async () => {
      stop.abort()
      await loop
    }
  }
}
