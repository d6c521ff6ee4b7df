import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { diagnostic, interruptedExit, SpanplanError, systemCode, systemReason } from '../errors.ts'
import { commandFailed, run } from '../host/exec.ts'
import { mayOthersWrite } from '../host/files/permissions.ts'
import { isRoot } from '../host/process/process-rights.ts'
import { localTime } from '../local-time.ts'
import { printable } from '../printable.ts'
import { openRunFolder, runFile, systemFolder } from './folder.ts'
import { type Holder, readHolder, secondsLeft, windowLock } from './lock-holder.ts'

const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants

/** A lock that is held until it is released or the process ends: then the kernel frees it. */
export interface Lock {
  release(): void
  /** Changes what others read of the holder. */
  announce(holder: Partial<Holder>): void
}

/** What a lock is taken with. */
export interface LockOptions {
  /**
   * Which lock: `lock` is for every command that changes the host. The watch of each name has one of its own, and so has the
   * unit that holds a detached window ({@link windowLock}).
   */
  readonly kind?: string
  /** `lock` is taken also while a detached window is open. Default: no. */
  readonly duringWindow?: boolean
  /** What others read of the holder. Default: the command line. */
  readonly command?: string
  /** Milliseconds to wait for another holder; 0: not at all. */
  readonly timeout: number
  /** Ends the waiting. Default: nothing does. */
  readonly signal?: AbortSignal | undefined
}

/** How a lock's file is opened and locked. */
export interface Locking {
  /**
   * Opens the lock's file, or makes it. null: this user's folder had something else there, or a file that this user may not open,
   * and that is removed.
   */
  readonly open: (path: string) => number | null
  /** Waits for so many milliseconds at most; 0: not at all. */
  readonly tryFlock: (file: number, wait: number) => Promise<boolean>
  readonly isWindowHeld: () => Promise<boolean>
  /** Gives the lock back. It never fails. Whoever opens the file again may get the same one. */
  readonly free: (file: number) => Promise<void>
}

/** One program for each call of flock(2), and a file for each lock. */
export const simpleLocking: Locking = {
  open: openLock,
  tryFlock: (file, wait) => tryFlock(file, wait),
  isWindowHeld: () => isHeld(windowLock),
  free: async (file) => closeSync(file)
}

/** Milliseconds between two looks at a detached window that is about to open or to end. */
const windowInterval = 100

/** Milliseconds for one call of flock. Between two calls, it is checked whether the holder waits for a person, and the signal. */
const flockTimeLimit = 500

/**
 * Takes a lock of this network namespace.
 *
 * @throws SpanplanError LOCKED if another process holds it; RIGHT_MISSING or FILE_UNWRITABLE if its file cannot be made; INTERRUPTED while waiting.
 */
export async function takeLock(
  {
    kind = 'lock',
    duringWindow = false,
    command = ['spanplan', ...process.argv.slice(2)].join(' '),
    timeout,
    signal = new AbortController().signal
  }: LockOptions,
  locking = simpleLocking
): Promise<Lock> {
  const deadline = performance.now() + timeout
  const path = runFile(kind)
  for (;;) {
    const file = explainErrors(path, () => locking.open(path))
    if (file === null) continue
    let isLeftToUnit = false
    try {
      await lockFile(file, kind, deadline, signal, locking)
      // Somebody may have removed the file while this process waited: others lock another file by now.
      if (isAt(file, path)) {
        if (isOwn(file, path)) {
          isLeftToUnit = kind === 'lock' && !duringWindow && (await locking.isWindowHeld())
          if (!isLeftToUnit) return explainErrors(path, () => hold(file, path, command, locking))
          checkPatience(readHolder(windowLock), deadline, signal)
        } else {
          // Another user's file, which nobody holds.
          explainErrors(path, () => rmSync(path))
        }
      }
    } catch (error) {
      await locking.free(file)
      throw error
    }
    await locking.free(file)
    if (isLeftToUnit) await sleep(windowInterval)
  }
}

/** Whether somebody holds a lock, as the unit of a detached window holds the window's while it runs. What the holder has written is not asked. */
export async function isHeld(kind: string): Promise<boolean> {
  try {
    const file = openSync(runFile(kind), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      return !(await tryFlock(file, 0, '--shared'))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

function openLock(path: string): number | null {
  openRunFolder()
  try {
    // Node opens it with O_CLOEXEC: no program that is started keeps the lock.
    const file = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    if (fstatSync(file).isFile()) return file
    closeSync(file)
  } catch (error) {
    const code = systemCode(error)
    const isNoFile = code === 'ELOOP' || code === 'ENXIO'
    const isForeign = code === 'EACCES' && existsSync(path) && statSync(dirname(path)).uid === process.geteuid?.()
    if (!isNoFile && !isForeign) throw error
  }
  rmSync(path)
  return null
}

/** @throws SpanplanError RIGHT_MISSING, or FILE_UNWRITABLE where the disk is full: they explain an error of the file system. */
function explainErrors<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    const code = systemCode(error)
    if (code === undefined) throw error
    const folder = dirname(path)
    const reason = systemReason(error, reasons)
    // Not a folder that exists: it may be another user's.
    const own = folder === systemFolder || existsSync(folder) ? `${folder}-USER` : folder
    const what = existsSync(path)
      ? `the lock file ${path} cannot be used`
      : `the lock file cannot be created in the folder ${folder}`
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      const hint = `free space or inodes there: df ${folder}; df --inodes ${folder}`
      throw new SpanplanError(diagnostic('FILE_UNWRITABLE', `${what}: ${reason}`, hint))
    }
    const give = `install -d -o USER ${own}; then set $SPANPLAN_RUN_DIR to its path`
    // With a folder of its own, a command would not see root's watch, nor its pauses and its lock.
    const isForbidden = (code === 'EACCES' || code === 'EPERM') && !isRoot()
    const hint = isForbidden
      ? `run it as root, with sudo; only where the watch and the hook run as that user too, give them a folder of their own: ${give}`
      : `create a folder that belongs to the user: ${give}`
    throw new SpanplanError(diagnostic('RIGHT_MISSING', `${what}: ${reason}`, hint))
  }
}

