import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs'
import { basename, dirname, isAbsolute } from 'node:path'
import type { Diagnostic } from '../../errors.ts'
import { distrustFile, distrustLink, distrustParent, distrustPlace } from './trust.ts'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

/** O_PATH in asm-generic/fcntl.h, on x86-64 and arm64: a folder that may not be listed can be gone through all the same. */
const O_PATH = 0o10000000

/** Symbolic links on the way to one file, as in path_resolution(7). */
const mostLinks = 40

/** A file or folder that is open, and why root had better not do what it says. Whoever opens it closes it. */
export interface Input {
  readonly file: number
  readonly stats: Stats
  readonly distrust: readonly Diagnostic[]
}

const standard = ['/dev/stdin', '/dev/stdout', '/dev/stderr']

/** The number of the descriptor that a path stands for; null: it stands for none. */
export function descriptorOf(path: string): number | null {
  if (standard.includes(path)) return standard.indexOf(path)
  const number = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(path)?.[1]
  return number === undefined ? null : Number(number)
}

/**
 * Opens what stands at a path, and never waits for it. What is judged is what was opened: each folder that a link may lead on
 * from is opened itself, and what is in it by that folder.
 *
 * @throws if it cannot be opened.
 */
export function openInput(path: string): Input {
  const distrust: Diagnostic[] = []
  for (let [at, links] = [path, 0]; ; links++) {
    const step = openStep(at)
    distrust.push(...step.distrust)
    if ('file' in step) return { ...step, distrust }
    if (links === mostLinks) throw new Error('too many symbolic links')
    at = step.target
  }
}

/**
 * Opens what a descriptor of this process stands for. What it says is the affair of who opened it.
 *
 * @returns the descriptor itself where it cannot be opened by its name: a socket, or what another user has made.
 * @throws if there is none.
 */
export function openDescriptor(descriptor: number): Input {
  const stats = fstatSync(descriptor)
  try {
    return { file: openSync(`/proc/self/fd/${descriptor}`, O_RDONLY | O_NONBLOCK | O_NOCTTY), stats, distrust: [] }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ENXIO' || error.code === 'EACCES'))) throw error
    return { file: descriptor, stats, distrust: [] }
  }
}

/**
 * Opens a file of the current folder that nobody has named: no link, and nothing but a file.
 *
 * @throws if it cannot be opened, or is no such file.
 */
export function openFound(name: string): Input {
  const folder = openSync('.', O_PATH | O_DIRECTORY)
  try {
    const place = distrustPlace(process.cwd(), fstatSync(folder))
    const file = openIn(folder, name)
    if (file === null) throw new Error('it is a symbolic link, and nobody has named it: name it with -f')
    const stats = fstatSync(file)
    if (stats.isFile()) return { file, stats, distrust: [...place, ...distrustFile(name, stats)] }
    closeSync(file)
    throw new Error('it is no regular file, and nobody has named it')
  } finally {
    closeSync(folder)
  }
}

/** The file itself, or where the link leads that stands there. */
function openStep(path: string): Input | { readonly target: string; readonly distrust: readonly Diagnostic[] } {
  const parent = dirname(path)
  const folder = openSync(parent, O_PATH | O_DIRECTORY)
  try {
    const around = fstatSync(folder)
    const file = openIn(folder, basename(path))
    if (file === null) {
      const link = entryOf(folder, basename(path))
      const target = readlinkSync(link)
      // Joined as they stand: what ".." means after a link, the kernel knows.
      return {
        target: isAbsolute(target) ? target : `${parent}/${target}`,
        distrust: [...distrustParent(parent, around), ...distrustLink(path, lstatSync(link), around)]
      }
    }
    const stats = fstatSync(file)
    const own = stats.isFile() || stats.isFIFO()
    return { file, stats, distrust: own ? [...distrustFile(path, stats), ...distrustParent(parent, around)] : [] }
  } finally {
    closeSync(folder)
  }
}

/** null: it is a link. */
function openIn(folder: number, name: string): number | null {
  try {
    return openSync(entryOf(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOOP') return null
    throw error
  }
}

const entryOf = (folder: number, name: string) => `/proc/self/fd/${folder}/${name}`
