/**
 * Detached windows: an apply whose confirmation a unit of systemd waits for. The unit is started before the first change, and
 * has a lock of its own. As long as the apply runs, the unit waits for the apply's lock: it gets that lock when the apply has
 * ended, or was killed. The record in the run directory says which.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { asForeseen, type Diagnostic, diagnostic, diagnosticOf, Exit, type ExitCode, SpanplanError } from '../errors.ts'
import { startTransientUnit, type TransientUnit } from '../host/transient-unit.ts'
import type { Code } from '../messages.ts'
import { isUnitHolding, readHolder, takeLock, windowLock } from '../run-dir/lock.ts'
import { type Answer, confirmedMessage, confirmOrRollBack, type Decision, sendDecision } from './commit-confirm.ts'
import { rollBackApply } from './executor.ts'
import { installFile } from './install-file.ts'
import { endMarkedPrograms, markPrograms } from './marked-programs.ts'
import { silent } from './run-steps.ts'
import {
  type EndedWindow,
  type OpenWindow,
  readWindow,
  removeWindow,
  restoreWindow,
  windowUnreadable,
  writeWindow
} from './window-record.ts'

/** Milliseconds for a unit to start, and again to open the window. */
const unitPatience = 30_000

/** Milliseconds between two looks at the unit. */
const interval = 20

/** Milliseconds for a lock that another process has only to look whether it is held. */
const probePatience = 5000

/** Milliseconds after its time for which a window that was left can be rolled back. Later, the host has gone on without it. */
const leftFor = 3_600_000

/** The program that holds a window, and what it takes to run it. */
export type WindowProgram = Pick<TransientUnit, 'argv' | 'environment'>

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
    const isHeld = await awaitUnit(() => isHeldByUnit(id))
    if (!isHeld) throw windowLost(id, 'it has not begun to hold the window')
    markPrograms(id)
  } catch (error) {
    failWindow(id, error)
    throw error
  }
}

/** Records that the apply of a window has failed. The caller holds the lock. */
export function failWindow(id: string, error: unknown): void {
  const code = failureCodes.get(asForeseen(error).exit)
  endWindow({ id, confirmed: false, message: diagnosticOf(error).message, ...(code !== undefined && { code }) })
}

/** By the exit status of an error after which not everything is as it was before: the code of that. */
const failureCodes: ReadonlyMap<ExitCode, Code> = new Map([
  [Exit.partial, 'ROLLBACK_PARTIAL'],
  [Exit.bug, 'BUG']
])

/** Records how a window has ended. The caller holds the lock. */
function endWindow(end: Omit<EndedWindow, 'phase'>): void {
  try {
    writeWindow({ phase: 'ended', ...end })
  } catch {
    // The disk is full. Without a record, nobody takes the window for one that is left.
    removeWindow()
  }
}

/**
 * Leaves an apply that is done to the unit of its window. The caller releases the lock, and then waits for the window.
 *
 * @throws SpanplanError DETACH_IMPOSSIBLE if the unit has ended meanwhile: the window is still the caller's.
 */
export async function handOver(window: OpenWindow): Promise<void> {
  if (!(await isHeldByUnit(window.id))) throw windowLost(window.id, 'it was ended before the window was open')
  writeWindow({ ...window, phase: 'open' })
}

/**
 * Waits until the unit waits for a decision.
 *
 * @returns until when it waits; null: somebody has confirmed it already.
 * @throws SpanplanError NOT_CONFIRMED or ROLLBACK_PARTIAL if the window has ended already; WINDOW_UNREADABLE, DETACH_IMPOSSIBLE.
 */
export async function awaitOpenWindow(id: string): Promise<Date | null> {
  let until: string | undefined
  await awaitUnit(async () => {
    const holder = readHolder(windowLock)
    if (holder?.window === id) until = holder.waits_until
    return until !== undefined || !(await isUnitHolding())
  })
  if (until !== undefined) return new Date(until)
  const window = readWindow()
  if (window?.phase === 'unreadable') throw windowUnreadable(id)
  if (window?.phase !== 'ended' || window.id !== id) {
    throw windowLost(id, 'it has ended, or has not opened the window in time', Exit.partial)
  }
  const { confirmed, message, code = 'NOT_CONFIRMED' } = window
  if (confirmed) return null
  const exit = code === 'NOT_CONFIRMED' ? Exit.rolledBack : Exit.partial
  throw new SpanplanError(diagnostic(code, message, `see journalctl -u ${unitOf(id)}`), exit)
}

