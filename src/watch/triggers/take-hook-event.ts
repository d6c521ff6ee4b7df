import { uptime } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { indexLinks } from '../../host/host-index.ts'
import { readIpLinks } from '../../host/read-snapshot.ts'
import { findInterfaceSpans } from '../../resources/sources/interface-spans.ts'
import { recordHook } from '../../run-dir/hook-records.ts'
import type { KeptLock } from '../../run-dir/kept-lock.ts'
import { lockPatience } from '../../run-dir/lock-limits.ts'
import { readOwnPauses } from '../../run-dir/pauses.ts'
import type { openReconciler } from '../reconciler.ts'

const eventSchema = z.object({
  /** null: every interface. */
  name: z.string().nullable(),
  direction: z.enum(['up', 'down']),
  /** The absolute paths of the files and folders that the hook would read. */
  paths: z.array(z.string()),
  /** When the hook has given up waiting, in seconds since the machine was started. */
  until: z.number()
})

/** An interface that comes up or goes down, as a hook sends it to a watch. */
export type InterfaceEvent = Readonly<z.infer<typeof eventSchema>>

/**
 * Does what a hook would do before it leaves the rest to a run of the watch: it records an interface that goes down, or is back.
 *
 * @returns looks whether the event needs a run; null: the hook has to do its work itself. It reads other files, it has given up
 * waiting, or another spanplan holds the lock for long.
 */
export async function takeHookEvent(
  text: string,
  { spec, filesInForce }: Pick<ReturnType<typeof openReconciler>, 'spec' | 'filesInForce'>,
  lock: KeptLock,
  signal: AbortSignal
): Promise<(() => Promise<boolean>) | null> {
  const { name, direction, paths, until } = eventSchema.parse(JSON.parse(text))
  if (!isDeepStrictEqual(paths, filesInForce().paths)) return null
  if (name === null) return async () => true
  const look = async () => {
    const { links } = await readIpLinks()
    return { ...findInterfaceSpans(spec(), name, indexLinks(links)), links }
  }
  // What is not recorded as going down need not be recorded as up again.
  if (direction === 'up' && readOwnPauses(Date.now()).goingDown.length === 0) {
    return async () => (await look()).spans.length > 0
  }
  const { device, spans, links } = await look()
  if (spans.length === 0) return async () => false
  const held = await lock.take({ timeout: lockPatience.hookEvent, signal })
  try {
    if (uptime() > until) return null
    recordHook(Date.now(), device, direction, links)
    return async () => true
  } finally {
    held.release()
  }
}
