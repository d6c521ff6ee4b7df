import * as z from 'zod'
import {
  type Diagnostic,
  Exit,
  type ExitCode,
  interruptedExit,
  messageOf,
  SpanplanError,
  systemCode
} from '../errors.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import type { Lock } from '../run-dir/lock.ts'
import { sendRequest, serveRequests } from '../run-dir/socket.ts'
import { rollBackApply } from './executor.ts'
import type { Progress } from './run-steps.ts'

/** What a person decides on an apply that waits for confirmation. */
export type Decision = 'confirm' | 'rollback'

/** How the window closes: by a decision, because time is up, or by a signal. */
type WindowResult = Decision | 'expired' | 'interrupted'

const answerSchema = z.object({ done: z.boolean(), message: z.string() })

/** The result of a decision, for the process that sent it. */
type Answer = z.infer<typeof answerSchema>

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

/**
 * Sends a decision to the apply that waits in this network namespace, and gives the answer.
 *
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER or RIGHT_MISSING.
 */
export async function sendDecision(decision: Decision): Promise<Answer> {
  try {
    return answerSchema.parse(await sendRequest(socketKind, decision, answerTimeLimit))
  } catch (error) {
    if (error instanceof SpanplanError) throw error
    throw new SpanplanError(describe(error), undefined, { cause: error })
  }
}

function describe(error: unknown): Diagnostic {
  const code = systemCode(error)
  if (code === 'EACCES') {
    return {
      code: 'RIGHT_MISSING',
      message: 'the apply that waits belongs to another user: only that user or root can confirm it or roll it back',
      hint: 'run it as that user, or as root'
    }
  }
  if (code !== undefined && nobodyListens.includes(code)) {
    return {
      code: 'NOTHING_WAITS',
      message: 'no apply waits for confirmation here',
      hint: 'see spanplan apply --rollback-after'
    }
  }
  return {
    code: 'NO_ANSWER',
    message: 'the answer of the apply that waits could not be understood',
    hint: 'see what is live: spanplan status'
  }
}

/** An apply that is done, with what its rollback needs. */
interface UnconfirmedApply {
  readonly target: Target
  readonly first: PlanView
  readonly progress: Progress
  readonly lock: Lock
}

const rollbackReasons: Readonly<Record<Exclude<WindowResult, 'confirm'>, string>> = {
  rollback: 'rollback requested',
  expired: 'not confirmed in time',
  interrupted: 'interrupted before it was confirmed'
}

/**
 * Waits until an apply is confirmed, and rolls it back otherwise. The decision comes from another process of this host, or from
 * a person at this terminal. The caller holds the lock, so no other process listens at the socket.
 *
 * @param milliseconds until it is rolled back.
 * @param prompt tells a person until when the apply waits, and asks on this terminal; null: there is nobody to ask. Its
 * signal withdraws the question.
 * @throws SpanplanError NOT_CONFIRMED if it was rolled back.
 */
export async function confirmOrRollBack(
  { target, first, progress, lock }: UnconfirmedApply,
  milliseconds: number,
  prompt: (until: Date, signal: AbortSignal) => Promise<Decision> | null,
  signal: AbortSignal
): Promise<void> {
  const rollBack = (message: string, exit: ExitCode) =>
    rollBackApply(target, first, progress, { code: 'NOT_CONFIRMED', message }, exit)
  const until = new Date(Date.now() + milliseconds)
  lock.announce({ waits_until: until.toISOString() })
  const [answered, setAnswer] = promised<Answer>()
  const [result, settle] = promised<WindowResult>()
  const decide = (decision: Decision) => () => {
    settle(decision)
    return answered
  }
  const answers = { confirm: decide('confirm'), rollback: decide('rollback') }
  const server = await serveRequests(socketKind, answers).catch((error: unknown) =>
    rollBack(`there is no way to confirm it: ${messageOf(error)}`, Exit.rolledBack)
  )
  const timer = setTimeout(settle, milliseconds, 'expired')
  const withdraw = new AbortController()
  const ask = async () => prompt(until, withdraw.signal)
  ask().then(
    (decision) => decision !== null && settle(decision),
    () => undefined
  )
  if (signal.aborted) settle('interrupted')
  signal.addEventListener('abort', () => settle('interrupted'), { once: true })
  const ended = await result
  clearTimeout(timer)
  withdraw.abort()
  lock.announce({ waits_until: undefined })
  try {
    if (ended !== 'confirm') {
      await rollBack(rollbackReasons[ended], ended === 'interrupted' ? interruptedExit(signal) : Exit.rolledBack)
    }
    setAnswer({ done: true, message: 'Confirmed: the changes stay.' })
  } catch (error) {
    setAnswer(rollbackAnswer(error))
    throw error
  } finally {
    await server.close()
  }
}

function rollbackAnswer(error: unknown): Answer {
  if (!(error instanceof SpanplanError)) return { done: false, message: 'the rollback failed' }
  return { done: error.exit !== Exit.partial, message: error.message }
}
