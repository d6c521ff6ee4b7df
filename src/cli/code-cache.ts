import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'

/** Root's cache folder. Root takes no other one, whatever the environment says. */
const rootFolder = '/var/cache/spanplan'

/** Bytes. A cache of the largest command has less than 2 MB. */
const longest = 16 * 1024 * 1024

/** Bits of a mode, as in inode(7). */
const writableByOthers = 0o022

/**
 * A file of compiled code. V8 runs what is in the file, and compares only the length of the source with it. So the file is read
 * only if nobody but this user or root can have written it, and if it was made for exactly the code at hand.
 */
export interface CodeCache {
  /** The compiled code; undefined where there is none that fits, or none that can be trusted. */
  read(): Buffer | undefined
  /** Replaces the file. Does nothing where that fails: the next start is slower, and no more. */
  write(code: Buffer): void
}

/**
 * Opens a cache.
 *
 * @param name names the file.
 * @param identity tells the code at hand from any other, also of another Node.js.
 */
export function openCodeCache(name: string, identity: readonly string[]): CodeCache {
  // The variable with which Node's own cache is switched off.
  if (process.env.NODE_DISABLE_COMPILE_CACHE) return { read: () => undefined, write: () => undefined }
  const header = Buffer.from(`${JSON.stringify(identity)}\n`)
  return {
    read: () =>
      quietly(() => {
        const contents = readTrusted(join(cacheFolder(), `${name}.cache`))
        const fits = contents?.subarray(0, header.length).equals(header)
        return fits ? contents?.subarray(header.length) : undefined
      }),
    write: (code) =>
      quietly(() => {
        const folder = cacheFolder()
        // The system's own folder is not made here.
        if (folder === rootFolder) lstatSync(dirname(folder))
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        if (isTrustedFolder(folder)) replace(join(folder, `${name}.cache`), Buffer.concat([header, code]))
      })
  }
}

/** For others than root, as the XDG base directory specification has it. Throws for a user who has no home. */
function cacheFolder(): string {
  if (process.geteuid?.() === 0) return rootFolder
  const { XDG_CACHE_HOME: given = '' } = process.env
  return join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'spanplan')
}

function readTrusted(path: string): Buffer | undefined {
  if (!isTrustedFolder(dirname(path))) return undefined
  // A pipe would be waited for.
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(file)
    return stats.isFile() && stats.size <= longest && isOurs(stats) ? readFileSync(file) : undefined
  } finally {
    closeSync(file)
  }
}

/** Whoever can write to a folder above can put another one in its place. */
function isTrustedFolder(folder: string): boolean {
  const stats = lstatSync(folder)
  return stats.isDirectory() && isOurs(stats) && (dirname(folder) === folder || isTrustedFolder(dirname(folder)))
}

/** A user whom sudo names is not trusted here: code is not configuration. */
function isOurs({ uid, mode }: Stats): boolean {
  return (uid === 0 || uid === process.geteuid?.()) && (mode & writableByOthers) === 0
}

/** Renamed into its place once it is on the disk: whoever reads it meanwhile, or after a power failure, finds one whole file. */
function replace(path: string, contents: Buffer): void {
  const aside = `${path}.${process.pid}`
  try {
    writeFileSync(aside, contents, { flag: 'wx', mode: 0o600, flush: true })
    renameSync(aside, path)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
}

/** A disk that is full, read-only or not mounted yet costs time, and must cost nothing else. */
function quietly<Result>(work: () => Result): Result | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
