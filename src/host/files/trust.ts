import { dirname } from 'node:path'
import { diagnostic, Exit, type Fault, SpanplanError } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { isRoot } from '../process/process-rights.ts'
import { shellLine } from '../quote-command.ts'
import { isSticky, isTrustedUser, mayOthersWrite, type Ownership, type Place, writeMode } from './permissions.ts'

/** What lets others than trusted users decide what is at a path, and the command that ends it. */
interface Flaw {
  readonly reason: string
  readonly repair: readonly string[]
}

/** `checks`: what matters of it. */
export function findFlaws(
  path: string,
  stats: Ownership,
  place: Place,
  checks: { readonly owner: boolean; readonly mode: boolean }
): Flaw[] {
  const theirs = { reason: `${path} belongs to another user (uid ${stats.uid})`, repair: ['chown', 'root', path] }
  const open = {
    reason: `others may write to ${path} (its mode is ${writeMode(stats)})`,
    repair: ['chmod', 'go-w', path]
  }
  return [
    ...(checks.owner && !isTrustedUser(stats.uid) ? [theirs] : []),
    ...(checks.mode && mayOthersWrite(stats, place) ? [open] : [])
  ]
}

/** The folders above a path, the nearest first: who may write to one of them puts another folder in its place. */
export function foldersAbove(path: string): readonly string[] {
  const parent = dirname(path)
  return parent === path ? [] : [parent, ...foldersAbove(parent)]
}

/** Files that root must not trust. */
export class DistrustError extends SpanplanError {
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(
      faults.map(({ diagnostic }) => diagnostic),
      Exit.invalidFile
    )
    this.faults = faults
  }
}

/** Why root must not trust a file, or a folder of files: others may write to it. None for another user than root. */
export function distrustFile(path: string, stats: Ownership, place: Place = path): Fault[] {
  return distrust(path, stats, place, { owner: true, mode: true })
}

/** The same for the folder of a file that the user named: others who may write to it can replace the file. */
export function distrustParent(path: string, stats: Ownership, place: Place = path): Fault[] {
  return distrust(path, stats, place, { owner: false, mode: !isSticky(stats) })
}

/** The same for the folder of a default file: its owner, too, decides what is found there. */
export function distrustDefaultFolder(path: string, stats: Ownership, place: Place = path): Fault[] {
  return distrust(path, stats, place, { owner: true, mode: !isSticky(stats) })
}

/** The same for a symbolic link in a folder where others may add links. */
export function distrustLink(path: string, link: Ownership, folder: Ownership, place: Place): Fault[] {
  return distrust(path, link, path, { owner: mayOthersWrite(folder, place), mode: false })
}

function distrust(path: string, stats: Ownership, place: Place, checks: Parameters<typeof findFlaws>[3]): Fault[] {
  const flaws = findFlaws(path, stats, place, checks)
  if (!isRoot() || flaws.length === 0) return []
  const message = `${printable(path)} can be written by other users than root (its owner is uid ${stats.uid}, its group gid ${stats.gid}, its mode ${writeMode(stats)}), and root would apply what they write`
  const command = flaws.map(({ repair }) => shellLine(repair)).join(' && ')
  const hint = `${command}; or, if you trust them all, --insecure-file`
  return [{ diagnostic: diagnostic('FILE_INSECURE', message, hint), command }]
}
