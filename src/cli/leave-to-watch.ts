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
 * @returns false: the hook has to be run, also to say what is wrong with it.
 */
export async function leaveToWatch({ lockTimeout, ...selection }: HookOptions): Promise<boolean> {
  try {
    const event = readHookEvent(selection)
    if (event === null) return true
    const { name, direction, file } = event
    const paths = file.map((path) => resolve(path))
    return await notifyWatches({ name: name === everyInterface ? null : name, direction, paths }, lockTimeout)
  } catch {
    return false
  }
}
