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
import * as z from 'zod'
import { interruptedExit, SpanplanError } from '../errors.ts'
import { commandFailed, run } from '../host/exec.ts'
import { mayOthersWrite } from '../host/file-permissions.ts'
import { localTime } from '../local-time.ts'
import { printable } from '../printable.ts'
import { openRunFolder, readRunFile, runFile, systemFolder } from './folder.ts'

const holderDocument = z.object({
  pid: z.int().positive(),
  command: z.string(),
  since: z.iso.datetime(),
  waits_until: z.iso.datetime().optional()
})

/** Who holds the lock, as it says itself in the lock's file. Times are ISO 8601. */
export type Holder = z.infer<typeof holderDocument>

/** Held until it is released, or until this process ends, in whatever way: then the kernel frees it. */
export interface Lock {
  release(): void
  /** Says more of what the holder is at, for those who find the lock held. */
  announce(holder: Partial<Holder>): void
}

interface LockOptions {
  /** Which: there is one for all that changes something, `lock`, and one for the watch of each name. */
  readonly kind?: string
  /** As typed, for those who find the lock held. */
  readonly command: string
  /** Milliseconds to wait for another's; 0: not at all. */
  readonly timeout: number
  /** Ends the waiting. */
  readonly signal: AbortSignal
}

/** Milliseconds between two looks at whether the holder waits for a person by now, or a signal has come. */
const patience = 500

/**
 * Takes a lock of this network namespace.
 *
 * @throws SpanplanError LOCKED if another has it; RIGHT_MISSING if its file cannot be made; INTERRUPTED while waiting.
 */
export async function takeLock({ kind = 'lock', ...options }: LockOptions): Promise<Lock> {
  const deadline = performance.now() + options.timeout
  for (;;) {
    const path = runFile(kind)
    const file = openLock(path)
    try {
      await lockFile(file, kind, deadline, options.signal)
      // Else somebody has tidied up while we waited, and others lock another file by now.
      if (isAt(file, path)) {
        if (isOwn(file, path)) return usable(path, () => hold(file, path, options.command))
        // Nobody holds it, whoever has left it there.
        usable(path, () => rmSync(path))
      }
    } catch (error) {
      closeSync(file)
      throw error
    }
    closeSync(file)
  }
}

/**
 * Who has the lock, without taking it. What a killed holder wrote stays, but says nothing once its process is gone.
 *
 * @returns null if nobody has it, it cannot be read, or its holder has not yet said who it is.
 */
export function readHolder(kind = 'lock'): Holder | null {
  try {
    const holder = holderDocument.parse(JSON.parse(readRunFile(kind) ?? ''))
    return isRunning(holder.pid) ? holder : null
  } catch {
    return null
  }
}

function openLock(path: string): number {
  return usable(path, () => {
    openRunFolder()
    for (;;) {
      const file = tryToOpen(path)
      if (file !== null && fstatSync(file).isFile()) return file
      if (file !== null) closeSync(file)
      // A lock is a file, and one that its folder's owner may open.
      rmSync(path)
    }
  })
}

/** null: there is something else than a file that this user may open, in a folder that is his. */
function tryToOpen(path: string): number | null {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    // Closed where another program is started, as everything that Node opens.
    return openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    const isOdd = code === 'ELOOP' || code === 'ENXIO'
    const isLeft = code === 'EACCES' && existsSync(path) && statSync(dirname(path)).uid === process.geteuid?.()
    if (isOdd || isLeft) return null
    throw error
  }
}

