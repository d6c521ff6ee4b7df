/** The table of the hosts that tests run on. test/hosts/run has counted them. */
import { readFileSync } from 'node:fs'
import * as z from 'zod'

const count = z.object({ ran: z.number(), passed: z.number() })
const host = z.object({
  /** When its tests ran, YYYY-MM-DD. */
  day: z.string(),
  /** By what has that version. */
  versions: z.record(z.string(), z.string()),
  /** By the file. */
  tests: z.record(z.string(), count)
})
/** test/hosts/results.json, by the host of test/hosts/hosts.tsv. */
const results = z.record(z.string(), host)

/** A host that nobody has run the tests on since it is in the list. */
const notCounted = { day: 'not run', versions: {}, tests: {} }

type Count = z.infer<typeof count>

interface Found extends z.infer<typeof host> {
  readonly name: string
  readonly title: string
  /** It runs the tests of test/stock, and no others. */
  readonly hasOwnKernel: boolean
}

const versions = ['kernel', 'Docker', 'iproute2', 'nftables', 'libpcap', 'Node.js']

/** docs/howto/install.md as it is, with today's table in place of the one between the two comments. */
export function writeInstallPage(): string {
  const counted = results.parse(JSON.parse(readFileSync('test/hosts/results.json', 'utf8')))
  const found = readRows('test/hosts/hosts.tsv').map(
    ([name = '', other = '', ...more]): Found => ({
      name,
      title: more.length > 0 ? titleOf(name) : `${titleOf(other)}, QEMU`,
      hasOwnKernel: more.length === 0,
      ...(counted[name] ?? notCounted)
    })
  )
  const page = readFileSync('docs/howto/install.md', 'utf8')
  return page.replace(/(<!-- hosts: .*-->\n)[\s\S]*(<!-- end of hosts -->)/, `$1\n${writeTests(found)}\n$2`)
}

function writeTests(found: readonly Found[]): string {
  const listed = readRows('test/hosts/tests.tsv')
  const rows = [...new Set(listed.map(([area]) => area))].map((area = '') => [
    area,
    ...found.map(({ name, tests, hasOwnKernel }) => {
      const files = listed.flatMap(([of, path = '', hosts]) => {
        const isListed = hosts === undefined || hosts.split(' ').includes(name)
        return of === area && isListed && path.startsWith('test/stock/') === hasOwnKernel ? [path] : []
      })
      return files.length === 0 ? '' : writeCount(files.flatMap((path) => tests[path] ?? []))
    })
  ])
  const days = ['run on', ...found.map(({ day }) => day)]
  const programs = [...versions, 'Podman'].map((program) => [
    program,
    ...found.map(({ versions: known }) => known[program] ?? '')
  ])
  return writeTable(['', ...found.map(({ title }) => title)], [...programs, days, ...rows])
}

const readRows = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))

/** `ubuntu-24.04`: Ubuntu 24.04; `sid`: Debian sid. */
function titleOf(name: string): string {
  const [, distribution = 'debian', release = name] = /^(\w+)-(.*)$/.exec(name) ?? []
  return `${distribution.replace(/^./, (letter) => letter.toUpperCase())} ${release}`
}

function writeCount(counts: readonly Count[]): string {
  const sum = (key: keyof Count) => counts.reduce((total, count) => total + count[key], 0)
  return sum('ran') === 0 ? 'not run' : `${sum('passed')} of ${sum('ran')}`
}

function writeTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return `${[line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')}\n`
}
