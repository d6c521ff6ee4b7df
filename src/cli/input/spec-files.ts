import { closeSync, lstatSync, readSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Exit, type Fault, SpanplanError, systemReason } from '../../errors.ts'
import { DistrustError, distrustFile } from '../../host/files/trust.ts'
import { printable } from '../../printable.ts'
import { loadSpec } from '../../spec/load.ts'
import type { SourceFile, Spec } from '../../spec/spec.ts'
import { largestFile } from '../../spec/yaml/decode.ts'
import { during } from '../output/activity.ts'
import type { Session } from '../session.ts'
import { serviceFolder } from './hook-event.ts'
import { descriptorOf, type Input, openDefault, openDescriptor, openInput } from './open-input.ts'
import { readPipe, readStream } from './pipe.ts'
import { checkFolderSize, firstFile, listSpecFiles, openWithin } from './spec-folder.ts'

/** Tried in this order where there is neither -f nor $SPANPLAN_FILE. */
const defaultPaths = ['spans.yaml', serviceFolder]

/** The options that say which files to read. */
export interface FileSelection {
  readonly file: readonly string[]
  /** Root also reads what other users may write to. */
  readonly insecureFile: boolean
}

/** A file or folder to read. */
export interface SpecPath {
  readonly path: string
  /** It is a default in the current folder: the user has not named it. */
  readonly isDefault: boolean
}

/** What was read, and why root must not trust it. */
interface Content {
  readonly files: readonly SourceFile[]
  readonly distrust: readonly Fault[]
}

/**
 * Reads and checks files and folders, or the default ones.
 *
 * @param session gets the files before they are checked, so that errors can quote their lines.
 * @throws SpanplanError with all that is wrong.
 */
export async function loadFiles(selection: FileSelection, session?: Session): Promise<Spec> {
  const files = await readFiles(selection, session)
  if (last === null || !isDeepStrictEqual(files, last.files)) last = { files, spec: loadSpec(files) }
  return last.spec
}

/** The files that were loaded last. Most often, an apply that has got the lock finds them unchanged. */
let last: { readonly files: readonly SourceFile[]; readonly spec: Spec } | null = null

/**
 * Reads files and folders, or the default ones, without checking them.
 *
 * @param session gets the files.
 * @throws SpanplanError if a file cannot be read or is not trusted.
 */
export async function readFiles(
  { file, insecureFile }: FileSelection,
  session?: Session
): Promise<readonly SourceFile[]> {
  const opening = openFiles(choosePaths(file), insecureFile)
  const read = await (session ? during(session, 'Reading the file', opening) : opening)
  const files = read()
  if (session) session.files = files
  return files
}

/**
 * Reads the pipes among the paths, which can be read only once.
 *
 * @param limit bytes of a file. Reading stops once there are more.
 * @returns a function that reads all the paths, as often as it is called, without checking the YAML. It throws a
 * SpanplanError if a file cannot be read or is not trusted.
 * @throws SpanplanError if a pipe cannot be read or is not trusted.
 */
export async function openFiles(
  paths: readonly SpecPath[],
  insecureFile: boolean,
  limit = largestFile
): Promise<() => readonly SourceFile[]> {
  for (const path of paths) await readIfPipe(path, insecureFile, limit)
  return () => {
    const contents = paths.map((path) => readPath(path, limit))
    if (!insecureFile) checkTrust(contents.flatMap(({ distrust }) => distrust))
    return contents.flatMap(({ files }) => files)
  }
}

/**
 * The files and folders that the user named, or the default ones.
 *
 * @throws SpanplanError FILE_MISSING if there is no default either.
 */
export function choosePaths(paths: readonly string[]): readonly SpecPath[] {
  if (paths.length > 0) return paths.map(namedPath)
  const fromEnvironment = process.env.SPANPLAN_FILE
  return [fromEnvironment ? namedPath(fromEnvironment) : findDefaultPath()]
}

/** Reads one file of any kind, with the same checks and errors as {@link openFiles}. */
export async function loadFile(path: string, insecureFile: boolean, limit: number): Promise<Uint8Array> {
  const read = await openFiles([namedPath(path)], insecureFile, limit)
  return Buffer.concat(read().map(({ bytes }) => bytes))
}

const namedPath = (path: string): SpecPath => ({ path: path === '-' ? '/dev/stdin' : path, isDefault: false })

