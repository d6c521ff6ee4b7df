import type { Stats } from 'node:fs'
import { runWaiting } from '../exec.ts'
import { readText } from './open-file.ts'

/** Bits of a mode, as in inode(7). */
const bits = { permissions: 0o7777, sticky: 0o1000, groupWrites: 0o020, othersWrite: 0o002 } as const

/** The owner and the mode of a file. */
export type Ownership = Pick<Stats, 'uid' | 'gid' | 'mode'>

/** Where a file is: its path, or the descriptor by which it is open. */
export type Place = string | number

/** Whether this process trusts a user: root, its own user, or the user who called sudo, whom sudo names in the environment. */
export function isTrustedUser(uid: number): boolean {
  const ownUid = process.geteuid?.()
  return uid === 0 || uid === ownUid || (ownUid === 0 && String(uid) === process.env.SUDO_UID)
}

/**
 * Whether users who are not trusted may write to a file, or add and remove files in a folder: everybody may, or its group may. A
 * group is trusted only if it is a trusted user's own. With an access control list, the group's bits are the list's mask (acl(5)): if
 * they do not allow to write, the list allows nobody else to.
 */
export function mayOthersWrite({ mode, gid }: Ownership, place: Place): boolean {
  if ((mode & bits.othersWrite) !== 0) return true
  return (mode & bits.groupWrites) !== 0 && !(isPrivateGroup(gid) && hasModeAlone(place))
}

/** Whether, as in /tmp, only the owner of a file may remove or rename it, although others may write to the folder. */
export function isSticky({ mode }: Ownership): boolean {
  return (mode & bits.sticky) !== 0
}

/** Writes a mode as chmod(1) reads it: `0644`. */
export function writeMode({ mode }: Ownership): string {
  return (mode & bits.permissions).toString(8).padStart(4, '0')
}

/**
 * Whether a group is a trusted user's own: it has that user's name, is that user's primary group (as useradd(8) makes it), and has no
 * other member. A group that other sources than these two files know is not known to be anybody's own.
 */
function isPrivateGroup(gid: number): boolean {
  const groups = readRows('/etc/group').filter(([, , id]) => id === String(gid))
  const users = readRows('/etc/passwd')
  const trusted = new Set(users.flatMap(([name = '', , uid]) => (uid && isTrustedUser(Number(uid)) ? [name] : [])))
  const primary = users.flatMap(([name = '', , , group]) => (group === String(gid) ? [name] : []))
  const members = groups.flatMap(([, , , names = '']) => names.split(',').filter((name) => name !== ''))
  return (
    groups.length > 0 &&
    groups.every(([name = '']) => trusted.has(name) && primary.includes(name)) &&
    [...primary, ...members].every((name) => trusted.has(name))
  )
}

/** The rows of passwd(5) or group(5); none: the file cannot be read. */
function readRows(path: string): readonly (readonly string[])[] {
  const lines = readText(path)?.split('\n') ?? []
  return lines.map((line) => line.split(':'))
}

/**
 * Whether a file is known to have no access control list. Node cannot read extended attributes; GNU's ls marks a file that has a list with
 * `+`, and one with a security context alone with `.`. Others' ls may not say it.
 */
function hasModeAlone(place: Place): boolean {
  const [path, file] = typeof place === 'string' ? [place, null] : ['/proc/self/fd/0', place]
  try {
    const { stdout } = runWaiting(['ls', '-ldL', '--', path], file)
    return /^[a-z-]{10}[ .]/i.test(stdout) && runWaiting(['ls', '--version']).stdout.includes('GNU coreutils')
  } catch {
    return false
  }
}
