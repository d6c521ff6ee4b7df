import type { Stats } from 'node:fs'
import type { Notice } from '../errors.ts'

/** Bits of a mode, as in inode(7). */
const bits = { permissions: 0o7777, sticky: 0o1000, groupWrites: 0o020, othersWrite: 0o002 } as const

/** Who may write what root does: root, and who became root by sudo, which names him in the environment. */
const trusted = (id: number, sudo: string | undefined) => id === 0 || String(id) === sudo

/** Why root had better not do what a file says. A pipe is the affair of who laid it. */
export function distrustFile(path: string, stats: Stats): Notice[] {
  return stats.isFile() && path !== '/dev/stdin'
    ? distrust(path, stats, [...foreign(path, stats), ...open(path, stats)])
    : []
}

/** The same for a folder whose files are put together: who may write to it, may add one. */
export function distrustFolder(path: string, stats: Stats): Notice[] {
  return distrust(path, stats, [...foreign(path, stats), ...open(path, stats)])
}

/** The same for the folder around a file that is named: who may write to it, may put another in its place. */
export function distrustParent(path: string, stats: Stats): Notice[] {
  return distrust(path, stats, (stats.mode & bits.sticky) === 0 ? open(path, stats) : [])
}

/** `cures`: what would make it safe; nothing if it is. */
function distrust(path: string, { uid, gid, mode }: Stats, cures: readonly string[]): Notice[] {
  if (process.geteuid?.() !== 0 || cures.length === 0) return []
  const shown = (mode & bits.permissions).toString(8).padStart(4, '0')
  return [
    {
      code: 'FILE_INSECURE',
      message: `${path} may be written by others than root (its owner is uid ${uid}, its group gid ${gid}, its mode ${shown}), and root would do what they write`,
      hint: `${cures.join(' && ')}; or, where that is as it should be, --insecure-file`
    }
  ]
}

function foreign(path: string, { uid }: Stats): string[] {
  return trusted(uid, process.env.SUDO_UID) ? [] : [`chown root ${path}`]
}

function open(path: string, { mode, gid }: Stats): string[] {
  const byGroup = (mode & bits.groupWrites) !== 0 && !trusted(gid, process.env.SUDO_GID)
  return byGroup || (mode & bits.othersWrite) !== 0 ? [`chmod go-w ${path}`] : []
}
