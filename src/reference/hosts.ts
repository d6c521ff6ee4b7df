/** The tables of the hosts that tests run on. test/hosts/run has counted them. */
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
type Results = z.infer<typeof results>

const versions = ['kernel', 'Docker', 'iproute2', 'nftables', 'libpcap', 'Node.js']

/** Of what no test runs: Debian has no package of them. */
const notRun = ['Docker 29', 'docker-ce']

/** The pages that have such a table, with the function that writes it. */
const tables = { 'README.md': writeSummary, 'docs/howto/install.md': writeAreas } as const

/** The pages as they are, with today's tables in place of those between the two comments. */
export function writeHostPages(): [path: string, page: string][] {
  const counted = results.parse(JSON.parse(readFileSync('test/hosts/results.json', 'utf8')))
  const names = readRows('test/hosts/hosts.tsv').map(([name = '']) => name)
  const found = Object.fromEntries(names.map((name) => [name, counted[name] ?? notCounted]))
  return Object.entries(tables).map(([path, write]) => {
    const page = readFileSync(path, 'utf8')
    return [path, page.replace(/(<!-- hosts: .*-->\n)[\s\S]*(<!-- end of hosts -->)/, `$1\n${write(found)}\n$2`)]
  })
}

function writeSummary(found: Results): string {
  const rows = Object.entries(found).map(([name, { versions: known, tests }]) => [
    titleOf(name),
    ...versions.map((program) => known[program] ?? ''),
    writeCount(sum(Object.values(tests)))
  ])
  const missing = notRun.map((name) => [name, ...versions.map(() => ''), 'not run'])
  return writeTable(['host', ...versions, 'passed'], [...rows, ...missing])
}

function writeAreas(found: Results): string {
  const hosts = Object.entries(found)
  const listed = readRows('test/hosts/tests.tsv')
  const rows = [...new Set(listed.map(([area]) => area))].map((area = '') => [
    area,
    ...hosts.map(([, { tests }]) =>
      writeCount(sum(listed.flatMap(([of, path = '']) => (of === area ? (tests[path] ?? []) : []))))
    )
  ])
  const days = ['run on', ...hosts.map(([, { day }]) => day)]
  const programs = versions.map((program) => [program, ...hosts.map(([, { versions: known }]) => known[program] ?? '')])
  return writeTable(['', ...hosts.map(([name]) => titleOf(name))], [...programs, days, ...rows])
}

const readRows = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))

/** `debian-12`: Debian 12; `sid`: Debian sid. */
const titleOf = (name: string) => `Debian ${name.replace(/^debian-/, '')}`

const sum = (counts: readonly Count[]): Count =>
  counts.reduce((a, b) => ({ ran: a.ran + b.ran, passed: a.passed + b.passed }), { ran: 0, passed: 0 })

const writeCount = ({ ran, passed }: Count) => (ran === 0 ? 'not run' : `${passed} of ${ran}`)

function writeTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return `${[line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')}\n`
}
