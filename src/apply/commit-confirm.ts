import { randomBytes } from 'node:crypto'
import { uptime } from 'node:os'
import * as z from 'zod'
import {
  type Diagnostic,
  diagnostic,
  diagnosticOf,
  Exit,
  type ExitCode,
  interruptedExit,
  messageOf,
  SpanplanError,
  systemCode
} from '../errors.ts'
import type { Code } from '../messages.ts'
import { mirroredInterfaces, type PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { printable } from '../printable.ts'
import type { Lock } from '../run-dir/lock.ts'
import { forgetGoingDown } from '../run-dir/pauses.ts'
import { sendRequest, serveRequests } from '../run-dir/socket.ts'
import { rollBackApply } from './executor.ts'
import { type Installation, installFile } from './install-file.ts'
import { type Exclusively, keepClosed } from './keep-closed.ts'
import type { Progress } from './run-steps.ts'

/** What a person decides on an apply that waits for confirmation. */
export type Decision = 'confirm' | 'rollback'

/** How the window closes: by a decision, because time is up, or by a signal. */
type WindowResult = Decision | 'expired' | 'interrupted'

const answerSchema = z.object({
  /** Whether the changes stay; else they were rolled back. */
  confirmed: z.boolean(),
  message: z.string(),
  /** The code of what went wrong; of a newer spanplan, it may be one that this spanplan does not have. */
  code: z.custom<Code>((value) => typeof value === 'string').optional(),
  /** The window's id. */
  window: z.string(),
  /** The file that was installed. */
  installed: z.string().optional()
})

/** How the window ended, for the process that sent a decision. */
export type Answer = z.infer<typeof answerSchema>

/** Milliseconds for the answer: a rollback may take that long, where one program after the other hangs. */
const answerTimeLimit = 600_000

/** The codes of a connection that fails because nobody listens, or not any more. */
const nobodyListens: readonly string[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']

/** Which file of the run directory is the socket. */
const socketKind = 'sock'

function promised<T>(): readonly [Promise<T>, (value: T) => void] {
  let settle: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return [promise, settle]
}

/** What {@link makeWindowId} makes. */
const windowId = /^[0-9a-f]{8}$/

/** A new id for a window: nobody can guess it, and it is short enough to be typed. */
export function makeWindowId(): string {
  return randomBytes(4).toString('hex')
}

/**
 * Sends a decision to the apply that waits in this network namespace, and gives the answer.
 *
 * @param id only for the window of this id; null: whichever it is.
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER or RIGHT_MISSING.
 */
export async function sendDecision(decision: Decision, id: string | null): Promise<Answer> {
  // An empty one would mean whichever window it is.
  if (id !== null && !windowId.test(id)) throw nothingWaits(id)
  const answer = await askWindow(id === null ? decision : `${decision} ${id}`).catch((error: unknown) => {
    if (error instanceof SpanplanError) throw error
    throw new SpanplanError(describe(error, id), undefined, { cause: error })
  })
  if (answer.code === 'NOTHING_WAITS') throw nothingWaits(id)
  return answer
}

async function askWindow(request: string): Promise<Answer> {
  return answerSchema.parse(await sendRequest(socketKind, request, answerTimeLimit))
}

function nothingWaits(id: string | null): SpanplanError {
  const what =
    id === null ? 'no apply waits for confirmation here' : `no window ${printable(id)} waits for confirmation here`
  return new SpanplanError(diagnostic('NOTHING_WAITS', what, 'see spanplan apply --rollback-after'))
}

function describe(error: unknown, id: string | null): Diagnostic {
  const code = systemCode(error)
  if (code === 'EACCES') {
    return {
      code: 'RIGHT_MISSING',
      message: 'the apply that waits belongs to another user: only that user or root can confirm it or roll it back',
      hint: 'run it as that user, or as root'
    }
  }
  if (code !== undefined && nobodyListens.includes(code)) {
    const [nothing] = nothingWaits(id).diagnostics
    if (nothing) return nothing
  }
  return {
    code: 'NO_ANSWER',
    message: 'the answer of the apply that waits could not be understood',
    hint: 'see what is live: spanplan status'
  }
}

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

const rollbackReasons: Readonly<Record<Exclude<WindowResult, 'confirm'>, string>> = {
  rollback: 'rollback requested',
  expired: 'not confirmed in time',
  interrupted: 'interrupted before it was confirmed'
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
  const { id, target, first, progress, lock, install } = apply
  const rollBack = (reason: Diagnostic, exit: ExitCode) => rollBackApply(target, first, progress, reason, exit)
  const [answered, setAnswer] = promised<Answer>()
  const [result, settle] = promised<WindowResult>()
  const decide = (decision: Decision) => (wanted: string) => {
    if (wanted !== '' && wanted !== id) return refuse(wanted, id)
    settle(decision)
    return answered
  }
  const answers = { confirm: decide('confirm'), rollback: decide('rollback') }
  const server = await serveRequests(socketKind, answers).catch((error: unknown) => {
    const message = `there is no way to confirm it: ${messageOf(error)}`
    return apply.exclusively(() => rollBack({ code: 'NOT_CONFIRMED', message }, Exit.rolledBack))
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
  const ended = await result
  clearTimeout(timer)
  withdraw.abort()
  await awaitClosing()
  lock.announce({ waits_until: undefined })
  const end = async () => {
    if (ended !== 'confirm') {
      const reason = diagnostic('NOT_CONFIRMED', rollbackReasons[ended])
      await rollBack(reason, ended === 'interrupted' ? interruptedExit(signal) : Exit.rolledBack)
    }
    try {
      if (install !== null) {
        apply.onConfirmed()
        installFile(install)
      }
    } catch (error) {
      await rollBack(diagnosticOf(error), Exit.rolledBack)
    }
    forgetGoingDown(Date.now(), mirroredInterfaces(first), applied)
  }
  try {
    await apply.exclusively(end)
    const installed = install !== null && { installed: install.path }
    setAnswer({ confirmed: true, message: confirmedMessage(install), window: id, ...installed })
  } catch (error) {
    setAnswer({ confirmed: false, window: id, ...describeEnd(error) })
    throw error
  } finally {
    await server.close()
  }
}

/** The answer to a decision on another window. */
function refuse(wanted: string, id: string): Answer {
  return { confirmed: false, window: id, code: 'NOTHING_WAITS', message: nothingWaits(wanted).message }
}

/** What is said of an apply that was confirmed. */
export function confirmedMessage(install: Installation | null): string {
  return `Confirmed: the changes stay.${install === null ? '' : ` ${printable(install.path)} is installed.`}`
}

function describeEnd(error: unknown): Pick<Answer, 'message' | 'code'> {
  if (!(error instanceof SpanplanError)) return { message: 'the rollback failed', code: 'BUG' }
  const { message, exit, diagnostics } = error
  if (exit === Exit.partial) return { message, code: 'ROLLBACK_PARTIAL' }
  const code = diagnostics[0]?.code
  return code === undefined || code === 'NOT_CONFIRMED' ? { message } : { message, code }
}
