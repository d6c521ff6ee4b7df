import { type Diagnostic, diagnostic } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { isRoot } from '../process/process-rights.ts'
import { shellLine } from '../quote-command.ts'
import { isSticky, isTrustedUser, mayOthersWrite, type Ownership, type Place, writeMode } from './permissions.ts'

/** Stands behind the commands in a hint. */
const unlessMeant = '; or, if you trust them all, --insecure-file'

/** The commands that make root trust the file of a diagnostic; null: it is about something else. */
export function trustRepair({ code, hint }: Diagnostic): string | null {
  return code === 'FILE_INSECURE' && hint?.endsWith(unlessMeant) ? hint.slice(0, -unlessMeant.length) : null
}

/** Why root must not trust a file, or a folder of files: others may write to it. None for another user than root. */
export function distrustFile(path: string, stats: Ownership, place: Place = path): Diagnostic[] {
  return distrust(path, stats, place, { owner: true, mode: true })
}

/** The same for the folder of a file that the user named: others who may write to it can replace the file. */
export function distrustParent(path: string, stats: Ownership, place: Place = path): Diagnostic[] {
  return distrust(path, stats, place, { owner: false, mode: !isSticky(stats) })
}

/** The same for the folder of a default file: its owner, too, decides what is found there. */
export function distrustDefaultFolder(path: string, stats: Ownership, place: Place = path): Diagnostic[] {
  return distrust(path, stats, place, { owner: true, mode: !isSticky(stats) })
}

/** The same for a symbolic link in a folder where others may add links. */
export function distrustLink(path: string, link: Ownership, folder: Ownership, place: Place): Diagnostic[] {
  return distrust(path, link, path, { owner: mayOthersWrite(folder, place), mode: false })
}

/** `checks`: what matters of it. */
function distrust(
  path: string,
  stats: Ownership,
  place: Place,
  checks: { readonly owner: boolean; readonly mode: boolean }
) {
  const repairs = [
    ...(checks.owner && !isTrustedUser(stats.uid) ? [shellLine(['chown', 'root', path])] : []),
    ...(checks.mode && mayOthersWrite(stats, place) ? [shellLine(['chmod', 'go-w', path])] : [])
  ]
  if (!isRoot() || repairs.length === 0) return []
  const message = `${printable(path)} can be written by other users than root (its owner is uid ${stats.uid}, its group gid ${stats.gid}, its mode ${writeMode(stats)}), and root would apply what they write`
  return [diagnostic('FILE_INSECURE', message, `${repairs.join(' && ')}${unlessMeant}`)]
}
