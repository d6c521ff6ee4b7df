import { readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type Installation, planInstallation } from '../../apply/install-file.ts'
import { type Diagnostic, Exit, SpanplanError } from '../../errors.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import { isSpecFile } from '../../spec/schema/rules.ts'
import { findOtherFiles } from '../../watch/serve/other-files.ts'
import { serviceFolder } from '../input/hook-event.ts'
import { type FileSelection, tryToRead } from '../input/spec-files.ts'
import type { Session } from '../session.ts'

/** The options of a command that installs a file. */
export interface InstallOptions extends FileSelection {
  /** The path at which the file is installed once it is applied; undefined: nowhere. */
  readonly install?: string
}

/**
 * The files that are in force once the file is installed: itself and, in a folder that is read as a whole, those beside it.
 *
 * @throws SpanplanError INSTALL_AMBIGUOUS if there is not exactly one file to install; INSTALL_UNREAD if it would not be read;
 * FILE_UNREADABLE.
 */
export function selectWithInstall<Options extends InstallOptions>(options: Options): Options {
  const { file, install } = options
  if (install === undefined) return options
  const [only, ...others] = file
  if (only === undefined || others.length > 0 || isFolder(only)) {
    const message = '--install puts one file in its place, and -f names none, several, or a folder'
    throw new SpanplanError({ code: 'INSTALL_AMBIGUOUS', message, hint: 'name one file with -f' }, Exit.usage)
  }
  const path = resolve(install)
  const folder = dirname(path)
  if (!isReadAsWhole(folder)) return options
  if (!isSpecFile(basename(path))) {
    const message = `${printable(path)} would not be read: in that folder, spanplan reads *.yaml and *.yml`
    throw new SpanplanError({ code: 'INSTALL_UNREAD', message, hint: 'give it a name that ends in .yaml' }, Exit.usage)
  }
  const names = tryToRead(folder, () => readdirSync(folder))
  const beside = names.filter((name) => isSpecFile(name) && name !== basename(path))
  return { ...options, file: [only, ...beside.sort().map((name) => join(folder, name))] }
}

/**
 * The file to install, as it was read; null: none is.
 *
 * @throws SpanplanError FILE_INSECURE, FILE_UNWRITABLE, RIGHT_MISSING.
 */
export function findInstallation({ files }: Session, { install, insecureFile }: InstallOptions): Installation | null {
  const [first] = files
  return install === undefined || first === undefined ? null : planInstallation(install, first.bytes, insecureFile)
}

/**
 * Warns where a watch keeps the spans as other files say: an apply does not last.
 *
 * @param install the path at which the first file is installed once it is applied.
 */
export async function warnOfOtherFiles({ spec, scope }: Target, install?: string): Promise<Diagnostic[]> {
  const files = spec.files.map((path, index) => (index === 0 && install !== undefined ? install : path))
  const other = await findOtherFiles({ spec, scope }, files)
  return other === null || other.undone.length === 0 ? [] : [other.diagnostic]
}

/** The service reads its own folder, whatever the environment of this process names. */
function isReadAsWhole(folder: string): boolean {
  return [serviceFolder, process.env.SPANPLAN_FILE].some((other) => other && isSameFolder(folder, other))
}

function isSameFolder(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other)
  } catch {
    return false
  }
}

function isFolder(path: string): boolean {
  return path !== '-' && tryToRead(path, () => statSync(path, { throwIfNoEntry: false }))?.isDirectory() === true
}
