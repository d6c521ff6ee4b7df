import { program } from '../cli/commands-and-flags.ts'
import { jsonSchema } from '../spec/schema/schema.ts'
import { writeCommandLine, writeManPages, writeSpecReference } from './command-pages.ts'
import { writeInstallPage } from './hosts.ts'
import { writeJsonReference } from './json-page.ts'
import { writeExitReference, writeMessageReference, writeMetricReference } from './table-pages.ts'

/** Every generated page, by its path in the repository. */
export function writePages(): ReadonlyMap<string, string> {
  const man = [...writeManPages(program)].map(([name, page]) => [`man/${name}`, page] as const)
  return new Map([
    ['docs/reference/cli.md', writeCommandLine(program)],
    ['docs/reference/exit-codes.md', writeExitReference()],
    ['docs/reference/json.md', writeJsonReference()],
    ['docs/reference/messages.md', writeMessageReference()],
    ['docs/reference/metrics.md', writeMetricReference()],
    ['docs/reference/spans-yaml.md', writeSpecReference()],
    ['schemas/spans.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`],
    ['docs/howto/install.md', writeInstallPage()],
    ...man
  ])
}
