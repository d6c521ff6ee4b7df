import { type Answer, sendDecision } from '../../apply/window/decision-socket.ts'
import { readLeftWindow, recoverWindow } from '../../apply/window/left-window.ts'
import { Exit, SpanplanError } from '../../errors.ts'
import { printableLines } from '../../printable.ts'
import type { Lock } from '../../run-dir/lock.ts'
import { readHolder, windowLock } from '../../run-dir/lock-holder.ts'
import { lockPatience } from '../../run-dir/lock-limits.ts'
import { clearActivity, during } from '../output/activity.ts'
import { printEvent } from '../output/progress.ts'
import type { Session } from '../session.ts'

/**
 * Takes the lock. A detached window of an earlier apply, which nobody has confirmed, is rolled back before: it must not keep the
 * next apply from its work. One that waits at a terminal stays.
 *
 * @throws SpanplanError LOCKED, and what else `take` throws.
 */
export async function lockAfterWindow(session: Session, take: (patience?: number) => Promise<Lock>): Promise<Lock> {
  const lock = await take().catch(async (error: unknown) => {
    const isLocked = error instanceof SpanplanError && error.exit === Exit.locked
    const id = isLocked ? readHolder(windowLock)?.window : undefined
    if (id === undefined) throw error
    const deciding = sendDecision('rollback', id).catch(ignoreEnded)
    const answer = await during(session, rollingBack, deciding)
    if (answer !== null) report(session, answer)
    return take(lockPatience.endedWindow)
  })
  const left = readLeftWindow()
  if (left === null) return lock
  try {
    report(session, { window: left.id, ...(await during(session, rollingBack, recoverWindow(left, 'killed'))) })
    return lock
  } catch (error) {
    if (error instanceof SpanplanError && error.exit === Exit.rolledBack) {
      report(session, { window: left.id, confirmed: false, message: error.message })
      return lock
    }
    lock.release()
    throw error
  }
}

/** What goes on meanwhile. */
const rollingBack = 'Rolling back what nobody has confirmed'

/** The window may have ended meanwhile. */
function ignoreEnded(error: unknown): null {
  if (error instanceof SpanplanError && error.diagnostics.some(({ code }) => code === 'NOTHING_WAITS')) return null
  throw error
}

function report(session: Session, { window: id, confirmed, message }: Answer): void {
  clearActivity()
  process.stderr.write(`the window ${id} of an earlier apply: ${printableLines(message)}\n`)
  if (session.json) printEvent(confirmed ? 'window_confirmed' : 'window_rolled_back', { id, message })
}
