/** Detached windows whose apply or unit was killed. */

import { type Diagnostic, Exit, SpanplanError } from '../../errors.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { lockPatience } from '../../run-dir/lock-limits.ts'
import { rollBackApply } from '../executor.ts'
import { silent } from '../run-steps.ts'
import { carryOut } from './await-decision.ts'
import { type Answer, sendDecision } from './decision-socket.ts'
import { endMarkedPrograms } from './marked-programs.ts'
import {
  type OpenWindow,
  readWindow,
  recordEnd,
  recordEvent,
  removeWindow,
  restoreWindow,
  windowUnreadable
} from './window-record.ts'
import { confirmedEnd, type Decision, exitOfEnd, next, type WindowEnd } from './window-transitions.ts'

/** Milliseconds after its time for which a window that was left can be rolled back. Later, the host has gone on without it. */
const leftFor = 3_600_000

/** The window that a killed process has left; null: there is none. The caller holds the lock. */
export function readLeftWindow(): OpenWindow | null {
  const window = readWindow()
  if (window === null || window.phase === 'ended' || window.phase === 'unreadable') return null
  return Date.now() < Date.parse(window.since) + window.milliseconds + leftFor ? window : null
}

/**
 * Ends what a killed process has left: rolls back an apply that nobody has confirmed, and installs the file of one that somebody
 * has. The caller holds the lock.
 *
 * @param event why it is ended.
 * @returns how one has ended that somebody has confirmed.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back, completely or not; WINDOW_UNREADABLE if it cannot be.
 */
export async function recoverWindow(window: OpenWindow, event: 'killed' | 'rollback'): Promise<WindowEnd> {
  const { id, phase, install } = window
  // What a killed apply has started would change the host after the rollback.
  if (phase === 'applying') await endMarkedPrograms(id)
  const rollBack = async (reason: Diagnostic) => {
    const { target, first } = restoreWindow(window)
    return rollBackApply(target, first, silent, reason, Exit.rolledBack)
  }
  await recordEnd(window, () => carryOut(next(window, event), install, rollBack, () => undefined))
  return confirmedEnd(install)
}

/** An apply that is no window's changes the host: what a killed unit has left is no way back any more. The caller holds the lock. */
export function forgetLeftWindow(): void {
  if (readWindow()?.phase === 'unreadable') removeWindow()
  const left = readLeftWindow()
  if (left !== null) recordEvent(left, 'superseded')
}

/**
 * Decides on a window: one that waits, one that has ended, or one that a killed unit has left.
 *
 * @param id null: whichever there is.
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER, RIGHT_MISSING, LOCKED, WINDOW_UNREADABLE.
 */
export async function decideWindow(decision: Decision, id: string | null): Promise<Answer> {
  try {
    return await sendDecision(decision, id)
  } catch (error) {
    if (!(error instanceof SpanplanError && error.diagnostics.some(({ code }) => code === 'NOTHING_WAITS'))) throw error
    const isRecovered = decision === 'rollback' && (await recoverLeft(id))
    const window = readWindow()
    if (window?.phase === 'unreadable') throw windowUnreadable(id)
    if (window?.phase !== 'ended' || (window.id !== id && !isRecovered)) throw error
    const { phase, id: ended, code, ...end } = window
    // Whatever an apply was rolled back for is over, if nothing is left of the apply.
    const isOver = code === undefined || exitOfEnd(window) === Exit.rolledBack
    return { ...end, window: ended, ...(!isOver && { code }) }
  }
}

/** Whether there was a window to roll back. */
async function recoverLeft(id: string | null): Promise<boolean> {
  const left = readLeftWindow()
  if (left === null || (id !== null && left.id !== id)) return false
  const lock = await takeLock({ timeout: lockPatience.leftWindow })
  try {
    const still = readLeftWindow()
    if (still?.id === left.id) await recoverWindow(still, 'rollback')
    return true
  } catch (error) {
    if (!(error instanceof SpanplanError && error.exit === Exit.rolledBack)) throw error
    return true
  } finally {
    lock.release()
  }
}
