import { randomInt } from 'node:crypto'
import { type Argv, run } from '../host/exec.ts'

/** A command of a batch of `ip`. */
export interface Line {
  readonly argv: Argv
  /** The task that has failed where the command fails. */
  readonly task: number
  /** The number of tasks that are done before it. */
  readonly done: number
}

/** The commands of a batch, and the links that they put into a group. */
export interface GroupedLines {
  readonly lines: readonly Line[]
  readonly links: readonly string[]
}

/** Fewer links are deleted one by one: finding a group takes a process. */
const fewest = 8

/** A group's number has 32 bits; 0 is the group "default" (ip-link(8)). Administrators choose small numbers. */
const groups = { min: 2 ** 30, max: 2 ** 31 } as const

/**
 * Has links that are deleted one after the other deleted as a group, which nobody else's link is in: the kernel needs 38 ms to
 * delete one bridge, and 16 ms for each of many that are deleted together.
 */
export async function groupDeletions(lines: readonly Line[]): Promise<GroupedLines> {
  const runs = splitRuns(lines)
  const group = runs.some(isLong) ? await findEmptyGroup() : null
  if (group === null) return { lines, links: [] }
  return {
    lines: runs.flatMap((run) => (isLong(run) ? deleteAsGroup(run, group) : run)),
    links: runs.filter(isLong).flatMap((run) => run.flatMap(({ argv }) => deletedLink(argv) ?? []))
  }
}

/** Takes links out of their group again. Those that are gone by now are passed over. */
export async function ungroup(links: readonly string[]): Promise<void> {
  if (links.length === 0) return
  const lines = links.map((link) => `link set dev ${link} group default\n`)
  await run(['ip', '-force', '-batch', '-'], lines.join(''))
}

/** Runs of commands that delete a link, and of others. */
function splitRuns(lines: readonly Line[]): Line[][] {
  const runs: Line[][] = []
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1]
    const goesOn = before !== undefined && isDeletion(before) === isDeletion(line)
    if (goesOn) runs.at(-1)?.push(line)
    else runs.push([line])
  }
  return runs
}

const isDeletion = ({ argv }: Line): boolean => deletedLink(argv) !== null

const isLong = (run: readonly Line[]): boolean => run.length >= fewest && run.every(isDeletion)

function deletedLink([, object, verb, dev, name, ...more]: Argv): string | null {
  const isOne = object === 'link' && verb === 'del' && dev === 'dev' && more.length === 0
  return isOne ? (name ?? null) : null
}

function deleteAsGroup(run: readonly Line[], group: string): Line[] {
  const [first] = run
  if (first === undefined) return []
  const joins = run.map((line): Line => {
    const argv: Argv = ['ip', 'link', 'set', 'dev', deletedLink(line.argv) ?? '', 'group', group]
    return { ...line, argv, done: first.done }
  })
  return [...joins, { ...first, argv: ['ip', 'link', 'del', 'group', group] }]
}

/** null: ip does not tell which links are in a group. */
async function findEmptyGroup(): Promise<string | null> {
  const group = String(randomInt(groups.min, groups.max))
  const { status, stdout } = await run(['ip', 'link', 'show', 'group', group])
  return status === 0 && stdout.trim() === '' ? group : null
}
