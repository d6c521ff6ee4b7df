/** The run directory: the files by which the spanplan processes of one network namespace know of each other. A restart empties it. */
import {
  chmodSync,
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
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { diagnostic, type Fault, SpanplanError, systemCode, systemReason } from '../errors.ts'
import { withFile } from '../host/files/open-file.ts'
import { isSticky, isTrustedUser, mayOthersWrite } from '../host/files/permissions.ts'
import { findFlaws, foldersAbove } from '../host/files/trust.ts'
import { shellLine } from '../host/quote-command.ts'
import { printable } from '../printable.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** The run directory of root. The pauses in it are for every user. */
export const systemFolder = '/run/spanplan'

/** Bytes of a file that is read. A thousand pauses take a tenth of that. */
const largestFile = 1024 * 1024

/** The run directory of this process. */
export function runFolder(): string {
  return process.env.SPANPLAN_RUN_DIR || systemFolder
}

/** The path of a file of this network namespace. `kind` says which file. */
export function runFile(kind: string, folder = runFolder()): string {
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? ''
  return join(folder, `net-${namespace}.${kind}`)
}

/**
 * Identifies this network namespace among all since the machine was started. Its inode number does not: the kernel gives that
 * to another namespace later. The inode number of the kernel's own rtnetlink socket in the namespace does: it counts up, over
 * all inodes without a file system, and any user may read it.
 */
export function namespaceId(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  // proc(5): Eth, the protocol, is 0 for NETLINK_ROUTE; Pid is 0 for the kernel's socket; Inode comes last.
  const socket = /^\S+\s+0\s+0\s.*?(\d+)\s*$/m.exec(readFileSync('/proc/net/netlink', 'utf8'))?.[1] ?? ''
  return `${boot}/${socket}`
}

/**
 * Makes the run directory of this process, if it is missing.
 *
 * @throws the error of the file system.
 * @throws SpanplanError RIGHT_MISSING if other users may write there.
 */
export function openRunFolder(): string {
  const folder = runFolder()
  try {
    mkdirSync(folder)
    // mkdir obeys the umask.
    chmodSync(folder, 0o755)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
  checkRunFolder()
  return folder
}

/**
 * Checks that no other user may write to the run directory: they could answer in spanplan's place, or put links there.
 *
 * @throws SpanplanError RIGHT_MISSING.
 */
export function checkRunFolder(): void {
  const distrust = findRunDistrust()
  if (distrust !== null) throw new SpanplanError(distrust.diagnostic)
}

/** Why the run directory cannot be used, with the command by which it can; null: it can, or it does not exist. */
export function findRunDistrust(): Fault | null {
  const distrust = distrustOf(runFolder())
  if (distrust === null) return null
  const message = `the run directory ${printable(runFolder())} cannot be used: ${printable(distrust.reason)}`
  const hint = 'set $SPANPLAN_RUN_DIR to a directory of your own, or run spanplan as the user who owns this one'
  return { diagnostic: diagnostic('RIGHT_MISSING', message, hint), command: shellLine(distrust.repair) }
}

/** Whether only this user and root may write to a run directory. */
export function isTrustedFolder(folder = runFolder()): boolean {
  try {
    return distrustOf(folder) === null
  } catch {
    return false
  }
}

/** Why other users may write to a folder, or put another folder in its place; null: they may not, or it does not exist. */
function distrustOf(folder: string) {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return null
  const path = realpathSync(folder)
  const [flaw] = [path, ...foldersAbove(path)].flatMap((at) => {
    const stats = statSync(at)
    return findFlaws(at, stats, at, { owner: true, mode: at === path || !isSticky(stats) })
  })
  return flaw ?? null
}

/**
 * Reads a file of a run directory; null: it does not exist, it is too large, or other users could have written it.
 *
 * @param limit bytes.
 */
export function readRunFile(kind: string, folder = runFolder(), limit = largestFile): string | null {
  if (!isTrustedFolder(folder)) return null
  try {
    return withFile(openSync(runFile(kind, folder), O_RDONLY | O_NOFOLLOW | O_NONBLOCK), (file) => {
      const stats = fstatSync(file)
      const isTrusted =
        stats.isFile() && isTrustedUser(stats.uid) && !mayOthersWrite(stats, file) && stats.size <= limit
      return isTrusted ? readFileSync(file, 'utf8') : null
    })
  } catch {
    return null
  }
}

/**
 * Writes a file of this process's run directory atomically. The caller holds the lock.
 *
 * @param mode who may read it; by default, every user.
 * @throws SpanplanError FILE_UNWRITABLE, such as where the disk is full: the file stays as it was.
 */
export function writeRunFile(kind: string, text: string, mode = 0o644): void {
  const path = runFile(kind)
  const draft = `${path}.new`
  try {
    // A process that was killed may have left one.
    rmSync(draft, { force: true })
    withFile(openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode), (file) => {
      // open obeys the umask.
      fchmodSync(file, mode)
      // Unlike writeSync(), it fails where the disk has room for a part only.
      writeFileSync(file, text)
    })
    renameSync(draft, path)
  } catch (error) {
    const message = `${printable(path)} cannot be written: ${systemReason(error)}`
    throw new SpanplanError(diagnostic('FILE_UNWRITABLE', message))
  }
}
