/** The run directory: what spanplans of one network namespace tell each other lies there, and goes with the machine. */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { SpanplanError } from '../errors.ts'
import { isSticky, isTrustedUser, mayOthersWrite, writeMode } from '../host/file-permissions.ts'
import { printable } from '../printable.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** Root's, unless root names another. What it holds, holds for every user. */
export const systemFolder = '/run/spanplan'

/** Bytes of a file that is read: a thousand pauses have a tenth of that. */
const largestFile = 1024 * 1024

/** This process's. */
export function runFolder(): string {
  return process.env.SPANPLAN_RUN_DIR || systemFolder
}

/** A file of this network namespace's own in a run directory; `kind` says which. */
export function runFile(kind: string, folder = runFolder()): string {
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? ''
  return join(folder, `net-${namespace}.${kind}`)
}

/**
 * What no other network namespace is called that there was since the machine was started: an inode's number is given to the
 * next one, once a namespace is gone. The kernel makes a socket of its own in each, for rtnetlink, of which any user may read
 * the number; and that number counts up, over all inodes without a file system.
 */
export function namespaceId(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  // proc(5): Eth, the protocol, is 0 for NETLINK_ROUTE; Pid is 0 for the kernel's own end; Inode comes last.
  const socket = /^\S+\s+0\s+0\s.*?(\d+)\s*$/m.exec(readFileSync('/proc/net/netlink', 'utf8'))?.[1] ?? ''
  return `${boot}/${socket}`
}

/**
 * Makes this process's run directory, if it is not there.
 *
 * @throws what the file system refuses.
 * @throws SpanplanError RIGHT_MISSING if others may put something there.
 */
export function openRunFolder(): string {
  const folder = runFolder()
  try {
    mkdirSync(folder)
    // Whatever the umask is.
    chmodSync(folder, 0o755)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  checkRunFolder()
  return folder
}

/**
 * Nothing is believed of a directory that others may write to, and nothing is written there: they could answer in
 * spanplan's place, or lay links.
 *
 * @throws SpanplanError RIGHT_MISSING.
 */
export function checkRunFolder(): void {
  const distrust = distrustOf(runFolder())
  if (distrust === null) return
  throw new SpanplanError({
    code: 'RIGHT_MISSING',
    message: `the run directory ${printable(runFolder())} cannot be used: ${printable(distrust)}`,
    hint: 'name another one, of your own, with $SPANPLAN_RUN_DIR; or run spanplan as the user whose it is'
  })
}

/** Whether what lies in a run directory is this user's, or root's, and nobody else's. */
export function isTrustedFolder(folder = runFolder()): boolean {
  try {
    return distrustOf(folder) === null
  } catch {
    return false
  }
}

/** Who else may write to a folder, or put another one in its place; null: nobody, or it is not there. */
function distrustOf(folder: string): string | null {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return null
  const path = realpathSync(folder)
  for (let at = path; ; at = dirname(at)) {
    const stats = statSync(at)
    if (!isTrustedUser(stats.uid)) return `${at} belongs to another user (uid ${stats.uid})`
    const isOpen = mayOthersWrite(stats) && (at === path || !isSticky(stats))
    if (isOpen) return `others may write to ${at} (its mode is ${writeMode(stats)})`
    if (at === dirname(at)) return null
  }
}

/** Gives what is in a file of a run directory; null if it is not there, or not to be believed. */
export function readRunFile(kind: string, folder = runFolder()): string | null {
  if (!isTrustedFolder(folder)) return null
  try {
    const file = openSync(runFile(kind, folder), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const stats = fstatSync(file)
      const isBelieved =
        stats.isFile() && isTrustedUser(stats.uid) && !mayOthersWrite(stats) && stats.size <= largestFile
      return isBelieved ? readFileSync(file, 'utf8') : null
    } finally {
      closeSync(file)
    }
  } catch {
    return null
  }
}

/**
 * Writes a file of this process's run directory, at once and whole, for everybody to read. Whoever holds the lock may call it.
 *
 * @throws if it cannot be written.
 */
export function writeRunFile(kind: string, text: string): void {
  const path = runFile(kind)
  const draft = `${path}.new`
  // What one that was killed has left, or anybody has laid.
  rmSync(draft, { force: true })
  const file = openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644)
  try {
    // Whatever the umask is.
    fchmodSync(file, 0o644)
    writeSync(file, text)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
}
