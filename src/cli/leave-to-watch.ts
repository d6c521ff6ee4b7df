import { resolve } from 'node:path'
import { notifyWatches } from '../watch/serve/ask-watch.ts'
import { everyInterface, type HookSelection, readHookEvent } from './input/hook-event.ts'

interface HookOptions extends HookSelection {
  /** Milliseconds. */
  readonly lockTimeout: number
}

/**
 * Leaves a hook to the watch that reads the same files. It is in the bundle of the command line: to tell the watch takes a tenth
 * of the time that the hook's own work takes to load.
 *
 * @returns null: nothing is left to do. Else the hook has to be run, also to say what is wrong with it: so many milliseconds are left
 * to it to wait for the lock.
 */
export async function leaveToWatch({ lockTimeout, ...selection }: HookOptions): Promise<number | null> {
  const deadline = performance.now() + lockTimeout
  try {
    const event = readHookEvent(selection)
    if (event === null) return null
    const { name, direction, file } = event
    const paths = file.map((path) => resolve(path))
    if (await notifyWatches({ name: name === everyInterface ? null : name, direction, paths }, lockTimeout)) return null
  } catch {
    // The hook itself says what is wrong.
  }
  return Math.max(0, deadline - performance.now())
}
