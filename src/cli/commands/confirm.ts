import {
  type Answer,
  type Decision,
  openConfirmWindow,
  sendDecision,
  type WindowResult
} from '../../apply/commit-confirm.ts'
import { rollBackApplied } from '../../apply/executor.ts'
import type { Progress } from '../../apply/run-steps.ts'
import { Exit, type ExitCode, interruptedExit, SpanplanError } from '../../errors.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printableLines } from '../../printable.ts'
import type { Lock } from '../../run-dir/lock.ts'
import { printEvent } from '../output/progress.ts'
import { ask } from '../output/terminal.ts'
import type { Session } from '../session.ts'

/** `spanplan confirm` and `spanplan rollback`: what is said to an apply that waits. */
export async function wordCommand(session: Session, word: Decision): Promise<ExitCode> {
  const { done, message } = await sendDecision(word)
  if (!done) throw new SpanplanError({ code: 'ROLLBACK_PARTIAL', message }, Exit.partial)
  if (session.json) printEvent(word === 'confirm' ? 'confirmed' : 'rolled_back', { message })
  else process.stdout.write(`${printableLines(message)}\n`)
  return Exit.done
}

/** An apply that is done, with what it takes to take it back. */
export interface Applied {
  readonly target: Target
  readonly first: PlanView
  readonly progress: Progress
  readonly lock: Lock
}

/** What the apply says when it takes itself back. */
const reasons: Readonly<Record<Exclude<WindowResult, 'confirm'>, string>> = {
  rollback: 'not wanted',
  expired: 'not confirmed in time',
  interrupted: 'interrupted before it was confirmed'
}

/**
 * Waits until somebody confirms an apply, and takes it back otherwise; also when the terminal has gone.
 *
 * @throws SpanplanError if it was taken back: NOT_CONFIRMED.
 */
export async function awaitConfirmation(
  session: Session,
  { target, first, progress, lock }: Applied,
  milliseconds: number,
  signal: AbortSignal
): Promise<void> {
  const until = new Date(Date.now() + milliseconds)
  lock.announce({ waits_until: until.toISOString() })
  const stop = new AbortController()
  const ask = () => announce(session, until, stop.signal)
  const trial = await openConfirmWindow(milliseconds, ask, signal).catch((error: unknown) => {
    const message = `nobody could confirm it: ${error instanceof Error ? error.message : String(error)}`
    return rollBackApplied(target, first, progress, { code: 'NOT_CONFIRMED', message }, Exit.rolledBack)
  })
  const verdict = await trial.verdict
  stop.abort()
  lock.announce({ waits_until: undefined })
  if (verdict === 'confirm') {
    await trial.close({ done: true, message: 'Confirmed: it stays.' })
    if (session.json) printEvent('confirmed', {})
    else process.stdout.write('Confirmed: it stays.\n')
    return
  }
  try {
    const exit = verdict === 'interrupted' ? interruptedExit(signal) : Exit.rolledBack
    await rollBackApplied(target, first, progress, { code: 'NOT_CONFIRMED', message: reasons[verdict] }, exit)
  } catch (error) {
    await trial.close(outcomeOf(error))
    throw error
  }
}

function outcomeOf(error: unknown): Answer {
  if (!(error instanceof SpanplanError)) return { done: false, message: 'the rollback failed' }
  return { done: error.exit !== Exit.partial, message: error.message }
}

/** Says how to confirm, and asks where there is a terminal; a terminal that goes away has said nothing. */
function announce(session: Session, until: Date, signal: AbortSignal): Promise<Decision> | null {
  if (session.json) {
    printEvent('confirmation_awaited', { until: until.toISOString() })
    return null
  }
  const time = until.toLocaleTimeString('sv-SE')
  process.stdout.write(
    `It is taken back at ${time}, unless it is confirmed: spanplan confirm (or at once: spanplan rollback)\n`
  )
  if (process.stdin.isTTY !== true) return null
  return ask('Keep it?', signal).then((reply) => {
    if (reply === 'silence') return new Promise<Decision>(() => undefined)
    return reply === 'yes' ? 'confirm' : 'rollback'
  })
}
