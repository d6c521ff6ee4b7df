import type { Stats } from 'node:fs'

/** Bits of a mode, as in inode(7). */
const bits = { permissions: 0o7777, sticky: 0o1000, groupWrites: 0o020, othersWrite: 0o002 } as const

/** The owner and the mode of a file. */
export type Ownership = Pick<Stats, 'uid' | 'gid' | 'mode'>

/** Whether this process trusts a user: root, its own user, or the user who called sudo, whom sudo names in the environment. */
export function isTrustedUser(uid: number): boolean {
  const ownUid = process.geteuid?.()
  return uid === 0 || uid === ownUid || (ownUid === 0 && String(uid) === process.env.SUDO_UID)
}

/** Whether users who are not trusted may write to a file, or add and remove files in a folder. */
export function mayOthersWrite({ mode, gid }: Ownership): boolean {
  return (mode & bits.othersWrite) !== 0 || ((mode & bits.groupWrites) !== 0 && !isTrustedGroup(gid))
}

/** Whether, as in /tmp, only the owner of a file may remove or rename it, although others may write to the folder. */
export function isSticky({ mode }: Ownership): boolean {
  return (mode & bits.sticky) !== 0
}

/** Writes a mode as chmod(1) reads it: `0644`. */
export function writeMode({ mode }: Ownership): string {
  return (mode & bits.permissions).toString(8).padStart(4, '0')
}

function isTrustedGroup(gid: number): boolean {
  const ownGid = process.geteuid?.() === 0 ? process.env.SUDO_GID : process.getegid?.()
  return gid === 0 || String(gid) === String(ownGid)
}
