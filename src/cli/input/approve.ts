import type { Decision } from '../../apply/window/window-transitions.ts'
import { Exit, interruptedExit, SpanplanError } from '../../errors.ts'
import { countActions } from '../../plan/output/plan-text.ts'
import type { Plan } from '../../plan/plan.ts'
import { printable } from '../../printable.ts'
import { listAll, listNames } from '../../text-lines.ts'
import { printResult } from '../output/progress.ts'
import type { Session } from '../session.ts'
import { ask } from './ask.ts'

/** What a person answered; `silence`: the terminal has gone, or the question was withdrawn. */
type Reply = 'yes' | 'no' | 'silence'

/**
 * Asks on the terminal whether to remove, recreate or adopt what the plan says.
 *
 * @throws SpanplanError CONFIRMATION_NEEDED without a terminal, NOT_CONFIRMED if the answer is no.
 */
export async function askForApproval(plan: Plan, signal: AbortSignal): Promise<void> {
  const { replace, remove, adopt } = countActions(plan)
  const counts = Object.entries({ remove, recreate: replace, adopt }).filter(([, count]) => count > 0)
  const what = listAll(counts.map(([verb, count]) => `${verb} ${count}`))
  if (process.stdin.isTTY !== true) {
    const message = `this would ${what}, and there is no terminal to ask at. Nothing was changed.`
    const hint = 'read the plan, then run it again with --yes'
    throw new SpanplanError({ code: 'CONFIRMATION_NEEDED', message, hint })
  }
  const sensors = plan.changes.flatMap(({ disconnects }) => disconnects)
  const deaf = sensors.length === 0 ? '' : ` ${printable(listNames(sensors))} will hear nothing for a moment.`
  if ((await askYesOrNo(`Apply this plan: ${what}?${deaf}`, signal, 'no')) !== 'yes') {
    const exit = signal.aborted ? interruptedExit(signal) : Exit.error
    throw new SpanplanError({ code: 'NOT_CONFIRMED', message: 'not confirmed. Nothing was changed.' }, exit)
  }
}

/**
 * Prints until when an apply can be confirmed, and asks where there is a terminal. A terminal that goes away decides nothing.
 *
 * @returns null: there is no terminal to ask on.
 */
export function askToConfirm(
  session: Session,
  { id, until }: { readonly id: string; readonly until: Date },
  signal: AbortSignal
): Promise<Decision> | null {
  const time = until.toLocaleTimeString('sv-SE')
  const text = `The changes will be rolled back at ${time} unless you confirm them: spanplan confirm (to roll back now: spanplan rollback)`
  printResult(session, text, 'confirmation_awaited', { id, until: until.toISOString() })
  return session.json || process.stdin.isTTY !== true ? null : askForDecision(signal)
}

async function askForDecision(signal: AbortSignal): Promise<Decision> {
  const reply = await askYesOrNo('Keep the changes?', signal)
  if (reply === 'silence') return new Promise<Decision>(() => undefined)
  return reply === 'yes' ? 'confirm' : 'rollback'
}

/**
 * Asks a person whether to do something.
 *
 * @param signal withdraws the question.
 * @param byDefault the reply for any unclear answer; without it, the question is asked again.
 */
async function askYesOrNo(question: string, signal: AbortSignal, byDefault?: Reply): Promise<Reply> {
  const options = byDefault === undefined ? '[y/n]' : '[y/N]'
  const read = (answer: string) => (/^y(es)?$/i.test(answer) ? 'yes' : /^no?$/i.test(answer) ? 'no' : byDefault)
  return (await ask(`${question} ${options}`, read, signal)) ?? 'silence'
}
