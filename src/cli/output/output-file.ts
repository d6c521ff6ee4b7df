import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SpanplanError, systemReason } from '../../errors.ts'
import { isTrustedUser } from '../../host/files/permissions.ts'
import { printable } from '../../printable.ts'
import { descriptorOf } from '../input/open-input.ts'

const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

/**
 * Saves a text to a file atomically, for its owner alone.
 *
 * @throws if the file is not replaced.
 */
export function saveFile(path: string, text: string): void {
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    // Renaming over a device or a link would replace the device or the link itself.
    const existing = lstatSync(path, { throwIfNoEntry: false })
    if (existing?.isFile() === false) throw new Error('it exists, and is not a regular file')
    if (existing !== undefined) checkOwner(existing.uid)
    writeFileSync(draft, text, { flag: 'wx', mode: 0o600, flush: true })
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
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
  // Without O_NONBLOCK, it would block where a pipe has no reader.
  const file = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600)
  try {
    const stats = fstatSync(file)
    checkOwner(stats.uid)
    if (!stats.isFile()) {
      // Opened again so that writing blocks until the reader has read.
      const blocking = openSync(`/proc/self/fd/${file}`, O_WRONLY | O_NOCTTY)
      closeSync(file)
      return blocking
    }
    if (stats.nlink > 1) throw new Error('it has another hard link')
    ftruncateSync(file)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function checkOwner(uid: number): void {
  if (!isTrustedUser(uid)) throw new Error(`it belongs to another user (uid ${uid})`)
}

/**
 * The error for a file that cannot be written to.
 *
 * @param what cannot be written.
 * @param option names the file.
 */
export function fileUnwritable(what: string, path: string, error: unknown, option: string): SpanplanError {
  const reason = systemReason(error, {
    ELOOP: 'it is a symbolic link: name its target instead',
    ENOENT: 'its folder does not exist',
    ENOTDIR: 'what should be its folder is a file',
    ENXIO: 'it is a pipe that nobody reads, or a socket'
  })
  return new SpanplanError({
    code: 'FILE_UNWRITABLE',
    message: `${what} cannot be written to ${printable(path)}: ${printable(reason)}`,
    hint: `name another file with ${option}`
  })
}
