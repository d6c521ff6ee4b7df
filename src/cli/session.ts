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
  if (!session.json) printDiagnostics(session, 'warning', warnings)
}

function printDiagnostics({ color, json, files }: Session, kind: 'error' | 'warning', list: readonly Diagnostic[]) {
  const paint = json ? plain : choosePaint(color, process.stderr)
  for (const diagnostic of list) process.stderr.write(`${renderDiagnostic(kind, diagnostic, files, paint)}\n`)
}

/**
 * Runs a command, and sets the exit status of the process. Prints the error that the command throws.
 *
 * @param load imports the command: no command waits for the others to be parsed.
 */
export async function start<Options>(
  options: Options & Partial<Pick<Session, 'color' | 'json'>>,
  load: () => Promise<(session: Session, options: Options) => Promise<ExitCode>>
): Promise<void> {
  const session: Session = { color: options.color ?? 'auto', json: options.json ?? false, files: [] }
  try {
    const command = await load()
    process.exitCode = await command(session, options)
  } catch (error) {
    const { diagnostics, exit } = asForeseen(error)
    if (session.json) process.stdout.write(`${printableJson({ type: 'error', errors: diagnostics, exit })}\n`)
    printDiagnostics(session, 'error', diagnostics)
    process.exitCode = exit
  }
}
