import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { SpanplanError } from '../errors.ts'

/** A program and its arguments; none of them ever reaches a shell. */
export type Argv = readonly [string, ...string[]]

/** What a program left when it had ended. */
export interface Output {
  readonly stdout: string
  readonly stderr: string
  /** The exit status; 128 + n for one that signal n ended. */
  readonly status: number
}

/** The Debian package of each program that spanplan calls. */
const packageOf: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  bridge: 'iproute2',
  ethtool: 'ethtool',
  tcpdump: 'tcpdump',
  sysctl: 'procps',
  flock: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  nsenter: 'util-linux'
}

/** Milliseconds. Reading and writing 1,000 links takes iproute2 less than a second; what takes this long hangs. */
export const timeLimit = 30_000

/** What a program may take, and may print; and what kills it before its time. */
export interface Limits {
  readonly milliseconds?: number
  readonly bytes?: number
  readonly cancel?: AbortSignal
}

/** What the tools print of thousands of links: `ethtool -k` of 2,000 of them is 16 MB. */
const usualBytes = 512 * 1024 * 1024

/** Where Debian keeps ip, tc, ethtool and tcpdump: in no ordinary user's PATH, nor in every hook's. */
const path = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'].filter(Boolean).join(':')

/** Milliseconds that a program is waited for after it was killed. */
const dying = 1000

const surroundings = {
  reject: false,
  // Its handler of signals would end this process at the first one, where ours wants to say what is left.
  cleanup: false,
  // In a group of its own: a terminal's ^C is for us alone, and leaves no batch half done.
  detached: true,
  // The folder that we were started in may be gone.
  cwd: '/',
  env: { LC_ALL: 'C', PATH: path }
} as const

/**
 * Runs a program to its end, in the C locale, and gives back what it printed and its status, whatever that is.
 * It reads `input`; where that is a number, its stdin is that descriptor of ours. It inherits no other.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS or OUTPUT_TOO_LONG.
 */
export async function run(argv: Argv, input: string | number = '', limits: Limits = {}): Promise<Output> {
  const { milliseconds = timeLimit, bytes = usualBytes, cancel } = limits
  const [file, ...words] = argv
  const child = execa(file, words, {
    ...surroundings,
    ...stdin(input),
    timeout: milliseconds,
    killSignal: 'SIGKILL',
    stripFinalNewline: false,
    // Of what it prints besides ASCII, execa counts the characters.
    maxBuffer: bytes,
    ...(cancel && { cancelSignal: cancel })
  })
  const timer = new AbortController()
  const late = sleep(milliseconds + dying, null, { signal: timer.signal }).catch(() => null)
  const result = await Promise.race([child, late])
  timer.abort()
  if (result === null) abandon(child)
  if (result === null || result.timedOut) throw hangs(argv, milliseconds)
  if (result.isMaxBuffer) throw tooLong(argv, bytes)
  // It ran to its end, whatever came of it; without a status or a signal, it never started.
  const { stdout, stderr, exitCode, signal } = result
  if (exitCode === undefined && signal === undefined) throw cannotRun(file, result.code, result.shortMessage)
  return { stdout, stderr, status: statusOf(exitCode, signal) }
}

/**
 * What is killed need not end: not while it waits for a driver. And its pipes are open for as long as a child of its own has
 * them. It is not waited for any more, and neither is it at our own end.
 */
