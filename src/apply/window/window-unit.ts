/** Detached windows, as their unit sees them. */

import { takeLock } from '../../run-dir/lock.ts'
import { windowLock } from '../../run-dir/lock-holder.ts'
import { lockPatience } from '../../run-dir/lock-limits.ts'
import { silent } from '../run-steps.ts'
import { confirmOrRollBack } from './await-decision.ts'
import { recoverWindow } from './left-window.ts'
import {
  type OpenWindow,
  readWindow,
  recordEnd,
  recordEvent,
  restoreWindow,
  windowUnreadable
} from './window-record.ts'
import { confirmedEnd } from './window-transitions.ts'

/**
 * Holds a window in its unit, until somebody decides, or time is up.
 *
 * @param signal rolls the apply back.
 * @returns what is said of it; null: the apply has ended by itself.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back; WINDOW_UNREADABLE if it cannot be.
 */
export async function holdWindow(id: string, signal: AbortSignal): Promise<string | null> {
  const lock = await takeLock({ kind: windowLock, timeout: lockPatience.unit, signal })
  try {
    lock.announce({ window: id })
    const begin = async () => {
      const window = readWindow()
      if (window?.phase === 'unreadable') throw windowUnreadable(id)
      if (window === null || window.phase === 'ended' || window.id !== id) return null
      // Before, this unit was killed, or the apply was.
      return window.phase === 'open' ? beginToHold(window) : recoverWindow(window, 'killed')
    }
    const held = await whileLocked(begin, signal)
    if (held === null || 'message' in held) return held?.message ?? null
    const { window, ...restored } = held
    // Not interrupted: what has to be done at the end is done.
    const exclusively = <T>(work: () => Promise<T>) => whileLocked(() => recordEnd(window, work))
    const meanwhile = <T>(work: () => Promise<T>) => whileLocked(work, signal)
    const onConfirmed = () => recordEvent(window, 'confirm')
    const apply = { id, ...restored, progress: silent, lock, install: window.install }
    await confirmOrRollBack({ ...apply, exclusively, meanwhile, onConfirmed }, window.milliseconds, () => null, signal)
    return confirmedEnd(window.install).message
  } finally {
    lock.release()
  }
}

function beginToHold(window: OpenWindow) {
  try {
    const restored = restoreWindow(window)
    try {
      recordEvent(window, 'held')
    } catch {
      // The disk is full: a unit that is killed and started again holds the window for its whole time once more.
    }
    const held: OpenWindow = { ...window, phase: 'held' }
    return { window: held, ...restored }
  } catch (failed) {
    recordEvent(window, { failed })
    throw failed
  }
}

async function whileLocked<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const lock = await takeLock({ timeout: Number.POSITIVE_INFINITY, duringWindow: true, signal })
  try {
    return await work()
  } finally {
    lock.release()
  }
}
