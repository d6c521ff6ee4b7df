import type { Decision } from '../../apply/commit-confirm.ts'
import { decideWindow } from '../../apply/window.ts'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import type { Code } from '../../messages.ts'
import { printableLines } from '../../printable.ts'
import { printResult } from '../output/progress.ts'
import { commandLine, type Session } from '../session.ts'

interface DecideOptions {
  readonly decision: Decision
  /** The id of a window; undefined: whichever waits. */
  readonly window: string | undefined
}

/** The statuses where not all was rolled back, by the code. */
const exits: ReadonlyMap<Code, ExitCode> = new Map([
  ['ROLLBACK_PARTIAL', Exit.partial],
  ['BUG', Exit.bug]
])

/** `spanplan confirm` and `spanplan rollback`: decides on an apply that waits for confirmation. */
export async function decideCommand(session: Session, { decision, window }: DecideOptions): Promise<ExitCode> {
  const answer = await decideWindow(decision, window ?? null, commandLine())
  const { code, confirmed, message } = answer
  if (code !== undefined) throw new SpanplanError({ code, message }, exits.get(code) ?? Exit.rolledBack)
  if (confirmed !== (decision === 'confirm')) throw tooLate(answer.window, confirmed, message)
  const body = { id: answer.window, message, ...(answer.installed !== undefined && { installed: answer.installed }) }
  printResult(session, printableLines(message), confirmed ? 'confirmed' : 'rolled_back', body)
  return Exit.done
}

function tooLate(id: string, confirmed: boolean, message: string): SpanplanError {
  const what = confirmed ? 'was confirmed before' : `was rolled back before: ${message}`
  return new SpanplanError({ code: 'NOTHING_WAITS', message: `the window ${id} ${what}` })
}
