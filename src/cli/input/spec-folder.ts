import { isUtf8 } from 'node:buffer'
import { closeSync, constants, fstatSync, lstatSync, opendirSync, openSync, readlinkSync } from 'node:fs'
import { isAbsolute, join, relative, resolve } from 'node:path'
import { diagnostic, Exit, type Fault, SpanplanError } from '../../errors.ts'
import { entryOf, O_PATH, pathOf } from '../../host/files/open-file.ts'
import { distrustFile, distrustLink, distrustParent } from '../../host/files/trust.ts'
import { printable } from '../../printable.ts'
import { isSpecFile } from '../../spec/schema/rules.ts'
import type { SourceFile } from '../../spec/spec.ts'
import { largestFile } from '../../spec/yaml/decode.ts'
import { type Input, mostLinks, reopen } from './open-input.ts'

const { O_NOFOLLOW } = constants

/** Files of one folder. */
const mostFiles = 100

/**
 * The names of the files of a folder, in their order.
 *
 * @throws SpanplanError FOLDER_TOO_LARGE if there are too many, FILE_UNREADABLE if there is none, or the name of one is not UTF-8.
 * @throws if it cannot be read.
 */
export function listSpecFiles(path: string, folder: number): readonly string[] {
  const names: string[] = []
  // A name may be any bytes: as Latin 1, each of them is there.
  const entries = opendirSync(`/proc/self/fd/${folder}`, { encoding: 'latin1' })
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      if (!isSpecFile(entry.name)) continue
      const bytes = Buffer.from(entry.name, 'latin1')
      if (!isUtf8(bytes)) throw notUtf8(path, entry.name)
      names.push(bytes.toString())
      if (names.length > mostFiles) throw tooLarge(path, `has more than ${mostFiles} files *.yaml and *.yml`)
    }
  } finally {
    entries.closeSync()
  }
  if (names.length === 0) throw isEmpty(path)
  return names.sort()
}

/** How to get a first file. */
export const firstFile =
  'to write a first one: sudo spanplan init; for mirrors that are on this host already: sudo spanplan import >spans.yaml'

function isEmpty(path: string): SpanplanError {
  const message = `${printable(path)} cannot be read: there is no *.yaml or *.yml in it`
  const hint = `put a file there, or name another with -f; ${firstFile}`
  return new SpanplanError(diagnostic('FILE_UNREADABLE', message, hint), Exit.invalidFile)
}

/** @throws SpanplanError FOLDER_TOO_LARGE if the files of a folder have more bytes together than one file may have. */
export function checkFolderSize(path: string, contents: readonly { readonly files: readonly SourceFile[] }[]): void {
  const files = contents.flatMap((content) => content.files)
  const size = files.reduce((sum, { bytes }) => sum + bytes.length, 0)
  if (size > largestFile) throw tooLarge(path, `has files of more than ${largestFile / 1024 / 1024} MiB together`)
}

/** @param name its bytes, as Latin 1. Those that are not ASCII are written as a shell takes them in $'…'. */
function notUtf8(path: string, name: string): SpanplanError {
  const written = name.replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
  const message = `${printable(join(path, written))} cannot be read: its name is not UTF-8`
  return new SpanplanError(diagnostic('FILE_UNREADABLE', message, 'rename it'), Exit.invalidFile)
}

function tooLarge(path: string, what: string): SpanplanError {
  const hint = 'is it the right folder? Name single files with -f to read fewer'
  return new SpanplanError(diagnostic('FOLDER_TOO_LARGE', `${printable(path)} ${what}`, hint), Exit.invalidFile)
}

/**
 * Opens a regular file of a folder. Who may write to the folder, as who may push to a repository, lays links there: they are followed one by
 * one, and only as long as they lead to what is in the folder. Nothing but a regular file is opened, for to open a device may do something.
 *
 * @param path of the folder, as the user named it.
 * @param root the open folder.
 * @throws if it cannot be opened.
 */
export function openWithin(path: string, root: number, name: string): Input {
  const tops = [pathOf(root), resolve(path)]
  const opened: number[] = []
  const folders = [{ file: root, path }]
  const distrust: Fault[] = []
  const parts = [name]
  let links = 0
  try {
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      if (part === '' || part === '.') continue
      if (part === '..') folders.pop()
      const folder = folders.at(-1)
      if (folder === undefined) throw leadsOut
      if (part === '..') continue
      const entry = entryOf(folder.file, part)
      const at = join(folder.path, part)
      const around = fstatSync(folder.file)
      distrust.push(...distrustParent(folder.path, around, folder.file))
      const file = openSync(entry, O_PATH | O_NOFOLLOW)
      opened.push(file)
      const stats = fstatSync(file)
      if (stats.isSymbolicLink()) {
        links += 1
        if (links > mostLinks) throw new Error('too many symbolic links')
        distrust.push(...distrustLink(at, lstatSync(entry), around, folder.file))
        const target = readlinkSync(entry)
        if (isAbsolute(target)) folders.splice(1)
        parts.unshift(...(isAbsolute(target) ? partsBelow(tops, target) : target.split('/')))
      } else if (stats.isDirectory()) {
        folders.push({ file, path: at })
      } else if (stats.isFile() && parts.length === 0) {
        distrust.push(...distrustFile(at, stats, file))
        return { file: reopen(file), stats, distrust, elsewhere: null }
      } else {
        throw new Error('it is not a regular file')
      }
    }
    throw new Error('it is a folder')
  } finally {
    for (const file of opened) closeSync(file)
  }
}

const leadsOut = new Error('it is a symbolic link that leads out of the folder: name the file itself with -f')

function partsBelow(tops: readonly string[], target: string): readonly string[] {
  const below = tops.map((top) => relative(top, target).split('/')).find(([first]) => first !== '..')
  if (below === undefined) throw leadsOut
  return below
}