function checkTrust(distrust: readonly Fault[]): void {
  const distinct = new Map(distrust.map((fault) => [fault.diagnostic.message, fault]))
  if (distinct.size > 0) throw new DistrustError([...distinct.values()])
}

function findDefaultPath(): SpecPath {
  for (const path of defaultPaths) {
    // lstat: a link that leads nowhere counts as there.
    if (lstatSync(path, { throwIfNoEntry: false })) return { path, isDefault: path === basename(path) }
  }
  const message = 'there is no spans.yaml here, and no /etc/spanplan'
  const hint = `name the file with -f, or with $SPANPLAN_FILE; ${firstFile}`
  throw new SpanplanError({ code: 'FILE_MISSING', message, hint }, Exit.invalidFile)
}

/** The contents of the pipes that were read, by path. */
const pipeContents = new Map<string, Content>()

async function readIfPipe({ path, isDefault }: SpecPath, insecureFile: boolean, limit: number): Promise<void> {
  if (isDefault || pipeContents.has(path)) return
  const descriptor = descriptorOf(path)
  const { file, stats, distrust } = tryToRead(path, () => openNamed(path))
  try {
    if (stats.isFile() || stats.isDirectory()) return
    if (!insecureFile) checkTrust(distrust)
    const awaitWriter = stats.isFIFO() && descriptor === null
    const reading = file === descriptor ? readStream(file, limit) : readPipe(file, { limit, awaitWriter })
    const bytes = await reading.catch((error: unknown) => {
      throw unreadable(path, error)
    })
    pipeContents.set(path, { files: [{ path, bytes }], distrust })
  } finally {
    if (file !== descriptor) closeSync(file)
  }
}

function readPath({ path, isDefault }: SpecPath, limit: number): Content {
  const known = pipeContents.get(path)
  if (known !== undefined) return known
  return readInput(path, isDefault ? openDefault : openNamed, (input) =>
    input.stats.isDirectory() ? readFolder(path, input, limit) : readOpenFile(path, input, limit)
  )
}

function openNamed(path: string): Input {
  const descriptor = descriptorOf(path)
  return descriptor === null ? openInput(path) : openDescriptor(descriptor)
}

/** Opens a path, reads it, and closes it. A descriptor that this process was given stays open. */
function readInput(path: string, open: (path: string) => Input, read: (input: Input) => Content): Content {
  return tryToRead(path, () => {
    const input = open(path)
    try {
      return read(input)
    } finally {
      if (input.file !== descriptorOf(path)) closeSync(input.file)
    }
  })
}

function readFolder(path: string, { file, stats, distrust }: Input, limit: number): Content {
  const contents: Content[] = []
  for (const name of listSpecFiles(path, file)) {
    const entry = join(path, name)
    const open = () => openWithin(path, file, name)
    contents.push(readInput(entry, open, (input) => readOpenFile(entry, input, limit)))
    checkFolderSize(path, contents)
  }
  return {
    files: contents.flatMap(({ files }) => files),
    distrust: [...distrust, ...distrustFile(path, stats, file), ...contents.flatMap((content) => content.distrust)]
  }
}

/** Reads until the end, or until there are more bytes than the limit. */
function readOpenFile(path: string, { file, stats, distrust, elsewhere }: Input, limit: number): Content {
  if (stats.isDirectory()) throw new Error('it is a folder')
  if (!stats.isFile()) throw new Error('it is not a regular file')
  const chunks: Buffer[] = []
  let size = 0
  while (size <= limit) {
    const chunk = Buffer.alloc(64 * 1024)
    const count = readSync(file, chunk, 0, chunk.length, size)
    if (count === 0) break
    chunks.push(chunk.subarray(0, count))
    size += count
  }
  return { files: [{ path, bytes: Buffer.concat(chunks), ...(elsewhere !== null && { elsewhere }) }], distrust }
}

/**
 * Reads what is at a path.
 *
 * @throws SpanplanError FILE_UNREADABLE if the system refuses.
 */
export function tryToRead<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof SpanplanError) throw error
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): SpanplanError {
  const reason = systemReason(error, { ENOENT: 'it does not exist' })
  // Node gives bytes of an argument that are not UTF-8 as this character: the file that was meant cannot be opened.
  const why = path.includes('\ufffd') ? `${reason}, or its name is not UTF-8` : reason
  const message = `${printable(path)} cannot be read: ${printable(why)}`
  return new SpanplanError({ code: 'FILE_UNREADABLE', message }, Exit.invalidFile)
}