const reasons: Readonly<Record<string, string>> = {
  EPERM: 'permission denied',
  ENOENT: 'the folder above it does not exist',
  ENOTDIR: 'it is not a folder'
}

/** Whether only this user and the folder's owner can write to the lock's file, and it has no second name. */
function isOwn(file: number, path: string): boolean {
  const stats = fstatSync(file)
  const owners = [process.geteuid?.(), statSync(dirname(path)).uid]
  return stats.nlink === 1 && owners.includes(stats.uid) && !mayOthersWrite(stats, file)
}

async function lockFile(
  file: number,
  kind: string,
  deadline: number,
  signal: AbortSignal,
  locking: Locking
): Promise<void> {
  // The first time without waiting: a holder that waits for a person is not waited for.
  for (let wait = 0; !(await locking.tryFlock(file, wait)); ) {
    checkPatience(readHolder(kind), deadline, signal)
    wait = Math.min(deadline - performance.now(), flockTimeLimit)
  }
}

/** @throws SpanplanError LOCKED if the time is over, or the holder waits for a person; INTERRUPTED. */
function checkPatience(holder: Holder | null, deadline: number, signal: AbortSignal): void {
  const isOver = deadline - performance.now() <= 0
  if (isOver || (holder !== null && secondsLeft(holder) > 0)) throw locked(holder)
  if (!signal.aborted) return
  const message = 'interrupted while waiting for another spanplan.\nNothing was changed.'
  throw new SpanplanError(diagnostic('INTERRUPTED', message), interruptedExit(signal))
}

/** flock(2): the lock belongs to the open file, which flock inherits: it stays when flock ends, and ends with this process. */
async function tryFlock(
  file: number,
  wait: number,
  mode: '--exclusive' | '--shared' = '--exclusive'
): Promise<boolean> {
  const how = wait > 0 ? ['--wait', (wait / 1000).toFixed(3)] : ['--nonblock']
  const argv = ['flock', mode, ...how, '0'] as const
  const output = await run(argv, file)
  if (output.status > 1) throw commandFailed(argv, output)
  return output.status === 0
}

/** Whether an open file is the one at a path. */
export function isAt(file: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false })
  const ours = fstatSync(file)
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev
}

function hold(file: number, path: string, command: string, locking: Locking): Lock {
  let holder: Holder = { pid: process.pid, command, since: new Date().toISOString() }
  let isHeld = true
  let longest = 0
  ftruncateSync(file)
  // At no moment is it empty: others may read it just then. White space behind JSON does not matter.
  const write = () => {
    const text = JSON.stringify(holder).padEnd(longest)
    longest = text.length
    try {
      writeSync(file, `${text}\n`, 0)
    } catch {
      // The disk is full. The lock is held all the same; only people read this.
    }
  }
  write()
  // So that the user who called sudo can take the lock in their own folder later.
  const { uid, gid } = statSync(dirname(path))
  if (isRoot() && fstatSync(file).uid !== uid) fchownSync(file, uid, gid)
  return {
    announce: (more) => {
      holder = { ...holder, ...more }
      write()
    },
    release: () => {
      if (!isHeld) return
      isHeld = false
      ftruncateSync(file)
      void locking.free(file)
    }
  }
}

/** The error for a lock that another has. */
export function locked(holder: Holder | null): SpanplanError {
  const who = holder && `: pid ${holder.pid}, "${printable(holder.command)}", since ${localTime(holder.since)}`
  const message = `another spanplan is running${who ?? ''}`
  const seconds = holder === null ? 0 : secondsLeft(holder)
  if (seconds === 0) {
    const hint = 'run it again when that one is done; apply, destroy and hook wait for it with --lock-timeout 2m'
    return new SpanplanError(diagnostic('LOCKED', message, hint))
  }
  const wait = `${message}. It waits for confirmation, for another ${seconds} s`
  return new SpanplanError(diagnostic('LOCKED', wait, 'to end the wait: spanplan confirm, or spanplan rollback'))
}
