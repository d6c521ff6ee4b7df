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
  const summary = {
    valid: true,
    name: spec.name,
    files: spec.files,
    digest: spec.digest,
    spans: spec.spans.map(({ name }) => name)
  }
  if (session.json) process.stdout.write(`${printableJson(summary)}\n`)
  else if (print) process.stdout.write(printSpec(spec))
  else {
    const count = spec.spans.length === 1 ? '1 span' : `${spec.spans.length} spans`
    process.stdout.write(`${spec.files.map(printable).join(', ')}: valid, ${count}.\n`)
  }
  return Exit.done
}
