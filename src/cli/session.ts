import { asForeseen, type Diagnostic, type ExitCode } from '../errors.ts'
import { plain, printableJson } from '../printable.ts'
import type { SourceFile } from '../spec/spec.ts'
import { type ColorChoice, choosePaint, renderDiagnostic } from './output/terminal.ts'

/** What every command has at hand: how to print, and the files that errors point into. */
export interface Session {
  readonly color: ColorChoice
  /** Results are for a program: notices go to stdout too, as one JSON document. */
  readonly json: boolean
  /** The files as read, once they are. */
  files: readonly SourceFile[]
}

/** Prints warnings to stderr; in a JSON document they stand already. */
export function warn(session: Session, warnings: readonly Diagnostic[]): void {
  if (session.json) return
  const paint = choosePaint(session.color, process.stderr)
  for (const warning of warnings)
    process.stderr.write(`${renderDiagnostic('warning', warning, session.files, paint)}\n`)
}

/** Runs a command; what it throws becomes a message and an exit status. */
export async function runCommand(session: Session, command: () => Promise<ExitCode>): Promise<void> {
  try {
    process.exitCode = await command()
  } catch (error) {
    process.exitCode = report(session, error)
  }
}

function report(session: Session, error: unknown): ExitCode {
  const known = asForeseen(error)
  if (session.json) {
    process.stdout.write(`${printableJson({ type: 'error', errors: known.diagnostics, exit: known.exit })}\n`)
  }
  const paint = session.json ? plain : choosePaint(session.color, process.stderr)
  for (const diagnostic of known.diagnostics) {
    process.stderr.write(`${renderDiagnostic('error', diagnostic, session.files, paint)}\n`)
  }
  return known.exit
}
