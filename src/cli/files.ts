import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Exit, SpanplanError } from '../errors.ts'
import { largestFile } from '../spec/decode.ts'
import { loadSpec } from '../spec/load.ts'
import type { SourceFile, Spec } from '../spec/spec.ts'

/** Tried in this order where no -f is given, after $SPANPLAN_FILE. */
const defaults = ['spans.yaml', '/etc/spanplan']

/** Reads the files and folders, or what stands where spanplan looks without being told. */
function readFiles(paths: readonly string[]): SourceFile[] {
  const named = paths.length > 0 ? paths : findDefault()
  return named.flatMap(readPath)
}

/**
 * Reads and checks them. `onFiles` gets them before they are checked, so that errors can show their lines.
 *
 * @throws SpanplanError with all that is wrong.
 */
export function loadFiles(paths: readonly string[], onFiles: (files: readonly SourceFile[]) => void): Spec {
  const files = readFiles(paths)
  onFiles(files)
  return loadSpec(files)
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

function readPath(path: string): SourceFile[] {
  const names = tryRead(path, () => (statSync(path).isDirectory() ? readdirSync(path) : null))
  if (names === null) return [tryRead(path, () => readOne(path))]
  const files = names.filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.')).sort()
  if (files.length === 0) throw unreadable(path, 'there is no *.yaml or *.yml in it')
  return files.map((name) => join(path, name)).map((file) => tryRead(file, () => readOne(file)))
}

function tryRead<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(path, reasonOf(error))
  }
}

/** Also what is no file but a pipe; no more of it than shows that it is too large. */
function readOne(path: string): SourceFile {
  const file = openSync(path, 'r')
  try {
    const chunks: Buffer[] = []
    let size = 0
    while (size <= largestFile) {
      const chunk = Buffer.alloc(64 * 1024)
      const count = readSync(file, chunk)
      if (count === 0) break
      chunks.push(chunk.subarray(0, count))
      size += count
    }
    return { path, bytes: Buffer.concat(chunks) }
  } finally {
    closeSync(file)
  }
}

function unreadable(path: string, reason: string): SpanplanError {
  return new SpanplanError({ code: 'FILE_UNREADABLE', message: `${path} cannot be read: ${reason}` }, Exit.invalidFile)
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'it does not exist'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'it is a folder'
  return error instanceof Error ? error.message : String(error)
}
