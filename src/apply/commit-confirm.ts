import * as z from 'zod'
import { type Diagnostic, SpanplanError } from '../errors.ts'
import { sendRequest, serveRequests } from '../run-dir/socket.ts'

/** What a person says of an apply that waits. */
export type Decision = 'confirm' | 'rollback'

/** How the waiting ends: with a person's word, because the time is over, or by a signal. */
export type WindowResult = Decision | 'expired' | 'interrupted'

const answer = z.object({ done: z.boolean(), message: z.string() })

/** What came of a word: for the person who said it. */
export type Answer = z.infer<typeof answer>

/** An apply that is done, and waits for a person to say that it is good. */
export interface ConfirmWindow {
  readonly verdict: Promise<WindowResult>
  /** Tells the outcome to whoever gave the word, and stops listening. */
  close(outcome: Answer): Promise<void>
}

/** Milliseconds for the answer: to roll back may take that, where one program after the other hangs. */
const answerWithin = 600_000

/** What connecting to a socket fails with at which nobody listens, or not any more. */
const absences: readonly string[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']

/** Which file of the run directory is the socket. */
const socketKind = 'sock'

/**
 * Waits for a word from another process of this host, from `here`, for the time to run out or for a signal. Whoever holds
 * the lock may call it: nobody else listens at the socket then.
 *
 * @param milliseconds until it has expired.
 * @param here asks for the word of the terminal on which the apply runs, once others are heard; null if that gives none.
 * @throws if it cannot listen.
 */
export async function openConfirmWindow(
  milliseconds: number,
  here: () => Promise<Decision> | null,
  signal: AbortSignal
): Promise<ConfirmWindow> {
  const [outcome, setOutcome] = promised<Answer>()
  const [verdict, settle] = promised<WindowResult>()
  const decide = (decision: Decision) => () => {
    settle(decision)
    return outcome
  }
  const server = await serveRequests(socketKind, { confirm: decide('confirm'), rollback: decide('rollback') })
  const timer = setTimeout(settle, milliseconds, 'expired')
  here()?.then(settle, () => undefined)
  if (signal.aborted) settle('interrupted')
  signal.addEventListener('abort', () => settle('interrupted'), { once: true })
  return {
    verdict: verdict.finally(() => clearTimeout(timer)),
    close: async (came) => {
      setOutcome(came)
      await server.close()
    }
  }
}

function promised<T>(): readonly [Promise<T>, (value: T) => void] {
  let settle: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return [promise, settle]
}

/**
 * Says a word to the apply that waits in this network namespace, and gives back what came of it.
 *
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER or RIGHT_MISSING.
 */
export async function sendDecision(word: Decision): Promise<Answer> {
  try {
    return answer.parse(await sendRequest(socketKind, word, answerWithin))
  } catch (error) {
    if (error instanceof SpanplanError) throw error
    throw new SpanplanError(describe(error), undefined, { cause: error })
  }
}

function describe(error: unknown): Diagnostic {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES') {
    return {
      code: 'RIGHT_MISSING',
      message: 'the apply that waits is of another user, who alone may say it',
      hint: 'run it as that user, or as root'
    }
  }
  if (typeof code === 'string' && absences.includes(code)) {
    return {
      code: 'NOTHING_WAITS',
      message: 'no apply waits for confirmation here',
      hint: 'see spanplan apply --rollback-after'
    }
  }
  return {
    code: 'NO_ANSWER',
    message: 'the apply that waits gave no answer that can be understood',
    hint: 'look at what is live: spanplan status'
  }
}
