import { Exit, SpanplanError } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { type Lock, takeLock } from '../../run-dir/lock.ts'
import { readHolder } from '../../run-dir/lock-holder.ts'

/** Which lock only one watch of a name has. */
export const lockKind = (name: string) => `${name}.watching`

/** The number of the process that watches a name, whether it answers or hangs; null: none is known. */
export function findWatchPid(name: string): number | null {
  return readHolder(lockKind(name))?.pid ?? null
}

/**
 * Takes the lock that only one watch of a name in this network namespace can have.
 *
 * @throws SpanplanError WATCH_RUNS if another watch has it.
 */
export async function claimName(name: string): Promise<Lock> {
  const kind = lockKind(name)
  try {
    return await takeLock({ kind, timeout: 0 })
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.diagnostics[0]?.code !== 'LOCKED') throw error
    const holder = readHolder(kind)
    const who = holder === null ? '' : `: pid ${holder.pid}, since ${localTime(holder.since)}`
    const message = `a watch of the name ${name} is already running${who}`
    const hint = 'stop that one first; to see what it does: spanplan status'
    throw new SpanplanError({ code: 'WATCH_RUNS', message, hint }, Exit.locked)
  }
}
