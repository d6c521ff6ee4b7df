import { uptime } from 'node:os'
import { type Diagnostic, diagnostic, Exit, type ExitCode, interruptedExit, messageOf } from '../../errors.ts'
import { type PlanView, usedInterfaces } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { forgetGoingDown } from '../../run-dir/hook-records.ts'
import type { Lock } from '../../run-dir/lock.ts'
import { rollBackApply } from '../executor.ts'
import { type Installation, installFile } from '../install-file.ts'
import type { Progress } from '../run-steps.ts'
import { type Answer, serveDecisions } from './decision-socket.ts'
import { type Exclusively, keepClosed } from './keep-closed.ts'
import { confirmedEnd, type Decision, failedEnd, next, type WindowState } from './window-transitions.ts'

/** An apply that is done, with what its confirmation and its rollback need. */
export interface UnconfirmedApply {
  /** The window's id. */
  readonly id: string
  readonly target: Target
  readonly first: PlanView
  readonly progress: Progress
  /** Others read there until when it waits. */
  readonly lock: Lock
  /** The file that is installed once it is confirmed. */
  readonly install: Installation | null
  /** For the work at the end. */
  readonly exclusively: Exclusively
  /** For what is closed before. */
  readonly meanwhile: Exclusively
  /** Is called once it is confirmed, before the file is installed. */
  readonly onConfirmed: () => void
}

function promised<T>(): readonly [Promise<T>, (value: T) => void] {
  let settle: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return [promise, settle]
}

/**
 * Waits until an apply is confirmed, and installs its file; or rolls it back. The decision comes from another process of this
 * host, or from a person at this terminal. No other process listens at the socket: the caller holds the lock, or the window's.
 *
 * @param milliseconds until it is rolled back.
 * @param prompt tells a person until when the apply waits, and asks on this terminal; null: there is nobody to ask. Its
 * signal withdraws the question.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back; with the code of what kept the file from being installed.
 */
export async function confirmOrRollBack(
  apply: UnconfirmedApply,
  milliseconds: number,
  prompt: (until: Date, signal: AbortSignal) => Promise<Decision> | null,
  signal: AbortSignal
): Promise<void> {
  const { id, target, first, progress, lock, install, exclusively, onConfirmed } = apply
  const rollBack = (reason: Diagnostic, exit: ExitCode) => rollBackApply(target, first, progress, reason, exit)
  const [answered, setAnswer] = promised<Answer>()
  const [event, settle] = promised<Decision | 'expired' | 'interrupted'>()
  const decide = (decision: Decision) => {
    settle(decision)
    return answered
  }
  const server = await serveDecisions(id, decide).catch((error: unknown) => {
    const reason = diagnostic('NOT_CONFIRMED', `there is no way to confirm it: ${messageOf(error)}`)
    return exclusively(() => rollBack(reason, Exit.rolledBack))
  })
  const applied = uptime()
  const until = new Date(Date.now() + milliseconds)
  lock.announce({ waits_until: until.toISOString(), window: id })
  const timer = setTimeout(settle, milliseconds, 'expired')
  const withdraw = new AbortController()
  const ask = async () => prompt(until, withdraw.signal)
  ask().then(
    (decision) => decision !== null && settle(decision),
    () => undefined
  )
  if (signal.aborted) settle('interrupted')
  signal.addEventListener('abort', () => settle('interrupted'), { once: true })
  const awaitClosing = keepClosed(target, apply.meanwhile, withdraw.signal)
  const ended = await event
  clearTimeout(timer)
  withdraw.abort()
  await awaitClosing()
  lock.announce({ waits_until: undefined })
  const exit = ended === 'interrupted' ? interruptedExit(signal) : Exit.rolledBack
  const end = async () => {
    await carryOut(next({ phase: 'held' }, ended), install, (reason) => rollBack(reason, exit), onConfirmed)
    forgetGoingDown(Date.now(), usedInterfaces(first), applied)
  }
  try {
    await exclusively(end)
    setAnswer({ window: id, ...confirmedEnd(install) })
  } catch (error) {
    setAnswer({ window: id, ...failedEnd(error) })
    throw error
  } finally {
    await server.close()
  }
}

/**
 * Installs the file of an apply that is confirmed, or rolls the apply back: also where the file cannot be installed.
 *
 * @param onConfirmed is called before the file is installed.
 * @throws SpanplanError the reason of the rollback, with its result.
 */
export async function carryOut(
  state: WindowState,
  install: Installation | null,
  rollBack: (reason: Diagnostic) => Promise<never>,
  onConfirmed: () => void
): Promise<void> {
  if (state.phase === 'rejected') return rollBack(state.reason)
  if (install === null) return
  try {
    onConfirmed()
    installFile(install)
  } catch (uninstallable) {
    await carryOut(next(state, { uninstallable }), install, rollBack, onConfirmed)
  }
}
