import { Exit, type ExitCode } from '../../errors.ts'
import { printable, printableJson } from '../../printable.ts'
import { printSpec } from '../../spec/print.ts'
import { type FileSelection, loadFiles } from '../input/spec-files.ts'
import type { Session } from '../session.ts'

/** `spanplan validate`: checks the files, without reading the host. */
export async function validateCommand(
  session: Session,
  { file, print }: Pick<FileSelection, 'file'> & { readonly print: boolean }
): Promise<ExitCode> {
  const spec = await loadFiles({ file, insecureFile: true }, session)
  const { name, files, digest, spans } = spec
  const summary = { valid: true, name, files, digest, spans: spans.map((span) => span.name) }
  if (session.json) process.stdout.write(`${printableJson(summary)}\n`)
  else if (print) process.stdout.write(printSpec(spec))
  else {
    const count = spans.length === 1 ? '1 span' : `${spans.length} spans`
    process.stdout.write(`${files.map(printable).join(', ')}: valid, ${count}.\n`)
  }
  return Exit.done
}
