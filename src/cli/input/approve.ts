import type { Decision } from '../../apply/commit-confirm.ts'
import { Exit, interruptedExit, SpanplanError } from '../../errors.ts'
import { countActions } from '../../plan/output/text.ts'
import { isDestructive, type Plan } from '../../plan/plan.ts'
import { printEvent } from '../output/progress.ts'
import type { Session } from '../session.ts'

/** Whether a person has to approve the plan. Creating, changing and repairing needs no approval. */
export function needsApproval(plan: Plan, yes: boolean): boolean {
  return !yes && plan.changes.some(isDestructive)
}

/**
 * Asks on the terminal whether to remove, replace or take over what the plan says.
 *
 * @throws SpanplanError CONFIRMATION_NEEDED without a terminal, NOT_CONFIRMED if the answer is no.
 */
export async function askForApproval(plan: Plan, signal: AbortSignal): Promise<void> {
  const { replace, remove, adopt } = countActions(plan)
  const parts = { remove, replace, adopt }
  const what = Object.entries(parts)
    .flatMap(([verb, count]) => (count > 0 ? [`${verb} ${count}`] : []))
    .join(' and ')
  if (process.stdin.isTTY !== true) {
    throw new SpanplanError({
      code: 'CONFIRMATION_NEEDED',
      message: `this would ${what}, and there is no terminal to ask on. Nothing was changed.`,
      hint: 'look at the plan, then run it again with --yes'
    })
  }
  const { ask } = await import('./ask.ts')
  if ((await ask(`Do it: ${what}?`, signal, 'no')) !== 'yes') {
    throw new SpanplanError(
      { code: 'NOT_CONFIRMED', message: 'not confirmed. Nothing was changed.' },
      signal.aborted ? interruptedExit(signal) : Exit.error
    )
  }
}

/**
 * Prints until when an apply can be confirmed, and asks where there is a terminal. A terminal that goes away decides nothing.
 *
 * @returns null: there is no terminal to ask on.
 */
export function askToConfirm(session: Session, until: Date, signal: AbortSignal): Promise<Decision> | null {
  if (session.json) {
    printEvent('confirmation_awaited', { until: until.toISOString() })
    return null
  }
  const time = until.toLocaleTimeString('sv-SE')
  process.stdout.write(
    `It is rolled back at ${time}, unless it is confirmed: spanplan confirm (to roll back now: spanplan rollback)\n`
  )
  if (process.stdin.isTTY !== true) return null
  return askForDecision(signal)
}

async function askForDecision(signal: AbortSignal): Promise<Decision> {
  const { ask } = await import('./ask.ts')
  const reply = await ask('Keep it?', signal)
  if (reply === 'silence') return new Promise<Decision>(() => undefined)
  return reply === 'yes' ? 'confirm' : 'rollback'
}
