import { sendDecision } from '../../apply/commit-confirm.ts'
import { readLeftWindow, recoverWindow } from '../../apply/window.ts'
import { Exit, SpanplanError } from '../../errors.ts'
import { printableLines } from '../../printable.ts'
import { type Lock, readHolder, windowLock } from '../../run-dir/lock.ts'
import { printEvent } from '../output/progress.ts'
import type { Session } from '../session.ts'

/**
 * Takes the lock. A detached window of an earlier apply, which nobody has confirmed, is rolled back before: it must not keep the
 * next apply from its work. One that waits at a terminal stays.
 *
 * @throws SpanplanError LOCKED, and what else `take` throws.
 */
export async function lockAfterWindow(session: Session, take: () => Promise<Lock>): Promise<Lock> {
  const lock = await take().catch(async (error: unknown) => {
    const window = isLocked(error) ? readHolder(windowLock) : null
    if (window?.window === undefined || window.waits_until === undefined) throw error
    const { message } = await sendDecision('rollback', window.window)
    report(session, window.window, message)
    return take()
  })
  const left = readLeftWindow()
  if (left === null) return lock
  try {
    await recoverWindow(left, 'the unit that held the window was killed')
    return lock
  } catch (error) {
    if (error instanceof SpanplanError && error.exit === Exit.rolledBack) {
      report(session, left.id, error.message)
      return lock
    }
    lock.release()
    throw error
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof SpanplanError && error.exit === Exit.locked
}

function report(session: Session, id: string, message: string): void {
  process.stderr.write(`the window ${id} of an earlier apply: ${printableLines(message)}\n`)
  if (session.json) printEvent('window_rolled_back', { id, message })
}
