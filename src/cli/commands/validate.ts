import { Exit, type ExitCode } from '../../errors.ts'
import { printable, printableJson } from '../../printable.ts'
import { printSpec } from '../../spec/print.ts'
import { loadFiles } from '../input/spec-files.ts'
import type { Session } from '../session.ts'

/** `spanplan validate`: checks the files, without reading the host. */
export async function validateCommand(
  session: Session,
  options: { readonly file: readonly string[]; readonly print: boolean }
): Promise<ExitCode> {
  const spec = await loadFiles(options.file, {
    trust: 'all',
    onFiles: (files) => {
      session.files = files
    }
  })
  const summary = {
    valid: true,
    name: spec.name,
    files: spec.files,
    digest: spec.digest,
    spans: spec.spans.map(({ name }) => name)
  }
  if (session.json) process.stdout.write(`${printableJson(summary)}\n`)
  else if (options.print) process.stdout.write(printSpec(spec))
  else {
    const count = spec.spans.length
    process.stdout.write(
      `${spec.files.map(printable).join(', ')}: valid, ${count} ${count === 1 ? 'span' : 'spans'}.\n`
    )
  }
  return Exit.done
}
