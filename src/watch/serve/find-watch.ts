import { accessSync, constants, existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isTrustedFolder, runFile } from '../../run-dir/folder.ts'
import { isHeld } from '../../run-dir/lock.ts'
import type { SilentWatch, WatchState } from '../../status/watch-state.ts'
import { answerTime, askWatch, watchSocket } from './ask-watch.ts'
import { findWatchPid, lockKind } from './claim-name.ts'

/** What there is of the watch of a name. */
export interface FoundWatch {
  /** The path of its socket; null: there is none. */
  readonly socket: string | null
  /** null: it does not answer. */
  readonly state: WatchState | null
  /** null: it answers, or there is none. */
  readonly silent: SilentWatch | null
}

/** Milliseconds between two questions. */
const interval = 100

/** Asks the watch of a name. One that starts or ends has no socket for a moment: it is asked again. */
export async function findWatch(name: string): Promise<FoundWatch> {
  const end = performance.now() + answerTime
  for (;;) {
    const state = await askWatch(name, 'state')
    const path = runFile(watchSocket(name))
    const socket = existsSync(path) ? path : null
    if (state !== null) return { socket, state, silent: null }
    const holder = findWatchPid(name)
    // Another process may have the number of one that was killed: the lock tells.
    const pid = holder !== null && (await isHeld(lockKind(name))) ? holder : null
    if (pid === null || performance.now() >= end) return { socket, state, silent: findSilent(socket, pid) }
    await sleep(interval)
  }
}

function findSilent(socket: string | null, pid: number | null): SilentWatch | null {
  if (pid !== null) return { is: 'hanging', pid }
  // In a folder that others may write to, anybody can make one.
  if (socket === null || !isTrustedFolder()) return null
  try {
    accessSync(socket, constants.W_OK)
    return { is: 'killed' }
  } catch {
    // Another user's; or it has ended just now.
    return existsSync(socket) ? { is: 'hidden' } : null
  }
}