function abandon(child: ChildProcess): void {
  try {
    // Its whole group, which is its own.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
  child.unref()
}

/** A program that runs until it is done, or is ended: at our own end it goes on, unless it sees to that itself. */
export interface Running {
  readonly pid: number
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  end(signal: NodeJS.Signals): void
  /** As {@link Output} has it, once it has ended. */
  readonly status: Promise<number>
}

/**
 * Starts a program, in the C locale, on pipes of its own. What it prints has to be read at once.
 *
 * @throws SpanplanError PROGRAM_MISSING.
 */
export async function start([file, ...words]: Argv): Promise<Running> {
  const child = execa(file, words, { ...surroundings, buffer: false })
  const { pid, stdin, stdout, stderr } = child
  if (pid === undefined) {
    const { code, shortMessage } = await child
    throw cannotRun(file, code, shortMessage)
  }
  return {
    ...{ pid, stdin, stdout, stderr },
    end: (signal) => child.kill(signal),
    status: child.then(({ exitCode, signal }) => statusOf(exitCode, signal))
  }
}

function statusOf(exitCode: number | undefined, signal: NodeJS.Signals | undefined): number {
  return exitCode ?? 128 + (signal === undefined ? 0 : constants.signals[signal])
}

/** What is told of a program that goes on. */
export interface Follower {
  /** It runs, as this process. */
  readonly onStart: (pid: number) => void
  /** It has printed something, or complained. What it was is not kept. */
  readonly onOutput: () => void
}

/** Characters of what a program complained of last. */
const longestComplaint = 1000

/**
 * Runs a program until it ends by itself, or is ended by `signal`. It ends with us, also where we are killed.
 *
 * @returns why it has ended.
 */
export async function follow(argv: Argv, { onStart, onOutput }: Follower, signal: AbortSignal): Promise<SpanplanError> {
  const [file, ...words]: Argv = ['setpriv', '--pdeathsig', 'KILL', '--', ...argv]
  const child = execa(file, words, {
    ...surroundings,
    ...{ buffer: false, stdin: 'ignore', cancelSignal: signal, killSignal: 'SIGKILL' }
  })
  let stderr = ''
  child.stdout?.on('data', onOutput)
  child.stderr?.on('data', (data) => {
    stderr = `${stderr}${data}`.slice(-longestComplaint)
    onOutput()
  })
  if (child.pid !== undefined) onStart(child.pid)
  const { exitCode, signal: by, code, shortMessage } = await child
  if (exitCode === undefined && by === undefined) return cannotRun(file, code, shortMessage)
  return commandFailed(argv, { stdout: '', stderr, status: statusOf(exitCode, by) })
}

function stdin(input: string | number): { stdin: 3 } | { stdin: 'ignore' } | { input: string } {
  // Its type has the descriptors from 3 to 9 only; Node takes any.
  if (typeof input === 'number') return { stdin: input as 3 }
  return input === '' ? { stdin: 'ignore' } : { input }
}

/** As many processes at once as keep two cores busy. */
const width = 4

/** Does the work for all items, several side by side; after a failure no more are begun, and it rejects once all have ended. */
export async function sideBySide<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item).catch((error: unknown) => {
        queue.length = 0
        throw error
      })
    }
  }
  const results = await Promise.allSettled(Array.from({ length: width }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function cannotRun(file: string, code = '', reason = 'it does not start'): SpanplanError {
  const debian = packageOf[file]
  const reasons: Readonly<Record<string, string>> = { ENOENT: 'it is not installed', EACCES: 'permission denied' }
  return new SpanplanError({
    code: 'PROGRAM_MISSING',
    message: `the program ${file} cannot be run: ${reasons[code] ?? reason}`,
    ...(debian && { hint: `install it: apt-get install ${debian}` })
  })
}

function tooLong(argv: Argv, bytes: number): SpanplanError {
  return new SpanplanError({
    code: 'OUTPUT_TOO_LONG',
    message: `${argv.join(' ')} printed more than ${bytes / 1024} KB, and was ended`
  })
}

function hangs(argv: Argv, milliseconds: number): SpanplanError {
  return new SpanplanError({
    code: 'PROGRAM_HANGS',
    message: `${argv.join(' ')} did not end within ${milliseconds / 1000} s, and was ended`,
    hint: 'look for a hung driver or a held rtnl lock in the kernel log: dmesg'
  })
}

/** What a program's failure is reported as: its words, and its own. */
export function commandFailed(argv: Argv, output: Output): SpanplanError {
  return new SpanplanError({
    code: 'COMMAND_FAILED',
    message: `${argv.join(' ')} failed with status ${output.status}: ${output.stderr.trim() || 'it said nothing'}`
  })
}
