import type { Stats } from 'node:fs'

/** Bits of a mode, as in inode(7). */
const bits = { permissions: 0o7777, sticky: 0o1000, groupWrites: 0o020, othersWrite: 0o002 } as const

/** Whose a file is, and who may write to it. */
export type Ownership = Pick<Stats, 'uid' | 'gid' | 'mode'>

/** Whether a user is trusted with what this process does: root, this user, or who became root by sudo, which names them in the environment. */
export function isTrustedUser(uid: number): boolean {
  const own = process.geteuid?.()
  return uid === 0 || uid === own || (own === 0 && String(uid) === process.env.SUDO_UID)
}

/** Whether others than trusted users may write to a file, or add and remove files in a folder. */
export function mayOthersWrite({ mode, gid }: Ownership): boolean {
  return (mode & bits.othersWrite) !== 0 || ((mode & bits.groupWrites) !== 0 && !isTrustedGroup(gid))
}

/** Whether only its owner may remove or rename a file in a folder that others may write to, as in /tmp. */
export function isSticky({ mode }: Ownership): boolean {
  return (mode & bits.sticky) !== 0
}

/** As chmod(1) takes it: `0644`. */
export function octal({ mode }: Ownership): string {
  return (mode & bits.permissions).toString(8).padStart(4, '0')
}

function isTrustedGroup(gid: number): boolean {
  const own = process.geteuid?.() === 0 ? process.env.SUDO_GID : process.getegid?.()
  return gid === 0 || String(gid) === String(own)
}
