import { randomInt } from 'node:crypto'
import { type Argv, run } from '../host/exec.ts'

/** A line of a batch of `ip`: one command. */
export interface Line {
  readonly argv: Argv
  /** The link that it deletes; null: it deletes none. */
  readonly deletes: string | null
  /** The index of the task that has failed if this command fails. */
  readonly task: number
  /** How many of the first tasks are done when this command begins. */
  readonly done: number
}

/** Fewer links than that are deleted one by one: to find a free group takes a process. */
const fewest = 8

/** The numbers among which a group is chosen. They have 32 bits; 0 is the group "default" (ip-link(8)). Administrators choose small ones. */
const groups = { min: 2 ** 30, max: 2 ** 31 } as const

/**
 * Where a batch deletes many links one after the other, puts these links into a group that has no other link, and deletes the
 * group. To delete a bridge takes the kernel 38 ms, and 16 ms where many are deleted together.
 *
 * @returns the lines, and the links that these lines put into the group.
 */
export async function groupDeletions(lines: readonly Line[]) {
  const runs = splitRuns(lines)
  const group = runs.some(isLong) ? await findEmptyGroup() : null
  if (group === null) return { lines, links: [] }
  return {
    lines: runs.flatMap((run) => (isLong(run) ? deleteAsGroup(run, group) : run)),
    links: runs.filter(isLong).flatMap((run) => run.flatMap(({ deletes }) => deletes ?? []))
  }
}

/** Takes links out of their group again. With -force, ip goes on after a link that does not exist any more. */
export async function ungroup(links: readonly string[]): Promise<void> {
  if (links.length === 0) return
  const lines = links.map((link) => `link set dev ${link} group default\n`)
  await run(['ip', '-force', '-batch', '-'], lines.join(''))
}

/** Splits lines into runs of consecutive deletions, and runs of consecutive other commands. */
function splitRuns(lines: readonly Line[]): Line[][] {
  const runs: Line[][] = []
  for (const line of lines) {
    const run = runs.at(-1)
    const before = run?.at(-1)
    if (before && isDeletion(before) === isDeletion(line)) run?.push(line)
    else runs.push([line])
  }
  return runs
}

const isDeletion = ({ deletes }: Line): boolean => deletes !== null

const isLong = (run: readonly Line[]): boolean => run.length >= fewest && run.every(isDeletion)

function deleteAsGroup(run: readonly Line[], group: string): Line[] {
  const [first] = run
  if (first === undefined) return []
  const joins = run.flatMap(({ deletes, task }): Line[] =>
    deletes === null
      ? []
      : [{ argv: ['ip', 'link', 'set', 'dev', deletes, 'group', group], deletes: null, task, done: first.done }]
  )
  return [...joins, { ...first, argv: ['ip', 'link', 'del', 'group', group] }]
}

/** null: ip does not tell which links are in a group. */
async function findEmptyGroup(): Promise<string | null> {
  const group = String(randomInt(groups.min, groups.max))
  const { status, stdout } = await run(['ip', 'link', 'show', 'group', group])
  return status === 0 && stdout.trim() === '' ? group : null
}
