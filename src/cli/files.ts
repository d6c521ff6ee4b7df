import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Exit, type Notice, SpanplanError } from '../errors.ts'
import { printable } from '../printable.ts'
import { largestFile } from '../spec/decode.ts'
import { loadSpec } from '../spec/load.ts'
import { isSpecFile } from '../spec/rules.ts'
import type { SourceFile, Spec } from '../spec/spec.ts'
import { distrustFile, distrustFolder, distrustParent } from './trust.ts'

/** Tried in this order where no -f is given, after $SPANPLAN_FILE. */
const defaults = ['spans.yaml', '/etc/spanplan']

interface LoadOptions {
  /** Whether root also does what a file says that others may write. */
  readonly trust: 'all' | 'safe'
  /** Gets them before they are checked, so that errors can show their lines. */
  readonly onFiles: (files: readonly SourceFile[]) => void
}

/** What was read, and why it had better not be trusted. */
interface Found {
  readonly files: readonly SourceFile[]
  readonly distrust: readonly Notice[]
}

/**
 * Reads and checks the files and folders, or what stands where spanplan looks without being told.
 *
 * @throws SpanplanError with all that is wrong.
 */
export function loadFiles(paths: readonly string[], { trust, onFiles }: LoadOptions): Spec {
  const files = readFiles(choosePaths(paths), trust)
  onFiles(files)
  return loadSpec(files)
}

/**
 * Reads the files, and those in the folders, without looking at what they say.
 *
 * @throws SpanplanError if they cannot be read, or not be trusted.
 */
export function readFiles(paths: readonly string[], trust: LoadOptions['trust']): readonly SourceFile[] {
  const found = paths.map(readPath)
  if (trust === 'safe') checkTrust(found)
  return found.flatMap((one) => one.files)
}

/**
 * The files and folders that were named, or what stands where spanplan looks without being told.
 *
 * @throws SpanplanError if nothing does.
 */
export function choosePaths(paths: readonly string[]): readonly string[] {
  return paths.length > 0 ? paths : findDefault()
}

/**
 * Reads one file, with the same care: no more of it than shows that it has more than so many bytes.
 *
 * @throws SpanplanError if it cannot be read, or not be trusted.
 */
export function loadFile(path: string, trust: LoadOptions['trust'], most: number): Uint8Array {
  const found = readNamed(
    path,
    tryRead(path, () => statSync(path)),
    most
  )
  if (trust === 'safe') checkTrust([found])
  return Buffer.concat(found.files.map(({ bytes }) => bytes))
}

function checkTrust(found: readonly Found[]): void {
  const distrust = new Map(found.flatMap((one) => one.distrust).map((notice) => [notice.message, notice]))
  if (distrust.size > 0) throw new SpanplanError([...distrust.values()], Exit.invalidFile)
}

function findDefault(): readonly string[] {
  const told = process.env.SPANPLAN_FILE
  if (told) return [told]
  for (const path of defaults) {
    if (existsSync(path)) return [path]
  }
  throw new SpanplanError(
    {
      code: 'FILE_MISSING',
      message: `there is no spans.yaml here, and no /etc/spanplan`,
      hint: 'name the file with -f, or with $SPANPLAN_FILE'
    },
    Exit.invalidFile
  )
}

function readPath(path: string): Found {
  const stats = tryRead(path, () => statSync(path))
  if (!stats.isDirectory()) return readNamed(path, stats, largestFile)
  const names = tryRead(path, () => readdirSync(path))
  const files = names.filter(isSpecFile).sort()
  if (files.length === 0) throw unreadable(path, 'there is no *.yaml or *.yml in it')
  const found = files.map((name) => join(path, name)).map((file) => tryRead(file, () => readOne(file, largestFile)))
  return {
    files: found.flatMap((one) => one.files),
    distrust: [...distrustFolder(path, stats), ...found.flatMap((one) => one.distrust)]
  }
}

/** A file, with the folder around it, or a pipe. */
function readNamed(path: string, stats: Stats, most: number): Found {
  const found = tryRead(path, () => readOne(path, most))
  const folder = dirname(path)
  const parent = stats.isFile()
    ? distrustParent(
        folder,
        tryRead(folder, () => statSync(folder))
      )
    : []
  return { ...found, distrust: [...found.distrust, ...parent] }
}

function tryRead<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(path, reasonOf(error))
  }
}

/** Also what is no file but a pipe; no more of it than shows that it is too large. */
function readOne(path: string, most: number): Found {
  const file = openSync(path, 'r')
  try {
    const chunks: Buffer[] = []
    let size = 0
    while (size <= most) {
      const chunk = Buffer.alloc(64 * 1024)
      const count = readSync(file, chunk)
      if (count === 0) break
      chunks.push(chunk.subarray(0, count))
      size += count
    }
    return { files: [{ path, bytes: Buffer.concat(chunks) }], distrust: distrustFile(path, fstatSync(file)) }
  } finally {
    closeSync(file)
  }
}

function unreadable(path: string, reason: string): SpanplanError {
  return new SpanplanError(
    { code: 'FILE_UNREADABLE', message: `${printable(path)} cannot be read: ${reason}` },
    Exit.invalidFile
  )
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'it does not exist'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'it is a folder'
  return error instanceof Error ? error.message : String(error)
}
