import { asForeseen, type Diagnostic, type ExitCode } from '../errors.ts'
import { plain, printableJson } from '../printable.ts'
import type { SourceFile } from '../spec/spec.ts'
import { type ColorChoice, choosePaint, renderDiagnostic } from './output/terminal.ts'

/** What every command needs to print. */
export interface Session {
  readonly color: ColorChoice
  /** Stdout is for a program. Errors go there too, as a JSON document. */
  readonly json: boolean
  /** The files as they were read, for errors to quote. Empty until then. */
  files: readonly SourceFile[]
}

/** The command line of this process, as the lock shows it. */
export function commandLine(): string {
  return ['spanplan', ...process.argv.slice(2)].join(' ')
}

/** Prints warnings to stderr. A JSON document has them already. */
export function warn(session: Session, warnings: readonly Diagnostic[]): void {
  if (session.json) return
  const paint = choosePaint(session.color, process.stderr)
  for (const warning of warnings)
    process.stderr.write(`${renderDiagnostic('warning', warning, session.files, paint)}\n`)
}

/** Runs a command, and sets the exit status of the process. Prints the error that the command throws. */
export async function runCommand(session: Session, command: () => Promise<ExitCode>): Promise<void> {
  try {
    process.exitCode = await command()
  } catch (error) {
    process.exitCode = reportError(session, error)
  }
}

function reportError(session: Session, error: unknown): ExitCode {
  const { diagnostics, exit } = asForeseen(error)
  if (session.json) process.stdout.write(`${printableJson({ type: 'error', errors: diagnostics, exit })}\n`)
  const paint = session.json ? plain : choosePaint(session.color, process.stderr)
  for (const diagnostic of diagnostics) {
    process.stderr.write(`${renderDiagnostic('error', diagnostic, session.files, paint)}\n`)
  }
  return exit
}
