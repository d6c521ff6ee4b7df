import type { Diagnostic } from '../../errors.ts'
import { isSticky, isTrustedUser, mayOthersWrite, type Ownership, writeMode } from '../../host/file-permissions.ts'
import { printable } from '../../printable.ts'

/** Why root had better not do what a file says, or what is in a folder whose files are put together: others may write there. */
export function distrustFile(path: string, stats: Ownership): Diagnostic[] {
  return distrust(path, stats, [...foreign(path, stats), ...open(path, stats)])
}

/** The same for the folder of a file that was named: who may write to it, may put another in its place. */
export function distrustParent(path: string, stats: Ownership): Diagnostic[] {
  return distrust(path, stats, isSticky(stats) ? [] : open(path, stats))
}

/** The same for the folder of a file that nobody named: its owner decides what is found there. */
export function distrustPlace(path: string, stats: Ownership): Diagnostic[] {
  return distrust(path, stats, [...foreign(path, stats), ...(isSticky(stats) ? [] : open(path, stats))])
}

/** The same for a symbolic link: where others may add files to its folder, its owner decides where it leads. */
export function distrustLink(path: string, link: Ownership, folder: Ownership): Diagnostic[] {
  return mayOthersWrite(folder) ? distrust(path, link, foreign(path, link)) : []
}

/** `cures`: what would make it safe; nothing if it is. */
function distrust(path: string, stats: Ownership, cures: readonly string[]): Diagnostic[] {
  if (process.geteuid?.() !== 0 || cures.length === 0) return []
  return [
    {
      code: 'FILE_INSECURE',
      message: `${printable(path)} may be written by others than root (its owner is uid ${stats.uid}, its group gid ${stats.gid}, its mode ${writeMode(stats)}), and root would do what they write`,
      hint: `${cures.join(' && ')}; or, where that is as it should be, --insecure-file`
    }
  ]
}

function foreign(path: string, { uid }: Ownership): string[] {
  return isTrustedUser(uid) ? [] : [`chown root ${path}`]
}

function open(path: string, stats: Ownership): string[] {
  return mayOthersWrite(stats) ? [`chmod go-w ${path}`] : []
}
