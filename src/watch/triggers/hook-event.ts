import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { indexLinks } from '../../host/host-index.ts'
import { readIpLinks } from '../../host/read-snapshot.ts'
import { findInterfaceSpans } from '../../plan/interface-spans.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { readOwnPauses, recordHook } from '../../run-dir/pauses.ts'
import type { Spec } from '../../spec/spec.ts'
import type { InterfaceEvent } from '../serve/ask-watch.ts'

/** What a hook sends. */
const eventSchema = z.object({ name: z.string(), direction: z.enum(['up', 'down']), paths: z.array(z.string()) })

/** What decides whether a watch does the work of a hook. */
interface HookContext {
  /** The absolute paths of the files and folders that the watch was given. */
  readonly paths: readonly string[]
  readonly spec: () => Spec
  /** The command as typed, for those who find the lock held. */
  readonly command: string
  readonly signal: AbortSignal
}

/** Milliseconds to wait for the lock: the hook waits longer, and has a limit of its own. */
const lockPatience = 1000

/**
 * Does what a hook would do before it leaves the rest to a run of the watch: it records an interface that goes down, or is back.
 *
 * @returns false: the hook has to do its work itself. It reads other files, or another spanplan holds the lock for long.
 */
export async function takeHookEvent(text: string, { paths, spec, command, signal }: HookContext): Promise<boolean> {
  const event: InterfaceEvent = eventSchema.parse(JSON.parse(text))
  if (!isDeepStrictEqual(event.paths, paths)) return false
  // What is not recorded as going down need not be recorded as up again.
  if (event.direction === 'up' && readOwnPauses(Date.now()).goingDown.length === 0) return true
  const lock = await takeLock({ command, timeout: lockPatience, signal })
  try {
    const links = await readIpLinks()
    const { device, spans } = findInterfaceSpans(spec(), event.name, indexLinks(links))
    if (spans.length > 0) recordHook(Date.now(), device, event.direction, links)
    return true
  } finally {
    lock.release()
  }
}
