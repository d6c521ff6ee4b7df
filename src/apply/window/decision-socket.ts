/** How a decision on a window gets from the process of `spanplan confirm` or `spanplan rollback` to the process that waits. */
import * as z from 'zod'
import { diagnostic, SpanplanError, systemCode } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { type SocketServer, sendRequest, serveRequests } from '../../run-dir/socket.ts'
import { type Decision, endSchema } from './window-transitions.ts'

const answerSchema = endSchema.extend({ window: z.string() })

/** How the window of an id ended, for the process that sent a decision. */
export type Answer = z.infer<typeof answerSchema>

/** Milliseconds for the answer: a rollback may take that long, where one program after the other hangs. */
const answerTimeLimit = 600_000

/** The codes of a connection that fails because nobody listens, or not any more. */
const nobodyListens: readonly string[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']

/** Which file of the run directory is the socket. */
const socketKind = 'sock'

/** What `makeWindowId()` makes. */
const windowId = /^[0-9a-f]{8}$/

/**
 * Sends a decision to the apply that waits in this network namespace, and gives the answer.
 *
 * @param id only for the window of this id; null: whichever it is.
 * @throws SpanplanError NOTHING_WAITS, NO_ANSWER or RIGHT_MISSING.
 */
export async function sendDecision(decision: Decision, id: string | null): Promise<Answer> {
  // An empty one would mean whichever window it is.
  if (id !== null && !windowId.test(id)) throw nothingWaits(id)
  const request = id === null ? decision : `${decision} ${id}`
  try {
    const answer = answerSchema.parse(await sendRequest(socketKind, request, answerTimeLimit))
    if (answer.code === 'NOTHING_WAITS') throw nothingWaits(id)
    return answer
  } catch (error) {
    throw error instanceof SpanplanError ? error : connectionFailed(error, id)
  }
}

/**
 * Lets other processes decide on a window. No other process listens at the socket: the caller holds the lock, or the window's.
 *
 * @param decide gives the answer once the window has ended.
 * @throws if it cannot listen.
 */
export function serveDecisions(id: string, decide: (decision: Decision) => Promise<Answer>): Promise<SocketServer> {
  const answerTo = (decision: Decision) => (wanted: string) => {
    if (wanted === '' || wanted === id) return decide(decision)
    return { confirmed: false, window: id, code: 'NOTHING_WAITS', message: nothingWaits(wanted).message }
  }
  return serveRequests(socketKind, { confirm: answerTo('confirm'), rollback: answerTo('rollback') })
}

function nothingWaits(id: string | null, cause?: unknown): SpanplanError {
  const what =
    id === null ? 'no apply waits for confirmation here' : `no window ${printable(id)} waits for confirmation here`
  const waitsForNothing = diagnostic('NOTHING_WAITS', what, 'see spanplan apply --rollback-after')
  return new SpanplanError(waitsForNothing, undefined, { cause })
}

function connectionFailed(error: unknown, id: string | null): SpanplanError {
  const code = systemCode(error)
  if (code !== undefined && nobodyListens.includes(code)) return nothingWaits(id, error)
  const others = 'the apply that waits belongs to another user: only that user or root can confirm it or roll it back'
  const unknown = 'the answer of the apply that waits could not be understood'
  const failed =
    code === 'EACCES'
      ? diagnostic('RIGHT_MISSING', others, 'run it as that user, or as root')
      : diagnostic('NO_ANSWER', unknown, 'see what is live: spanplan status')
  return new SpanplanError(failed, undefined, { cause: error })
}
