/**
 * Detached windows, as the apply sees them. A unit of systemd waits for the confirmation. It is started before the first change, and
 * has a lock of its own. As long as the apply runs, the unit waits for the apply's lock: it gets that lock when the apply has
 * ended, or was killed. The record in the run directory says which.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { diagnostic, Exit, SpanplanError } from '../../errors.ts'
import { startTransientUnit, type TransientUnit } from '../../host/transient-unit.ts'
import { isHeld } from '../../run-dir/lock.ts'
import { readHolder, windowLock } from '../../run-dir/lock-holder.ts'
import { markPrograms } from './marked-programs.ts'
import { type OpenWindow, readWindow, recordEvent, windowUnreadable, writeWindow } from './window-record.ts'
import { exitOfEnd } from './window-transitions.ts'

/** Milliseconds for a unit to start, and again to open the window. */
const unitPatience = 30_000

/** Milliseconds between two looks at the unit. */
const interval = 20

/** The program that holds a window, and what it takes to run it. */
export type WindowProgram = Pick<TransientUnit, 'argv' | 'environment'>

/** A new id for a window: nobody can guess it, and it is short enough to be typed. */
export function makeWindowId(): string {
  return randomBytes(4).toString('hex')
}

/** The name of the unit of a window. */
export function unitOf(id: string): string {
  return `spanplan-window-${id}.service`
}

/**
 * Records a window, and starts its unit. From now on, the unit knows the programs of this process, should this one be killed. The
 * caller holds the lock, and has changed nothing yet.
 *
 * @throws SpanplanError DETACH_IMPOSSIBLE, FILE_UNWRITABLE. Then there is no window.
 */
export async function startWindow(window: OpenWindow, program: WindowProgram): Promise<void> {
  const { id } = window
  writeWindow(window)
  try {
    const description = `spanplan: window ${id} of an apply that waits for confirmation`
    await startTransientUnit({ name: unitOf(id), description, ...program })
    const hasBegun = await awaitUnit(() => isHeldByUnit(id))
    if (!hasBegun) throw windowLost(id, 'it has not begun to hold the window')
    markPrograms(id)
  } catch (failed) {
    recordEvent(window, { failed })
    throw failed
  }
}

/**
 * Leaves an apply that is done to the unit of its window. The caller releases the lock, and then waits for the window.
 *
 * @throws SpanplanError DETACH_IMPOSSIBLE if the unit has ended meanwhile, FILE_UNWRITABLE: the window is still the caller's.
 */
export async function handOver(window: OpenWindow): Promise<void> {
  if (!(await isHeldByUnit(window.id))) throw windowLost(window.id, 'it was ended before the window was open')
  recordEvent(window, 'applied')
}

/**
 * Waits until the unit waits for a decision.
 *
 * @returns until when it waits; null: somebody has confirmed it already.
 * @throws SpanplanError if the window has ended otherwise, with the code of that; WINDOW_UNREADABLE, DETACH_IMPOSSIBLE.
 */
export async function awaitOpenWindow(id: string): Promise<Date | null> {
  let until: string | undefined
  await awaitUnit(async () => {
    const holder = readHolder(windowLock)
    if (holder?.window === id) until = holder.waits_until
    return until !== undefined || !(await isHeld(windowLock))
  })
  if (until !== undefined) return new Date(until)
  const window = readWindow()
  if (window?.phase === 'unreadable') throw windowUnreadable(id)
  if (window?.phase !== 'ended' || window.id !== id) {
    throw windowLost(id, 'it has ended, or has not opened the window in time', Exit.partial)
  }
  if (window.confirmed) return null
  const { code = 'NOT_CONFIRMED', message } = window
  throw new SpanplanError(diagnostic(code, message, `see journalctl -u ${unitOf(id)}`), exitOfEnd(window))
}

async function isHeldByUnit(id: string): Promise<boolean> {
  return readHolder(windowLock)?.window === id && (await isHeld(windowLock))
}

/** Whether it is so in time. */
async function awaitUnit(isSo: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + unitPatience
  while (!(await isSo())) {
    if (performance.now() > deadline) return false
    await sleep(interval)
  }
  return true
}

/** @param exit `partial`: the changes were made, and may still be there. */
function windowLost(id: string, reason: string, exit?: typeof Exit.partial): SpanplanError {
  const message = `the unit ${unitOf(id)} cannot hold the window: ${reason}`
  const more = exit === undefined ? '' : `, and whether the changes are still there: spanplan rollback ${id}`
  return new SpanplanError(diagnostic('DETACH_IMPOSSIBLE', message, `see journalctl -u ${unitOf(id)}${more}`), exit)
}
