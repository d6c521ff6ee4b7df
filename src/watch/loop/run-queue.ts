import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Trigger } from '../../status/watch-state.ts'

/** When a run is due, in milliseconds of the monotonic clock, and its trigger; Infinity: never. */
export type Deadline = readonly [time: number, trigger: Trigger]

/**
 * Makes an empty queue: it does one run at a time, with at most one more queued. Runs that follow each other directly are
 * throttled.
 *
 * @param work one run; it gets its triggers, each once, in their order, and gives when the next runs are due.
 * @param fail gets what a run throws. No run follows it.
 */
export function openRunQueue(
  work: (triggers: readonly Trigger[]) => Promise<readonly Deadline[]>,
  fail: (error: unknown) => void
) {
  const queued = new Set<Trigger>()
  const wakes = new EventEmitter()
  const stop = new AbortController()
  let busySince: number | null = null
  /** Milliseconds that the run under way has waited for something. */
  let idleTime = 0
  let lastEnd = performance.now()
  /** How many runs came directly before the next one. */
  let streak = 0
  /** When a storm is over if nothing has come since the last run, in milliseconds of the monotonic clock. */
  let calmAt = -Infinity
  let loop: Promise<void> | null = null
  let timer: NodeJS.Timeout | undefined
  /** Queues a run: it begins at once, or after the run under way. A run that is queued already takes the trigger along. */
  const wake = (trigger: Trigger) => {
    if (stop.signal.aborted) return
    queued.add(trigger)
    wakes.emit('wake', trigger)
    loop ??= runAll().catch((error: unknown) => {
      stop.abort()
      fail(error)
    })
  }
  const wakeAtFirst = (deadlines: readonly Deadline[]) => {
    clearTimeout(timer)
    const [next] = deadlines.filter(([time]) => time < Infinity).sort(([one], [other]) => one - other)
    if (next !== undefined) timer = setTimeout(wake, Math.max(0, next[0] - performance.now()), next[1])
  }
  const runAll = async () => {
    if (performance.now() >= calmAt) streak = 0
    for (; queued.size > 0 && !stop.signal.aborted; streak++) {
      const triggers = [...queued]
      queued.clear()
      const began = performance.now()
      busySince = began
      idleTime = 0
      wakeAtFirst(await work(triggers))
      busySince = null
      lastEnd = performance.now()
      const took = lastEnd - began - idleTime
      calmAt = lastEnd + fullPause(took)
      await sleep(throttleAfter(took, streak, idleTime), undefined, { signal: stop.signal }).catch(() => undefined)
    }
    // In the same tick as the check of the queue: a wake() in between would be lost.
    loop = null
  }
  return {
    wake,
    /** Waits, as a part of the run under way that is no work: it counts as a part of the pause after that run. */
    idle: async (waiting: Promise<unknown>): Promise<void> => {
      const began = performance.now()
      await waiting.finally(() => {
        idleTime += performance.now() - began
      })
    },
    /** Gives the trigger of the next call of wake(), for a run that takes long. */
    nextWake: () =>
      new Promise<Trigger>((resolve) => {
        wakes.once('wake', resolve)
      }),
    /** The triggers of the run that follows the one under way. */
    queued: (): readonly Trigger[] => [...queued],
    /** When the run under way began, in milliseconds of the monotonic clock; null: there is none. */
    busySince: () => busySince,
    /** When the last run ended, or the queue was made, in milliseconds of the monotonic clock. */
    lastEnd: () => lastEnd,
    /** Begins no further run; settles when the run under way has ended. */
    close: async () => {
      stop.abort()
      await loop
      clearTimeout(timer)
    }
  }
}

/** Milliseconds to pause after each of the first runs of a streak: what a run changes wakes the next one, and interfaces come in steps. */
const quickPause = 10

/** Milliseconds. Even a storm of events makes no more runs than these pauses leave room for. */
const shortestPause = 100
const longestPause = 1000

/** The first runs of a streak: sensors restart one after another. */
const mostQuick = 3

/** Milliseconds: the pause after a run of a storm; where nothing has come for as long, the streak is over. */
export const fullPause = (milliseconds: number) => Math.max(shortestPause, milliseconds / 2)

/**
 * Milliseconds to pause after a run: a moment after the first ones of a streak; then half of its duration, doubled with each.
 *
 * @param milliseconds the duration of the run.
 * @param streak how many runs came directly before it.
 * @param waited the milliseconds that the run has waited besides: they are a part of the pause.
 */
export function throttleAfter(milliseconds: number, streak: number, waited = 0): number {
  if (streak + 1 < mostQuick) return quickPause
  const pause = Math.min(longestPause, fullPause(milliseconds) * 2 ** Math.min(20, streak + 1 - mostQuick))
  return Math.max(quickPause, pause - waited)
}
