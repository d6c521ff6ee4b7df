/**
 * Detached windows: an apply whose confirmation a unit of systemd waits for. The unit is started before the first change, and
 * has a lock of its own. As long as the apply runs, the unit waits for the apply's lock: it gets that lock when the apply has
 * ended, or was killed. The record in the run directory says which.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Diagnostic, diagnostic, diagnosticOf, Exit, SpanplanError } from '../errors.ts'
import { startTransientUnit, type TransientUnit } from '../host/transient-unit.ts'
import { isUnitHolding, readHolder, takeLock, windowLock } from '../run-dir/lock.ts'
import { type Answer, confirmedMessage, confirmOrRollBack, type Decision, sendDecision } from './commit-confirm.ts'
import { rollBackApply } from './executor.ts'
import { installFile } from './install-file.ts'
import { silent } from './run-steps.ts'
import {
  type EndedWindow,
  type OpenWindow,
  readWindow,
  removeWindow,
  restoreWindow,
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
 * Records a window, and starts its unit. The caller holds the lock, and has changed nothing yet.
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
  } catch (error) {
    failWindow(id, error)
    throw error
  }
}

/** Records that the apply of a window has failed. The caller holds the lock. */
export function failWindow(id: string, error: unknown): void {
  endWindow({ id, confirmed: false, message: diagnosticOf(error).message })
}

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
 * @returns until when it waits.
 * @throws SpanplanError NOT_CONFIRMED if the window has ended already.
 */
export async function awaitOpenWindow(id: string): Promise<Date> {
  let until: string | undefined
  await awaitUnit(async () => {
    const holder = readHolder(windowLock)
    if (holder?.window === id) until = holder.waits_until
    return until !== undefined || !(await isUnitHolding())
  })
  if (until !== undefined) return new Date(until)
  const ended = readWindow()
  const message =
    ended?.phase === 'ended' && ended.id === id ? ended.message : 'its unit was ended, which rolls it back'
  throw new SpanplanError(diagnostic('NOT_CONFIRMED', message, `see journalctl -u ${unitOf(id)}`), Exit.rolledBack)
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

function windowLost(id: string, reason: string): SpanplanError {
  const message = `the unit ${unitOf(id)} cannot hold the window: ${reason}`
  return new SpanplanError(diagnostic('DETACH_IMPOSSIBLE', message, `see journalctl -u ${unitOf(id)}`))
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
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back.
 */
export async function holdWindow(id: string, command: string, signal: AbortSignal): Promise<string | null> {
  const lock = await takeLock({ kind: windowLock, command, timeout: probePatience, signal })
  try {
    lock.announce({ window: id })
    const begin = async () => {
      const window = readWindow()
      if (window === null || window.phase === 'ended' || window.id !== id) return null
      // Before, this unit was killed, or the apply was.
      if (window.phase !== 'open') await recoverWindow(window)
      else tryToHold(window)
      return window.phase === 'open' ? window : null
    }
    const window = await whileLocked(command, signal, begin)
    if (window === null) return null
    const exclusively = <T>(work: () => Promise<T>) => {
      const end = () => recordEnd(window, work)
      // Not interrupted: what has to be done at the end is done.
      return whileLocked(command, new AbortController().signal, end)
    }
    const onConfirmed = () => writeWindow({ ...window, phase: 'confirmed' })
    const apply = { id, ...restoreWindow(window), progress: silent, lock, install: window.install }
    await confirmOrRollBack({ ...apply, exclusively, onConfirmed }, window.milliseconds, () => null, signal)
    return confirmedMessage(window.install)
  } finally {
    lock.release()
  }
}

/** Where the disk is full, a unit that is killed and started again holds the window for its whole time once more. */
function tryToHold(window: OpenWindow): void {
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
  if (window === null || window.phase === 'ended') return null
  return Date.now() < Date.parse(window.since) + window.milliseconds + leftFor ? window : null
}

/**
 * Ends what a killed process has left: rolls back an apply that nobody has confirmed, and installs the file of one that somebody
 * has. The caller holds the lock.
 *
 * @param reason why it is done; by default, who was killed.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back, completely or not.
 */
export async function recoverWindow(window: OpenWindow, reason: string = killed[window.phase]): Promise<void> {
  const { target, first } = restoreWindow(window)
  const rollBack = (why: Diagnostic) => rollBackApply(target, first, silent, why, Exit.rolledBack)
  await recordEnd(window, async () => {
    if (window.phase !== 'confirmed' || window.install === null) {
      await rollBack(diagnostic('NOT_CONFIRMED', reason))
      return
    }
    try {
      installFile(window.install)
    } catch (error) {
      await rollBack(diagnosticOf(error))
    }
  })
}

/** An apply that is no window's has changed the host: what a killed unit has left is no way back any more. The caller holds the lock. */
export function forgetLeftWindow(): void {
  const left = readLeftWindow()
  if (left === null) return
  endWindow({ id: left.id, confirmed: false, message: 'its unit was killed, and another apply has come' })
}

/**
 * Decides on a window: one that waits, one that has ended, or one that a killed unit has left.
 *
 * @param id null: whichever there is.
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER, RIGHT_MISSING, LOCKED.
 */
export async function decideWindow(decision: Decision, id: string | null, command: string): Promise<Answer> {
  try {
    return await sendDecision(decision, id)
  } catch (error) {
    if (!(error instanceof SpanplanError && error.diagnostics.some(({ code }) => code === 'NOTHING_WAITS'))) throw error
    const isRecovered = decision === 'rollback' && (await recoverLeft(id, command))
    const window = readWindow()
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
