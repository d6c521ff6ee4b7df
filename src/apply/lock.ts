import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statSync,
  writeSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { interruptedExit, SpanplanError } from '../errors.ts'
import { commandFailed, run } from '../host/run.ts'
import { localTime } from '../local-time.ts'
import { printable } from '../printable.ts'

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
      if (isAt(file, path)) return usable(path, () => hold(file, path, options.command))
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
    const holder = holderDocument.parse(JSON.parse(readFileSync(runFile(kind), 'utf8')))
    return isRunning(holder.pid) ? holder : null
  } catch {
    return null
  }
}

/** A file of this network namespace's own in the run directory; `kind` says which. */
export function runFile(kind: string): string {
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? ''
  return join(process.env.SPANPLAN_RUN_DIR || '/run/spanplan', `net-${namespace}.${kind}`)
}

function openLock(path: string): number {
  const folder = dirname(path)
  const file = usable(path, () => {
    makeFolder(folder)
    // Closed where another program is started, as everything that Node opens.
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  })
  const distrust = distrustOf(fstatSync(file), statSync(folder))
  if (distrust === null) return file
  closeSync(file)
  throw trap(path, distrust)
}

function trap(path: string, distrust: string): SpanplanError {
  return unusable(`the lock's file ${path} ${distrust}`, `see who made it, and remove it: rm ${path}`)
}

/** Words what the file system refuses. */
function usable<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    if (error.code === 'ELOOP') throw trap(path, 'is a symbolic link')
    const folder = dirname(path)
    const reason = reasons[String(error.code)] ?? error.message
    const other = 'or name another folder with $SPANPLAN_RUN_DIR'
    throw existsSync(path)
      ? unusable(`the lock's file ${path} cannot be used: ${reason}`, `hand it over: chown -R USER ${folder}; ${other}`)
      : unusable(
          `the lock's file cannot be made in the folder ${folder}: ${reason}`,
          `make the folder: install -d -o USER ${folder}; ${other}`
        )
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder above it does not exist',
  ENOTDIR: 'it is no folder',
  ENOSPC: 'the disk is full'
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder)
    // Whatever the umask is.
    chmodSync(folder, 0o755)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

/** Why root had better not write to a file, if so: where others may write the folder, it may be a trap. */
function distrustOf(file: Stats, folder: Stats): string | null {
  if (!file.isFile()) return 'is no regular file'
  if (file.nlink > 1) return 'has a second name elsewhere'
  // The folder's owner was given the folder by root, to take the lock as himself.
  if (process.geteuid?.() !== 0 || [0, folder.uid].includes(file.uid)) return null
  return `belongs to another user (uid ${file.uid})`
}

function unusable(message: string, hint: string): SpanplanError {
  return new SpanplanError({ code: 'RIGHT_MISSING', message, hint })
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
  // Whom root gave the folder may go on taking the lock after root has.
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
