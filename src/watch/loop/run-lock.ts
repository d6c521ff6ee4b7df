import type { KeptLock } from '../../run-dir/kept-lock.ts'
import type { Lock } from '../../run-dir/lock.ts'
import { lockPatience } from '../../run-dir/lock-limits.ts'

/**
 * What a run plans with is no longer true: another process has changed it while the run had given the lock back, or interfaces were
 * renamed. Nothing may be changed by that plan.
 */
export class Overtaken extends Error {}

/**
 * Makes the lock of the runs of a watch: one run at a time holds it, and gives it back while that run waits for something.
 *
 * @param signal ends the waiting for the lock.
 */
export function openRunLock(lock: KeptLock, signal: AbortSignal) {
  let held: Lock | null = null
  const take = async () => {
    held = await lock.take({ timeout: lockPatience.watch, signal })
  }
  const release = () => {
    held?.release()
    held = null
  }
  return {
    take,
    release,
    /**
     * Waits without the lock, where it is held.
     *
     * @throws SpanplanError where the lock cannot be had again.
     */
    wait: async (waiting: Promise<unknown>): Promise<void> => {
      const wasHeld = held !== null
      release()
      await waiting
      if (wasHeld) await take()
    }
  }
}
