/** The processes that a process has started, as /proc tells them. */
import { readFileSync } from 'node:fs'

interface ChildProcess {
  readonly pid: number
  /** Its words, with spaces between them. */
  readonly command: string
}

/** The letter of a process's state, of proc_pid_stat(5); null: the process is gone. */
export function stateOf(pid: number): string | null {
  return /^\d+ \(.*\) (\S)/s.exec(read(pid, 'stat') ?? '')?.[1] ?? null
}

/** Those that have not ended. A process that ends just now has no words any more, and is none of them. */
export function childrenOf(parent: number): ChildProcess[] {
  const pids = read(parent, `task/${parent}/children`)?.match(/\d+/g) ?? []
  return pids.flatMap((name) => {
    const pid = Number(name)
    const command = read(pid, 'cmdline')?.replaceAll('\0', ' ').trim() ?? ''
    return command === '' ? [] : [{ pid, command }]
  })
}

function read(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return null
  }
}
