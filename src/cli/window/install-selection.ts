import { readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type Installation, planInstallation } from '../../apply/install-file.ts'
import { Exit, SpanplanError } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { isSpecFile } from '../../spec/schema/rules.ts'
import type { FileSelection } from '../input/spec-files.ts'
import type { Session } from '../session.ts'

/** The options of a command that installs a file. */
export interface InstallOptions extends FileSelection {
  /** The path at which the file is installed once it is applied; undefined: nowhere. */
  readonly install?: string
}

/** The folder that the service and the hooks read. */
const defaultFolder = '/etc/spanplan'

/**
 * The files that are in force once the file is installed: itself and, in the folder that spanplan reads by default, those
 * beside it.
 *
 * @throws SpanplanError INSTALL_AMBIGUOUS if there is not exactly one file to install; INSTALL_UNREAD if it would not be read.
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
  if (!isDefaultFolder(dirname(path))) return options
  if (!isSpecFile(basename(path))) {
    const message = `${printable(path)} would not be read: in that folder, spanplan reads *.yaml and *.yml`
    throw new SpanplanError({ code: 'INSTALL_UNREAD', message, hint: 'give it a name that ends in .yaml' }, Exit.usage)
  }
  const beside = readdirSync(dirname(path)).filter((name) => isSpecFile(name) && name !== basename(path))
  return { ...options, file: [only, ...beside.sort().map((name) => join(dirname(path), name))] }
}

/**
 * The file to install, as it was read; null: none is.
 *
 * @throws SpanplanError FILE_INSECURE, FILE_UNWRITABLE.
 */
export function findInstallation({ files }: Session, { install, insecureFile }: InstallOptions): Installation | null {
  const [first] = files
  return install === undefined || first === undefined ? null : planInstallation(install, first.bytes, insecureFile)
}

function isDefaultFolder(path: string): boolean {
  const folder = process.env.SPANPLAN_FILE || defaultFolder
  try {
    return realpathSync(path) === realpathSync(folder)
  } catch {
    return false
  }
}

function isFolder(path: string): boolean {
  return path !== '-' && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
