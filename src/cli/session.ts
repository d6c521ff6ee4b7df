import type { Diagnostic } from '../errors.ts'
import { plain } from '../printable.ts'
import type { SourceFile } from '../spec/spec.ts'
import { clearActivity } from './output/activity.ts'
import { type ColorChoice, choosePaint, lineWidth } from './output/colours.ts'
import { addPriority, isJournal } from './output/journal.ts'
import { renderDiagnostic } from './output/render-diagnostic.ts'

/** What every command needs to print. */
export interface Session {
  readonly color: ColorChoice
  /** Stdout is for a program. Errors go there too, as a JSON document. */
  readonly json: boolean
  /** The files as they were read, for errors to quote. Empty until then. */
  files: readonly SourceFile[]
}

/** Prints warnings to stderr. A JSON document has them already. */
export function warn(session: Session, warnings: readonly Diagnostic[]): void {
  if (!session.json) printDiagnostics(session, 'warning', warnings)
}

/** Prints diagnostics to stderr, each with the lines of the file that it is about; with their priority, if it is the journal. */
export function printDiagnostics(
  { color, json, files }: Session,
  kind: 'error' | 'warning',
  list: readonly Diagnostic[]
) {
  const paint = json ? plain : choosePaint(color, process.stderr)
  const toJournal = isJournal(process.stderr.fd)
  clearActivity()
  for (const diagnostic of list) {
    const text = renderDiagnostic(kind, diagnostic, files, paint, lineWidth(process.stderr))
    process.stderr.write(`${toJournal ? addPriority(kind, text) : text}\n`)
  }
}
