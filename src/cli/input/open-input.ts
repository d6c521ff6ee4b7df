import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs'
import { basename, dirname, isAbsolute, join, sep } from 'node:path'
import { type Fault, systemCode } from '../../errors.ts'
import { entryOf, O_PATH, pathOf, withFile } from '../../host/files/open-file.ts'
import { distrustDefaultFolder, distrustFile, distrustLink, distrustParent } from '../../host/files/trust.ts'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

/** The most symbolic links that are followed to one file: the kernel's own limit, path_resolution(7). */
export const mostLinks = 40

/** An open file or folder, and why root must not trust it. The caller closes it. */
export interface Input {
  readonly file: number
  readonly stats: Stats
  readonly distrust: readonly Fault[]
  /** The path to which a link has led, out of the folder in which the user named it. */
  readonly elsewhere: string | null
}

const standard = ['/dev/stdin', '/dev/stdout', '/dev/stderr']

/** The number of the descriptor that a path stands for, as /dev/fd/3 does; null: the path is of a file. */
export function descriptorOf(path: string): number | null {
  if (standard.includes(path)) return standard.indexOf(path)
  const number = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(path)?.[1]
  return number === undefined ? null : Number(number)
}

/**
 * Opens the file at a path without blocking. Links are followed one by one. What is checked is what was opened: the folder of
 * each link is opened first, and its entries are opened through it.
 *
 * @param links how many more are followed.
 * @throws if it cannot be opened.
 */
export function openInput(path: string, links = mostLinks): Input {
  const parent = dirname(path)
  return withFile(openSync(parent, O_PATH | O_DIRECTORY), (folder) => {
    const around = fstatSync(folder)
    const file = openIn(folder, basename(path))
    if (file !== null) {
      const stats = fstatSync(file)
      const own = stats.isFile() || stats.isFIFO()
      const distrust = own ? [...distrustFile(path, stats, file), ...distrustParent(parent, around, folder)] : []
      return { file, stats, distrust, elsewhere: null }
    }
    const link = entryOf(folder, basename(path))
    const target = readlinkSync(link)
    const distrust = [...distrustParent(parent, around, folder), ...distrustLink(path, lstatSync(link), around, folder)]
    if (links === 0) throw new Error('too many symbolic links')
    // Not normalised: only the kernel knows what ".." means after a link.
    const input = openInput(isAbsolute(target) ? target : `${parent}/${target}`, links - 1)
    const end = pathOf(input.file)
    const elsewhere = end.startsWith(join(pathOf(folder), sep)) ? null : end
    return { ...input, distrust: [...distrust, ...input.distrust], elsewhere }
  })
}

/**
 * Opens a descriptor of this process again, so that reading it does not block. Whoever gave it to this process is trusted.
 *
 * @returns the descriptor itself where it cannot be opened again: a socket, or a pipe that another user made.
 * @throws if this process has no such descriptor.
 */
export function openDescriptor(descriptor: number): Input {
  const stats = fstatSync(descriptor)
  try {
    return { file: reopen(descriptor), stats, distrust: [], elsewhere: null }
  } catch (error) {
    if (!['ENXIO', 'EACCES'].includes(systemCode(error) ?? '')) throw error
    return { file: descriptor, stats, distrust: [], elsewhere: null }
  }
}

/**
 * Opens a default file in the current folder, which the user has not named. It must be a regular file and no link.
 *
 * @throws if it cannot be opened, or is no regular file.
 */
export function openDefault(name: string): Input {
  return withFile(openSync('.', O_PATH | O_DIRECTORY), (folder) => {
    const around = distrustDefaultFolder(process.cwd(), fstatSync(folder), folder)
    const file = openIn(folder, name)
    if (file === null) throw new Error('it is a symbolic link, which is followed only if you name it with -f')
    const stats = fstatSync(file)
    const distrust = [...around, ...distrustFile(name, stats, file)]
    if (stats.isFile()) return { file, stats, distrust, elsewhere: null }
    closeSync(file)
    throw new Error('it is not a regular file: name it with -f if you want it to be read')
  })
}

/** null: the entry is a symbolic link. A device is not opened: that alone may do something. */
function openIn(folder: number, name: string): number | null {
  return withFile(openSync(entryOf(folder, name), O_PATH | O_NOFOLLOW), (file) => {
    const stats = fstatSync(file)
    if (stats.isSymbolicLink()) return null
    if (stats.isCharacterDevice() || stats.isBlockDevice()) throw new Error('it is a device')
    return reopen(file)
  })
}

/** Opens what a descriptor is of, to read it. */
export function reopen(file: number): number {
  return openSync(`/proc/self/fd/${file}`, O_RDONLY | O_NONBLOCK | O_NOCTTY)
}
