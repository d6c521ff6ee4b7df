import * as z from 'zod'
import { systemCode } from '../errors.ts'
import { readRunFile } from './folder.ts'

/** The lock of the unit that holds a detached window: nobody else changes the host as long as it is held. */
export const windowLock = 'window'

const holderSchema = z.object({
  pid: z.int().positive(),
  command: z.string(),
  since: z.iso.datetime(),
  waits_until: z.iso.datetime().optional(),
  /** The id of the window that it holds, or waits in. */
  window: z.string().optional()
})

/** The process that holds a lock, as it has written itself into the lock's file. Times are ISO 8601. */
export type Holder = z.infer<typeof holderSchema>

/**
 * Reads who holds a lock, without taking it. What a killed process wrote is ignored.
 *
 * @returns null if nobody holds it, the file cannot be read, or the holder has not written itself yet.
 */
export function readHolder(kind = 'lock'): Holder | null {
  try {
    const holder = holderSchema.parse(JSON.parse(readRunFile(kind) ?? ''))
    return isRunning(holder.pid) ? holder : null
  } catch {
    return null
  }
}

/** Whether a process exists. EPERM: it exists, and belongs to another user. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** Seconds until a holder stops waiting for a person; 0: it does not wait for a person. */
export function secondsLeft({ waits_until: until }: Holder): number {
  return until === undefined ? 0 : Math.max(0, Math.ceil((Date.parse(until) - Date.now()) / 1000))
}
