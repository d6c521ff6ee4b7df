import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { diagnostic, SpanplanError, systemCode } from '../../../errors.ts'
import { shellLine } from '../../../host/quote-command.ts'
import { printable } from '../../../printable.ts'
import { isSpecFile } from '../../../spec/schema/rules.ts'
import { serviceFolder } from '../../input/hook-event.ts'
import { fileUnwritable } from '../../output/output-file.ts'

/** Where a new file goes. */
export interface NewPlace {
  /** `-`: stdout. */
  readonly path: string
  /** The other commands find it there by themselves, from this folder. */
  readonly isDefault: boolean
}

const defaultName = 'spans.yaml'

/**
 * Chooses where the new file goes: as named, or where the other commands will look for it. In a folder, its name is spans.yaml.
 *
 * @throws SpanplanError FILE_EXISTS, FILE_UNWRITABLE.
 */
export function choosePlace(file: string | undefined): NewPlace {
  const named = file ?? (process.env.SPANPLAN_FILE || undefined)
  if (named === '-') return { path: named, isDefault: false }
  if (named === undefined && hasServiceFiles()) {
    const message = `${serviceFolder} has files already, which the other commands read. Nothing was written.`
    throw new SpanplanError(diagnostic('FILE_EXISTS', message, hintFor(serviceFolder, [])))
  }
  const path = named !== undefined && isFolder(named) ? join(named, defaultName) : (named ?? defaultName)
  const existing = tryPlace(path, () => lstatSync(path, { throwIfNoEntry: false }))
  if (existing !== undefined) throw fileExists(path, [])
  tryPlace(path, () => accessSync(dirname(path), constants.W_OK))
  return { path, isDefault: named === undefined }
}

/**
 * Writes a new file. One that is there, or a link, stays as it is.
 *
 * @param names of the interfaces that were chosen, for the message.
 * @throws SpanplanError FILE_EXISTS, FILE_UNWRITABLE.
 */
export function writeNewFile({ path }: NewPlace, text: string, names: readonly string[]): void {
  let file: number
  try {
    // O_CREAT and O_EXCL: whatever has come meanwhile is not touched.
    file = openSync(path, 'wx', 0o644)
  } catch (error) {
    throw systemCode(error) === 'EEXIST'
      ? fileExists(path, names)
      : fileUnwritable('the new file', path, error, '--file')
  }
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } catch (error) {
    rmSync(path, { force: true })
    throw fileUnwritable('the new file', path, error, '--file')
  } finally {
    closeSync(file)
  }
}

function fileExists(path: string, names: readonly string[]): SpanplanError {
  const message = `${printable(path)} exists, and init only writes a new file. Nothing was written.`
  return new SpanplanError(diagnostic('FILE_EXISTS', message, hintFor(path, names)))
}

function hintFor(path: string, names: readonly string[]): string {
  const check = shellLine(['spanplan', 'validate', path])
  const again = shellLine(['spanplan', 'init', ...names.flatMap((name) => ['--interface', name])])
  return `edit it, and check it: ${check}; or name another file: ${again} -f FILE`
}

function hasServiceFiles(): boolean {
  try {
    return readdirSync(serviceFolder).some(isSpecFile)
  } catch {
    return false
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** @throws SpanplanError FILE_UNWRITABLE if the system refuses. */
function tryPlace<T>(path: string, look: () => T): T {
  try {
    return look()
  } catch (error) {
    throw fileUnwritable('the new file', path, error, '--file')
  }
}
