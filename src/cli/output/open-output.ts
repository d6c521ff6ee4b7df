import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { systemCode } from '../../errors.ts'
import { isTrustedUser } from '../../host/file-permissions.ts'
import { descriptorOf } from '../input/open-input.ts'

const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

const reasons: Readonly<Record<string, string>> = {
  ELOOP: 'it is a symbolic link: name what it leads to',
  ENXIO: 'it is a pipe that nobody reads, or a socket'
}

/**
 * Opens a file for writing. It may also be a pipe that somebody reads, a device, or a descriptor of this process. A new file
 * is for its owner alone. A symbolic link is not followed, and a file of another user is not written to.
 *
 * @returns a descriptor.
 * @throws if it cannot be opened, or is refused.
 */
export function openOutput(path: string): number {
  const descriptor = descriptorOf(path)
  if (descriptor !== null) return descriptor
  const file = openNonblocking(path)
  try {
    const stats = fstatSync(file)
    const { uid, nlink } = stats
    if (!isTrustedUser(uid)) throw new Error(`it belongs to another user (uid ${uid})`)
    if (!stats.isFile()) {
      // Opened again so that writing blocks until the reader has read.
      const blocking = openSync(`/proc/self/fd/${file}`, O_WRONLY | O_NOCTTY)
      closeSync(file)
      return blocking
    }
    if (nlink > 1) throw new Error('it has a second name elsewhere')
    ftruncateSync(file)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** Does not block where a pipe has no reader: it throws. */
function openNonblocking(path: string): number {
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600)
  } catch (error) {
    const reason = reasons[systemCode(error) ?? '']
    throw reason === undefined ? error : new Error(reason)
  }
}
