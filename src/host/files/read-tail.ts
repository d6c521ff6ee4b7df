import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { entryOf, O_PATH } from './open-file.ts'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

/** The end of a file. */
export interface Tail {
  /** Whole lines, each with its end: the first is left out if it may have begun earlier, and the last if it has not ended yet. */
  readonly text: string
  /** The file begins before them. */
  readonly isCut: boolean
}

/** Why a file is not read. */
export interface NotRead {
  readonly problem: string
}

/**
 * Reads the end of a file that somebody who is not trusted may write, with the folders around it. No symbolic link is followed at any
 * part of the path: a container's root is the host's root by its number, so that no owner and no mode tells what it may replace. Each
 * folder is opened through the one before, and nothing is opened for reading but a regular file.
 *
 * @param path from the root on, without `.` and `..`.
 * @param most bytes.
 * @throws if the system refuses.
 */
export async function readTail(path: string, most: number): Promise<Tail | NotRead> {
  const file = await openPlain(path)
  if ('problem' in file) return file
  try {
    const { size } = await file.stat()
    const start = Math.max(0, size - most)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, most)), { position: start })
    const read = buffer.subarray(0, bytesRead)
    // Of a line that is not whole at either end, nothing is known.
    const whole = read.subarray(start === 0 ? 0 : read.indexOf('\n') + 1, read.lastIndexOf('\n') + 1)
    return { text: whole.toString(), isCut: start > 0 }
  } finally {
    await file.close()
  }
}

async function openPlain(path: string): Promise<FileHandle | NotRead> {
  let place = await open('/', O_PATH)
  try {
    let walked = ''
    for (const part of path.split('/').slice(1)) {
      const next = await open(entryOf(place.fd, part), O_PATH | O_NOFOLLOW)
      await place.close()
      place = next
      walked += `/${part}`
      if ((await place.stat()).isSymbolicLink()) {
        const what = walked === path ? 'it' : walked
        return { problem: `${what} is a symbolic link, and none is followed: write the path that it leads to` }
      }
    }
    if (!(await place.stat()).isFile()) return { problem: 'it is not a regular file' }
    // A lease that somebody holds on it is not waited for (fcntl(2)).
    return await open(`/proc/self/fd/${place.fd}`, O_RDONLY | O_NONBLOCK | O_NOCTTY)
  } finally {
    await place.close()
  }
}
