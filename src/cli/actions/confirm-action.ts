import { decideWindow } from '../../apply/window/left-window.ts'
import { type Decision, exitOfEnd } from '../../apply/window/window-transitions.ts'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { printableLines } from '../../printable.ts'
import { during } from '../output/activity.ts'
import { printResult } from '../output/progress.ts'
import type { Session } from '../session.ts'

interface DecideOptions {
  readonly decision: Decision
  /** The id of a window; undefined: whichever waits. */
  readonly window: string | undefined
}

/** `spanplan confirm` and `spanplan rollback`: decides on an apply that waits for confirmation. */
export async function decideCommand(session: Session, { decision, window }: DecideOptions): Promise<ExitCode> {
  const what = decision === 'confirm' ? 'Confirming' : 'Rolling back'
  const answer = await during(session, what, decideWindow(decision, window ?? null))
  const { code, confirmed, message } = answer
  if (code !== undefined) throw new SpanplanError({ code, message }, exitOfEnd(answer))
  if (confirmed !== (decision === 'confirm')) {
    const before = confirmed ? 'was confirmed before' : `was rolled back before: ${message}`
    throw new SpanplanError({ code: 'NOTHING_WAITS', message: `the window ${answer.window} ${before}` })
  }
  const body = { id: answer.window, message, ...(answer.installed !== undefined && { installed: answer.installed }) }
  printResult(session, printableLines(message), confirmed ? 'confirmed' : 'rolled_back', body)
  return Exit.done
}
