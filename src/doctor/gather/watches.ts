import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isTrustedFolder, runFile } from '../../run-dir/folder.ts'
import { readHolder } from '../../run-dir/lock.ts'
import { askWatch, watchNames, watchSocket } from '../../watch/serve/ask-watch.ts'
import { findWatchPid } from '../../watch/serve/claim-name.ts'
import type { WatchFacts } from '../facts.ts'

/** Asks the watches that run, or have run, and that of a name. */
export async function readWatches(name: string | null): Promise<WatchFacts[]> {
  const names = new Set([...watchNames(), ...(name === null ? [] : [name])])
  return Promise.all(
    [...names].map(async (one) => {
      const socket = runFile(watchSocket(one))
      const state = await askWatch(one, 'state')
      const pid = findWatchPid(one)
      return { name: one, state, pid, socket: existsSync(socket) ? socket : null }
    })
  )
}

/** Drafts of this network namespace that a killed process has left. Who writes a draft holds the lock. */
export function findLeftFiles(): string[] {
  if (!isTrustedFolder() || readHolder() !== null) return []
  const example = runFile('')
  try {
    const names = readdirSync(dirname(example))
    return names
      .filter((name) => name.startsWith(basename(example)) && name.endsWith('.new'))
      .map((name) => join(dirname(example), name))
  } catch {
    return []
  }
}
