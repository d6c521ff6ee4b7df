import { closeSync, lstatSync, readdirSync, readSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Diagnostic, Exit, SpanplanError } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { loadSpec } from '../../spec/load.ts'
import { isSpecFile } from '../../spec/schema/rules.ts'
import type { SourceFile, Spec } from '../../spec/spec.ts'
import { largestFile } from '../../spec/yaml/decode.ts'
import { descriptorOf, type Input, openDescriptor, openFound, openInput } from './open-input.ts'
import { readPipe, readStream } from './pipe.ts'
import { distrustFile } from './trust.ts'

/** Tried in this order where no -f is given, after $SPANPLAN_FILE. */
const defaults = ['spans.yaml', '/etc/spanplan']

/** Whether root also does what a file says that others may write. */
export type Trust = 'all' | 'safe'

interface LoadOptions {
  readonly trust: Trust
  /** Gets them before they are checked, so that errors can show their lines. */
  readonly onFiles: (files: readonly SourceFile[]) => void
}

/** What was chosen to be read. */
export interface Chosen {
  readonly path: string
  /** Nobody has named it: it was looked for in the folder that spanplan was started in. */
  readonly found: boolean
}

/** What was read, and why it had better not be trusted. */
interface Found {
  readonly files: readonly SourceFile[]
  readonly distrust: readonly Diagnostic[]
}

/**
 * Reads and checks the files and folders, or what stands where spanplan looks without being told.
 *
 * @throws SpanplanError with all that is wrong.
 */
export async function loadFiles(paths: readonly string[], { trust, onFiles }: LoadOptions): Promise<Spec> {
  const read = await openFiles(choosePaths(paths), trust)
  const files = read()
  onFiles(files)
  return loadSpec(files)
}

/**
 * Reads what can be read only once, which are pipes, and gives what reads the rest, as often as it is called, without looking
 * at what it says. That throws a SpanplanError if something cannot be read, or not be trusted.
 *
 * @throws SpanplanError if a pipe cannot be read, or not be trusted.
 */
export async function openFiles(chosen: readonly Chosen[], trust: Trust): Promise<() => readonly SourceFile[]> {
  for (const one of chosen) await drain(one, trust, largestFile)
  return () => {
    const found = chosen.map((one) => readChosen(one, largestFile))
    if (trust === 'safe') checkTrust(found)
    return found.flatMap((one) => one.files)
  }
}

/**
 * The files and folders that were named, or what stands where spanplan looks without being told.
 *
 * @throws SpanplanError if nothing does.
 */
export function choosePaths(paths: readonly string[]): readonly Chosen[] {
  if (paths.length > 0) return paths.map(named)
  const told = process.env.SPANPLAN_FILE
  return [told ? named(told) : findDefault()]
}

/**
 * Reads one file, with the same care: no more of it than shows that it has more than so many bytes.
 *
 * @throws SpanplanError if it cannot be read, or not be trusted.
 */
export async function loadFile(path: string, trust: Trust, most: number): Promise<Uint8Array> {
  const chosen = named(path)
  await drain(chosen, trust, most)
  const found = readChosen(chosen, most)
  if (trust === 'safe') checkTrust([found])
  return Buffer.concat(found.files.map(({ bytes }) => bytes))
}

const named = (path: string): Chosen => ({ path: path === '-' ? '/dev/stdin' : path, found: false })

function checkTrust(found: readonly Pick<Found, 'distrust'>[]): void {
  const distrust = new Map(found.flatMap((one) => one.distrust).map((diagnostic) => [diagnostic.message, diagnostic]))
  if (distrust.size > 0) throw new SpanplanError([...distrust.values()], Exit.invalidFile)
}

function findDefault(): Chosen {
  for (const path of defaults) {
    // A link that leads nowhere is there, too.
    if (lstatSync(path, { throwIfNoEntry: false })) return { path, found: path === basename(path) }
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

/** What pipes have said: they say it once. */
const drained = new Map<string, Found>()

/** Reads it if it is a pipe. */
async function drain({ path, found }: Chosen, trust: Trust, most: number): Promise<void> {
  if (found || drained.has(path)) return
  const descriptor = descriptorOf(path)
  const { file, stats, distrust } = tryRead(path, () => openNamed(path))
  try {
    if (stats.isFile() || stats.isDirectory()) return
    if (trust === 'safe') checkTrust([{ distrust }])
    const read =
      file === descriptor
        ? readStream(file, { most })
        : readPipe(file, { most, awaitWriter: stats.isFIFO() && descriptor === null })
    const bytes = await read.catch((error: unknown) => {
      throw unreadable(path, reasonOf(error))
    })
    drained.set(path, { files: [{ path, bytes }], distrust })
  } finally {
    if (file !== descriptor) closeSync(file)
  }
}

function readChosen({ path, found }: Chosen, most: number): Found {
  const known = drained.get(path)
  if (known !== undefined) return known
  return tryRead(path, () => {
    const input = found ? openFound(path) : openNamed(path)
    try {
      return input.stats.isDirectory() ? readFolder(path, input, most) : readOpen(path, input, most)
    } finally {
      if (input.file !== descriptorOf(path)) closeSync(input.file)
    }
  })
}

function openNamed(path: string): Input {
  const descriptor = descriptorOf(path)
  return descriptor === null ? openInput(path) : openDescriptor(descriptor)
}

function readFolder(path: string, { file, stats, distrust }: Input, most: number): Found {
  const names = readdirSync(`/proc/self/fd/${file}`).filter(isSpecFile).sort()
  if (names.length === 0) throw unreadable(path, 'there is no *.yaml or *.yml in it')
  const found = names.map((name) => readEntry(join(path, name), most))
  return {
    files: found.flatMap((one) => one.files),
    distrust: [...distrust, ...distrustFile(path, stats), ...found.flatMap((one) => one.distrust)]
  }
}

function readEntry(path: string, most: number): Found {
  return tryRead(path, () => {
    const input = openInput(path)
    try {
      return readOpen(path, input, most)
    } finally {
      closeSync(input.file)
    }
  })
}

/** No more of it than shows that it is too large. */
function readOpen(path: string, { file, stats, distrust }: Input, most: number): Found {
  if (stats.isDirectory()) throw new Error('it is a folder')
  if (!stats.isFile()) throw new Error('it is no regular file')
  const chunks: Buffer[] = []
  let size = 0
  while (size <= most) {
    const chunk = Buffer.alloc(64 * 1024)
    const count = readSync(file, chunk, 0, chunk.length, size)
    if (count === 0) break
    chunks.push(chunk.subarray(0, count))
    size += count
  }
  return { files: [{ path, bytes: Buffer.concat(chunks) }], distrust }
}

function tryRead<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof SpanplanError) throw error
    throw unreadable(path, reasonOf(error))
  }
}

function unreadable(path: string, reason: string): SpanplanError {
  return new SpanplanError(
    { code: 'FILE_UNREADABLE', message: `${printable(path)} cannot be read: ${printable(reason)}` },
    Exit.invalidFile
  )
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  ENXIO: 'it is a socket, or a device that is not there'
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // What follows is the path by which it was opened.
  return reasons['code' in error ? String(error.code) : ''] ?? error.message.replace(/, \w+ '.*'$/s, '')
}
