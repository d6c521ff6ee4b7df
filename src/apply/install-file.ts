import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type Diagnostic, diagnostic, type Fault, SpanplanError, systemCode, systemReason } from '../errors.ts'
import { entryOf, pathOf, withFile } from '../host/files/open-file.ts'
import { DistrustError, distrustDefaultFolder, distrustFile, foldersAbove } from '../host/files/trust.ts'
import { isRoot, rightMissing } from '../host/process/process-rights.ts'
import { printable } from '../printable.ts'
import { largestFile } from '../spec/yaml/decode.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, W_OK } = constants

/** A file that takes the place of another once it is applied. */
export interface Installation {
  /** The absolute path, without a symbolic link in it. */
  readonly path: string
  readonly bytes: Uint8Array
  /** The digest of what is at the path before the apply; null: nothing is. */
  readonly before: string | null
  /** Its folders are not checked: others may write to them. */
  readonly insecure: boolean
}

/** Where a file is installed. */
type Place = Pick<Installation, 'path' | 'insecure'>

/**
 * Reads what an installation would replace, before anything is changed.
 *
 * @param path is relative to the current folder.
 * @param insecure others than root may write to the folder, or put another folder in its place.
 * @throws SpanplanError FILE_INSECURE; RIGHT_MISSING; or FILE_UNWRITABLE where the path is of no regular file, or its folder is
 * missing.
 */
export function planInstallation(path: string, bytes: Uint8Array, insecure: boolean): Installation {
  const named = resolve(path)
  return inFolder({ path: named, insecure }, (folder) => {
    // A link that leads elsewhere later is not followed again.
    const real = join(pathOf(folder), basename(named))
    return { path: real, bytes, before: digestAt(folder, real), insecure }
  })
}

/** Why {@link installFile} would fail: the right to write to the folder is missing, or nobody can write there. */
export function findInstallFaults(installation: Installation): readonly Diagnostic[] {
  if (!isNewFile(installation)) return []
  try {
    inFolder(installation, (folder) => accessSync(entryOf(folder, '.'), W_OK))
    return []
  } catch (error) {
    if (error instanceof SpanplanError) return error.diagnostics
    throw error
  }
}

/** Whether the file is another one than what is there. */
export function isNewFile({ bytes, before }: Installation): boolean {
  return digest(bytes) !== before
}

/**
 * Puts the file in its place atomically, and on the disk. It gets the owner of the folder, and the mode 0644. A file that is
 * there already is not written again.
 *
 * @throws SpanplanError FILE_CHANGED if somebody else has changed it since {@link planInstallation}; FILE_INSECURE;
 * RIGHT_MISSING; or FILE_UNWRITABLE, such as where the disk is full: what was there stays.
 */
export function installFile(installation: Installation): void {
  const { path, bytes, before } = installation
  inFolder(installation, (folder) => {
    const now = digestAt(folder, path)
    if (now === digest(bytes)) return
    if (now !== before) {
      const message = `${printable(path)} was changed by somebody else meanwhile, and stays as it is now`
      throw new SpanplanError(diagnostic('FILE_CHANGED', message, 'look at it, and then run the apply again'))
    }
    const draft = entryOf(folder, `.${basename(path)}.spanplan`)
    try {
      writeDraft(draft, bytes, folder)
      renameSync(draft, entryOf(folder, basename(path)))
    } catch (error) {
      rmSync(draft, { force: true })
      throw error
    }
    fsyncSync(folder)
  })
}

function writeDraft(draft: string, bytes: Uint8Array, folder: number): void {
  // A process that was killed may have left one.
  rmSync(draft, { force: true })
  withFile(openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600), (file) => {
    writeFileSync(file, bytes)
    const { uid, gid } = fstatSync(folder)
    if (isRoot()) fchownSync(file, uid, gid)
    // open obeys the umask.
    fchmodSync(file, 0o644)
    fsyncSync(file)
  })
}

/** Works in the folder of the file. What is checked is what is opened: its entries are reached through it. */
function inFolder<T>({ path, insecure }: Place, work: (folder: number) => T): T {
  try {
    return withFile(openSync(dirname(path), O_RDONLY | O_DIRECTORY), (folder) => {
      const distrust = insecure ? [] : distrustFolders(dirname(path), folder)
      if (distrust.length > 0) throw new DistrustError(distrust)
      return work(folder)
    })
  } catch (error) {
    throw error instanceof SpanplanError ? error : unwritable(path, error)
  }
}

/**
 * Why others could write to a folder, or put another folder in its place: they may write to one of those above, by the path that
 * was named, or by the one to which its links lead.
 */
function distrustFolders(path: string, folder: number): readonly Fault[] {
  const above = new Set([...foldersAbove(path), ...foldersAbove(pathOf(folder))])
  return [
    ...distrustFile(path, fstatSync(folder), folder),
    ...[...above].flatMap((at) => distrustDefaultFolder(at, statSync(at)))
  ]
}

/** null: there is nothing. */
function digestAt(folder: number, path: string): string | null {
  try {
    return withFile(openSync(entryOf(folder, basename(path)), O_RDONLY | O_NOFOLLOW | O_NONBLOCK), (file) => {
      const stats = fstatSync(file)
      if (!stats.isFile()) throw new Error('there is something that is not a regular file')
      if (stats.size > largestFile) throw new Error('the file that is there is too large to be a spans.yaml')
      return digest(readFileSync(file))
    })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const reasons: Readonly<Record<string, string>> = {
  ELOOP: 'it is a symbolic link: name its target instead',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder does not exist'
}

function unwritable(path: string, error: unknown): SpanplanError {
  const message = `${printable(path)} cannot be installed: ${printable(systemReason(error, reasons))}`
  return new SpanplanError(
    systemCode(error) === 'EACCES'
      ? rightMissing(message)
      : diagnostic('FILE_UNWRITABLE', message, 'name another file with --install')
  )
}
