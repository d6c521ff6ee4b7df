/** The programs that a process has started, so that another process can end them after that one was killed. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { timeLimit } from '../../host/process/run-limits.ts'

/** The variable of the environment that has the mark. */
const variable = 'SPANPLAN_PROGRAMS_OF'

/** Milliseconds between two looks. */
const interval = 20

/** Marks all programs that this process starts from now on. */
export function markPrograms(mark: string): void {
  process.env[variable] = mark
}

/**
 * Kills the programs that have a mark, and waits until they have ended: a program that waits for the kernel does not end at
 * once. After the time limit of a program, nothing is waited for.
 */
export async function endMarkedPrograms(mark: string): Promise<void> {
  const deadline = performance.now() + timeLimit
  // Again, for a program may just have started another one.
  for (let pids = findMarked(mark); pids.length > 0 && performance.now() < deadline; pids = findMarked(mark)) {
    for (const pid of pids) kill(pid)
    await sleep(interval)
  }
}

function findMarked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && readEnvironment(name).includes(`${variable}=${mark}`))
    .map(Number)
}

/**
 * What a process was started with; empty for one that has ended, of another user, or in another namespace. The environment is
 * in the memory of the process, and a process of others can have who reads that memory wait for ever.
 */
function readEnvironment(pid: string): readonly string[] {
  try {
    if (statSync(`/proc/${pid}`).uid !== process.geteuid?.() || namespacesOf(pid) !== namespacesOf('self')) return []
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return []
  }
}

function namespacesOf(pid: string): string {
  return ['user', 'net'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join(' ')
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}
