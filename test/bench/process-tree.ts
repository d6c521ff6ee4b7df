/** What a process and all that it has started take of the machine. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Usage {
  /** Milliseconds of processor time, also of what has ended by now and was waited for. */
  readonly processor: number
  /** Megabytes, where what several processes share counts once (PSS). */
  readonly memory: Tree
  /** Megabytes of that which no file is behind: what the processes hold, whoever else runs the same programs. */
  readonly held: Tree
  /** Open descriptors. */
  readonly descriptors: Tree
}

/** Of a process itself, and with all that it runs. */
export interface Tree {
  readonly own: number
  readonly all: number
}

/** sysconf(_SC_CLK_TCK), on each architecture that Node.js supports. */
const millisecondsPerTick = 10

/** Reads what a process and its descendants have taken so far. */
export function readUsage(pid: number): Usage {
  const processes = [pid, ...descendantsOf(pid)]
  const sum = (read: (pid: number) => number) => processes.reduce((total, one) => total + read(one), 0)
  const tree = (read: (pid: number) => number): Tree => ({ own: read(pid), all: sum(read) })
  return {
    processor: sum(readProcessor),
    memory: tree((one) => readMemory(one, 'Pss')),
    held: tree((one) => readMemory(one, 'Pss_Anon')),
    descriptors: tree(countDescriptors)
  }
}

/** What runs of what a process has started, and what that has started in turn. */
function descendantsOf(pid: number): number[] {
  const children = orGone(() => readdirSync(`/proc/${pid}/task`), []).flatMap((task) =>
    orGone(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'), '')
      .split(' ')
      .filter(Boolean)
      .map(Number)
  )
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

/** utime, stime, cutime and cstime of proc_pid_stat(5). The name before them may have spaces and parentheses. */
function readProcessor(pid: number): number {
  const stat = orGone(() => readFileSync(`/proc/${pid}/stat`, 'utf8'), '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * millisecondsPerTick
}

/** @param field of /proc/PID/smaps_rollup: proc_pid_smaps(5). */
function readMemory(pid: number, field: 'Pss' | 'Pss_Anon'): number {
  const text = orGone(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), '')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1000
}

function countDescriptors(pid: number): number {
  return orGone(() => readdirSync(`/proc/${pid}/fd`), []).length
}

/** What has just ended has nothing any more. */
function orGone<Value>(read: () => Value, nothing: Value): Value {
  try {
    return read()
  } catch {
    return nothing
  }
}