/** Words what the file system refuses. */
function usable<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    const folder = dirname(path)
    const reason = reasons[String(error.code)] ?? error.message
    // Not the one that is there: it is somebody's.
    const own = folder === systemFolder || existsSync(folder) ? `${folder}-USER` : folder
    const what = existsSync(path)
      ? `the lock's file ${path} cannot be used`
      : `the lock's file cannot be made in the folder ${folder}`
    throw new SpanplanError({
      code: 'RIGHT_MISSING',
      message: `${what}: ${reason}`,
      hint: `make a folder of the user's own: install -d -o USER ${own}; and name it with $SPANPLAN_RUN_DIR`
    })
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder above it does not exist',
  ENOTDIR: 'it is no folder',
  EISDIR: 'it is a folder',
  ENOSPC: 'the disk is full'
}

/** Whether a lock is one that this process has made, or may have made: nobody else can write to it, by no other name either. */
function isOwn(file: number, path: string): boolean {
  const stats = fstatSync(file)
  const owners = [process.geteuid?.(), statSync(dirname(path)).uid]
  return stats.nlink === 1 && owners.includes(stats.uid) && !mayOthersWrite(stats)
}

async function lockFile(file: number, kind: string, deadline: number, signal: AbortSignal): Promise<void> {
  // Without a wait first: where the holder waits for a person, so would we.
  for (let wait = 0; !(await tryFlock(file, wait)); ) {
    const holder = readHolder(kind)
    const left = deadline - performance.now()
    if (left <= 0 || (holder !== null && secondsLeft(holder) > 0)) throw locked(holder)
    if (signal.aborted) {
      const message = 'interrupted while another spanplan was at work.\nNothing was changed.'
      throw new SpanplanError({ code: 'INTERRUPTED', message }, interruptedExit(signal))
    }
    wait = Math.min(left, patience)
  }
}

/** The lock is of the open file, which flock shares with us, not of the process: it outlives flock, and ends with us. */
async function tryFlock(file: number, wait: number): Promise<boolean> {
  const how = wait > 0 ? ['--wait', (wait / 1000).toFixed(3)] : ['--nonblock']
  const argv = ['flock', '--exclusive', ...how, '0'] as const
  const output = await run(argv, file)
  if (output.status > 1) throw commandFailed(argv, output)
  return output.status === 0
}

function isAt(file: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false })
  const ours = fstatSync(file)
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev
}

function hold(file: number, path: string, command: string): Lock {
  let holder: Holder = { pid: process.pid, command, since: new Date().toISOString() }
  let held = true
  const write = () => {
    ftruncateSync(file)
    writeSync(file, `${JSON.stringify(holder)}\n`, 0)
  }
  write()
  // The user who called sudo may take the lock in their own folder after root has.
  const { uid, gid } = statSync(dirname(path))
  if (process.geteuid?.() === 0 && fstatSync(file).uid !== uid) fchownSync(file, uid, gid)
  return {
    announce: (more) => {
      holder = { ...holder, ...more }
      try {
        write()
      } catch {
        // It is for people only: where the disk is full, they are told less.
      }
    },
    release: () => {
      if (!held) return
      held = false
      ftruncateSync(file)
      closeSync(file)
    }
  }
}

/** Also one that we may send no signal to. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Until a holder that waits for a person gives up; 0 if it waits for nobody. */
function secondsLeft({ waits_until: until }: Holder): number {
  return until === undefined ? 0 : Math.max(0, Math.ceil((Date.parse(until) - Date.now()) / 1000))
}

function locked(holder: Holder | null): SpanplanError {
  const wait = 'run it again when that has ended, or let it wait: --lock-timeout 30s'
  if (holder === null) {
    return new SpanplanError({ code: 'LOCKED', message: 'another spanplan is at work', hint: wait })
  }
  const who = `another spanplan is at work: pid ${holder.pid}, "${printable(holder.command)}", since ${localTime(holder.since)}`
  const seconds = secondsLeft(holder)
  return new SpanplanError(
    seconds > 0
      ? {
          code: 'LOCKED',
          message: `${who}. It waits for confirmation, for another ${seconds} s`,
          hint: 'spanplan confirm, or spanplan rollback'
        }
      : { code: 'LOCKED', message: who, hint: wait }
  )
}
