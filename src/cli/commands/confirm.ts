import { type Decision, sendDecision } from '../../apply/commit-confirm.ts'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { printableLines } from '../../printable.ts'
import { printResult } from '../output/progress.ts'
import type { Session } from '../session.ts'

/** `spanplan confirm` and `spanplan rollback`: decides on an apply that waits for confirmation. */
export async function decideCommand(
  session: Session,
  { decision }: { readonly decision: Decision }
): Promise<ExitCode> {
  const { done, message } = await sendDecision(decision)
  if (!done) throw new SpanplanError({ code: 'ROLLBACK_PARTIAL', message }, Exit.partial)
  printResult(session, printableLines(message), decision === 'confirm' ? 'confirmed' : 'rolled_back', { message })
  return Exit.done
}
