import { Exit, type ExitCode, SpanplanError, sortByPlace } from '../../errors.ts'
import { printable, printableJson } from '../../printable.ts'
import { hasFilters } from '../../spec/filter/filters-of.ts'
import { examineFiles } from '../../spec/load.ts'
import { printSpec } from '../../spec/print.ts'
import type { Spec } from '../../spec/spec.ts'
import { counted } from '../../text-lines.ts'
import { type FileSelection, readFiles } from '../input/spec-files.ts'
import { during } from '../output/activity.ts'
import { type Session, warn } from '../session.ts'

interface ValidateOptions extends Pick<FileSelection, 'file'> {
  /** More files, without -f. */
  readonly files: readonly string[]
  readonly print: boolean
}

/** `spanplan validate`: checks the files, and their filters with tcpdump. Nothing of the host is read. */
export async function validateCommand(
  session: Session,
  { file, files: more, print }: ValidateOptions
): Promise<ExitCode> {
  const read = await readFiles({ file: [...file, ...more], insecureFile: true }, session)
  const { spec, diagnostics } = examineFiles(read)
  const { errors, warnings } = await during(session, 'Checking the filters', checkFilters(spec))
  warn(session, warnings)
  const all = sortByPlace([...diagnostics, ...errors], spec.files)
  if (all.length > 0) throw new SpanplanError(all, Exit.invalidFile)
  const { name, files, digest, spans } = spec
  const summary = { valid: true, name, files, digest, spans: spans.map((span) => span.name), warnings }
  if (session.json) process.stdout.write(`${printableJson(summary)}\n`)
  else if (print) process.stdout.write(printSpec(spec))
  else {
    process.stdout.write(`${files.map(printable).join(', ')}: valid, ${counted(spans.length, 'span')}.\n`)
  }
  return Exit.done
}

/** What runs tcpdump takes longer to load than all the rest: it is loaded for a file with filters only. */
async function checkFilters(spec: Spec) {
  if (!spec.spans.some(hasFilters)) return { errors: [], warnings: [] }
  const { checkFiltersOf } = await import('../input/check-filters.ts')
  return checkFiltersOf(spec)
}
