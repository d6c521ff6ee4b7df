import { EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Trigger } from '../../status/watch-state.ts'
import { throttleAfter } from './throttle.ts'

/** Runs one at a time, and never forgets that there is to be one more. */
export interface RunQueue {
  /** One run more, at once or after the one that goes on: however many wake it meanwhile, it is one. */
  wake(trigger: Trigger): void
  /** Settles when it is woken from now on: for a run that takes long, and would like to know. */
  news(): Promise<unknown>
  /** When the run under way began, in milliseconds of the monotonic clock; null: none is. */
  busySince(): number | null
  /** When the last run ended, or the latch was made, likewise. */
  lastEnd(): number
  /** No more runs; settles once the one under way has ended. */
  close(): Promise<void>
}

/**
 * Makes a latch. The first that wakes it after a rest starts a run at once.
 *
 * @param work one run; it is told all that woke it, each once, in their order.
 * @param fail gets what a run throws, after which there are no more.
 */
export function openRunQueue(
  work: (triggers: readonly Trigger[]) => Promise<void>,
  fail: (error: unknown) => void
): RunQueue {
  const waiting = new Set<Trigger>()
  const wakes = new EventEmitter()
  const stop = new AbortController()
  let busySince: number | null = null
  let lastEnd = performance.now()
  let loop: Promise<void> | null = null
  const runAll = async () => {
    for (let streak = 0; waiting.size > 0 && !stop.signal.aborted; streak++) {
      const triggers = [...waiting]
      waiting.clear()
      const began = performance.now()
      busySince = began
      await work(triggers)
      busySince = null
      lastEnd = performance.now()
      const rest = throttleAfter(lastEnd - began, streak)
      await sleep(rest, undefined, { signal: stop.signal }).catch(() => undefined)
    }
    // At once, so that nothing can wake it in between and be forgotten.
    loop = null
  }
  return {
    wake: (trigger) => {
      if (stop.signal.aborted) return
      waiting.add(trigger)
      wakes.emit('wake')
      loop ??= runAll().catch((error: unknown) => {
        stop.abort()
        fail(error)
      })
    },
    news: () => once(wakes, 'wake'),
    busySince: () => busySince,
    lastEnd: () => lastEnd,
    close: async () => {
      stop.abort()
      await loop
    }
  }
}
