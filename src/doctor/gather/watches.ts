import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isTrustedFolder, runFile } from '../../run-dir/folder.ts'
import { readHolder } from '../../run-dir/lock-holder.ts'
import { watchNames } from '../../watch/serve/ask-watch.ts'
import { findWatch } from '../../watch/serve/find-watch.ts'
import type { WatchReading } from '../readings.ts'

/** Asks the watches that run, or have run, and that of a name. */
export async function readWatches(name: string | null): Promise<WatchReading[]> {
  const names = new Set([...watchNames(), ...(name === null ? [] : [name])])
  return Promise.all([...names].map(async (one) => ({ name: one, ...(await findWatch(one)) })))
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
