import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { isTrustedUser } from '../../host/file-permissions.ts'
import { descriptorOf } from '../input/open-input.ts'

const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

const reasons: Readonly<Record<string, string>> = {
  ELOOP: 'it is a symbolic link: name what it leads to',
  ENXIO: 'it is a pipe that nobody reads, or a socket'
}

/**
 * Opens a file to be written, for its owner alone where it is new; also a pipe that somebody reads, a device, or a descriptor.
 * It writes through no link, and nothing into what another user has put there for it.
 *
 * @returns a descriptor.
 * @throws if it cannot be written, or had better not be.
 */
export function openOutput(path: string): number {
  const descriptor = descriptorOf(path)
  if (descriptor !== null) return descriptor
  const file = openQuickly(path)
  try {
    const stats = fstatSync(file)
    const { uid, nlink } = stats
    if (!isTrustedUser(uid)) throw new Error(`it belongs to another user (uid ${uid})`)
    if (!stats.isFile()) {
      // What is written to it waits for whoever reads it.
      const waiting = openSync(`/proc/self/fd/${file}`, O_WRONLY | O_NOCTTY)
      closeSync(file)
      return waiting
    }
    if (nlink > 1) throw new Error('it has a second name elsewhere')
    ftruncateSync(file)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** Never waits for a reader. */
function openQuickly(path: string): number {
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? reasons[String(error.code)] : undefined
    throw reason === undefined ? error : new Error(reason)
  }
}