async function isHeldByUnit(id: string): Promise<boolean> {
  return readHolder(windowLock)?.window === id && (await isUnitHolding())
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

/** Who was killed, by the phase in which the window was left. */
const killed = {
  applying: 'the apply was killed',
  open: 'the unit of the window was killed',
  held: 'the unit of the window was killed',
  confirmed: 'the unit of the window was killed'
} as const

/**
 * Holds a window in its unit, until somebody decides, or time is up.
 *
 * @param command the command of this process, for those who find its locks held.
 * @param signal rolls the apply back.
 * @returns what is said of it; null: the apply has ended by itself.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back; WINDOW_UNREADABLE if it cannot be.
 */
export async function holdWindow(id: string, command: string, signal: AbortSignal): Promise<string | null> {
  const lock = await takeLock({ kind: windowLock, command, timeout: probePatience, signal })
  try {
    lock.announce({ window: id })
    const begin = async () => {
      const window = readWindow()
      if (window?.phase === 'unreadable') throw windowUnreadable(id)
      if (window === null || window.phase === 'ended' || window.id !== id) return null
      // Before, this unit was killed, or the apply was.
      return window.phase === 'open' ? beginToHold(window) : recoverWindow(window)
    }
    const held = await whileLocked(command, signal, begin)
    if (held === null || typeof held === 'string') return held
    const { window, ...restored } = held
    const exclusively = <T>(work: () => Promise<T>) => {
      const end = () => recordEnd(window, work)
      // Not interrupted: what has to be done at the end is done.
      return whileLocked(command, new AbortController().signal, end)
    }
    const meanwhile = <T>(work: () => Promise<T>) => whileLocked(command, signal, work)
    const onConfirmed = () => writeWindow({ ...window, phase: 'confirmed' })
    const apply = { id, ...restored, progress: silent, lock, install: window.install }
    await confirmOrRollBack({ ...apply, exclusively, meanwhile, onConfirmed }, window.milliseconds, () => null, signal)
    return confirmedMessage(window.install)
  } finally {
    lock.release()
  }
}

function beginToHold(window: OpenWindow) {
  try {
    const held = { window, ...restoreWindow(window) }
    tryToRecordHeld(window)
    return held
  } catch (error) {
    failWindow(window.id, error)
    throw error
  }
}

/** Where the disk is full, a unit that is killed and started again holds the window for its whole time once more. */
function tryToRecordHeld(window: OpenWindow): void {
  try {
    writeWindow({ ...window, phase: 'held' })
  } catch {
    // The record says `open`, as before.
  }
}

async function whileLocked<T>(command: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock({ command, timeout: Number.POSITIVE_INFINITY, signal, duringWindow: true })
  try {
    return await work()
  } finally {
    lock.release()
  }
}

async function recordEnd<T>({ id, install }: OpenWindow, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work()
    const installed = install !== null && { installed: install.path }
    endWindow({ id, confirmed: true, message: confirmedMessage(install), ...installed })
    return result
  } catch (error) {
    failWindow(id, error)
    throw error
  }
}

/** The window that a killed unit has left; null: there is none. The caller holds the lock. */
export function readLeftWindow(): OpenWindow | null {
  const window = readWindow()
  if (window === null || window.phase === 'ended' || window.phase === 'unreadable') return null
  return Date.now() < Date.parse(window.since) + window.milliseconds + leftFor ? window : null
}

/**
 * Ends what a killed process has left: rolls back an apply that nobody has confirmed, and installs the file of one that somebody
 * has. The caller holds the lock.
 *
 * @param reason why it is done; by default, who was killed.
 * @returns what is said of one that somebody has confirmed.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back, completely or not; WINDOW_UNREADABLE if it cannot be.
 */
export async function recoverWindow(window: OpenWindow, reason: string = killed[window.phase]): Promise<string> {
  // What a killed apply has started would change the host after the rollback.
  if (window.phase === 'applying') await endMarkedPrograms(window.id)
  const rollBack = async (why: Diagnostic) => {
    const { target, first } = restoreWindow(window)
    return rollBackApply(target, first, silent, why, Exit.rolledBack)
  }
  return recordEnd(window, async () => {
    if (window.phase !== 'confirmed' || window.install === null) {
      return rollBack(diagnostic('NOT_CONFIRMED', reason))
    }
    try {
      installFile(window.install)
      return confirmedMessage(window.install)
    } catch (error) {
      return rollBack(diagnosticOf(error))
    }
  })
}

/** An apply that is no window's changes the host: what a killed unit has left is no way back any more. The caller holds the lock. */
export function forgetLeftWindow(): void {
  if (readWindow()?.phase === 'unreadable') removeWindow()
  const left = readLeftWindow()
  if (left === null) return
  const message = 'it was not rolled back: its unit was killed, and another apply has changed the host'
  endWindow({ id: left.id, confirmed: false, message, code: 'ROLLBACK_PARTIAL' })
}

/**
 * Decides on a window: one that waits, one that has ended, or one that a killed unit has left.
 *
 * @param id null: whichever there is.
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER, RIGHT_MISSING, LOCKED, WINDOW_UNREADABLE.
 */
export async function decideWindow(decision: Decision, id: string | null, command: string): Promise<Answer> {
  try {
    return await sendDecision(decision, id)
  } catch (error) {
    if (!(error instanceof SpanplanError && error.diagnostics.some(({ code }) => code === 'NOTHING_WAITS'))) throw error
    const isRecovered = decision === 'rollback' && (await recoverLeft(id, command))
    const window = readWindow()
    if (window?.phase === 'unreadable') throw windowUnreadable(id)
    if (window?.phase !== 'ended' || (window.id !== id && !isRecovered)) throw error
    const { phase, id: ended, ...answer } = window
    return { ...answer, window: ended }
  }
}

/** Whether there was a window to roll back. */
async function recoverLeft(id: string | null, command: string): Promise<boolean> {
  const { signal } = new AbortController()
  const left = readLeftWindow()
  if (left === null || (id !== null && left.id !== id)) return false
  const lock = await takeLock({ command, timeout: probePatience, signal })
  try {
    const still = readLeftWindow()
    if (still?.id === left.id) await recoverWindow(still, 'rollback requested')
    return true
  } catch (error) {
    if (!(error instanceof SpanplanError && error.exit === Exit.rolledBack)) throw error
    return true
  } finally {
    lock.release()
  }
}
