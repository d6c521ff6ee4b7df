import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Result } from 'execa'
import { diagnostic, SpanplanError, systemCode } from '../errors.ts'
import { decodeBytes, encodeBytes } from './parsers/bytes.ts'
import { concurrency, defaultBytes, killGrace, type RunLimits, timeLimit } from './process/run-limits.ts'

/** A program and its arguments. They never reach a shell. */
export type Argv = readonly [string, ...string[]]

/** The result of a program that has ended. */
export interface Output {
  readonly stdout: string
  readonly stderr: string
  /** The exit status; 128 + n if signal n ended the program. */
  readonly status: number
  /** The program printed more than it may, and was ended: this is the start. Only with {@link RunLimits.keepsStart}. */
  readonly isCut?: true
}

/** The Debian package of each program that spanplan calls. */
export const packageOf: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  bridge: 'iproute2',
  ethtool: 'ethtool',
  tcpdump: 'tcpdump',
  perl: 'perl-base',
  nft: 'nftables',
  bpftool: 'bpftool',
  sysctl: 'procps',
  flock: 'util-linux',
  setpriv: 'util-linux',
  xargs: 'findutils',
  ls: 'coreutils',
  stdbuf: 'coreutils',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  'systemd-run': 'systemd'
}

/** The command that runs a program of the host in the network namespace of a file. */
export function enterNamespace(file: string, argv: Argv): Argv {
  return ['nsenter', `--net=${file}`, '--', ...argv]
}

/** The search path: that of this process, and Debian's folders of ip, tc, ethtool and tcpdump, which the PATH of a hook or of a user may lack. */
const searchPath = () =>
  [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'].filter(Boolean).join(':')

const commonOptions = {
  reject: false,
  // execa's signal handler would end this process at the first signal, before ours can report what is left.
  cleanup: false,
  // A process group of its own: a terminal's ^C reaches only spanplan, and interrupts no batch.
  detached: true,
  // The working directory of spanplan may be gone.
  cwd: '/',
  // No program reads or writes files of the user: nft -i keeps a history in the home folder.
  get env() {
    return { LC_ALL: 'C', PATH: searchPath(), HOME: '/dev/null' }
  }
} as const

/** It takes longer to load than a command that runs no program takes for all else. */
const loadExeca = () => import('execa')

/**
 * Runs a program to its end, in the C locale. Its input and output may have bytes that are no UTF-8: see {@link decodeBytes}.
 *
 * @param input the program's stdin: a text, or the number of a file descriptor. The program inherits no other descriptor.
 * @returns its output and its exit status, also where that says that the program has failed.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS or OUTPUT_TOO_LONG.
 */
export async function run(argv: Argv, input: string | number = '', limits: RunLimits = {}): Promise<Output> {
  const { milliseconds = timeLimit, bytes = defaultBytes, cancel, keepsStart = false } = limits
  const [file, ...args] = argv
  if (!args.every((word) => word.isWellFormed())) return run(...asItems(argv), limits)
  const { execa } = await loadExeca()
  const attempt = async () => {
    const child = execa(file, args, {
      ...commonOptions,
      ...stdin(input),
      encoding: 'buffer',
      timeout: milliseconds,
      killSignal: 'SIGKILL',
      stripFinalNewline: false,
      maxBuffer: bytes,
      ...(cancel && { cancelSignal: cancel })
    })
    const ended = await within(milliseconds + killGrace, child)
    if (ended === null) abandon(child)
    if (ended === null || ended.timedOut) throw programHangs(argv, milliseconds)
    return ended
  }
  let result = await attempt()
  for (let tries = 1; wasInterrupted(result) && tries < mostTries; tries++) result = await attempt()
  if (result.isMaxBuffer && !keepsStart) throw outputTooLong(argv, bytes)
  const status = statusOf(file, result)
  const output = { stdout: decodeBytes(result.stdout), stderr: decodeBytes(result.stderr), status }
  return result.isMaxBuffer ? { ...output, isCut: true } : output
}

/** How often a program is started that a signal ends before it has begun. Nobody sends one to a terminal that often in a moment. */
const mostTries = 10

/**
 * Whether a signal has ended a program that was meant for this process. A new process is in the process group of a terminal until it
 * has one of its own (setsid(2)), and what comes until then ends it before it has begun. What has begun, no such signal reaches.
 */
function wasInterrupted({ signal }: { readonly signal?: NodeJS.Signals | null | undefined }): boolean {
  return signal === 'SIGINT' || signal === 'SIGTERM'
}

/** A call of xargs, which calls the program: Node cannot pass an argument with bytes that are no UTF-8. */
function asItems([file, ...args]: Argv): [Argv, string] {
  return [['xargs', '--null', `--max-args=${args.length}`, file], args.map((word) => `${word}\0`).join('')]
}

/**
 * Runs a program that takes a few milliseconds. This process does nothing else meanwhile.
 *
 * @param file the descriptor that is the program's stdin; null: it has none.
 * @throws SpanplanError PROGRAM_MISSING or PROGRAM_HANGS.
 */
export function runWaiting(argv: Argv, file: number | null = null): Output {
  const [program, ...args] = argv
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const attempt = () =>
    spawnSync(program, args, {
      cwd: '/',
      env: { ...process.env, ...commonOptions.env },
      timeout: timeLimit,
      killSignal: 'SIGKILL',
      encoding: 'utf8',
      stdio: [file ?? 'ignore', 'pipe', 'pipe']
    })
  let result = attempt()
  for (let tries = 1; wasInterrupted(result) && tries < mostTries; tries++) result = attempt()
  const { stdout, stderr, status, signal } = result
  const code = systemCode(result.error)
  if (code === 'ETIMEDOUT') throw programHangs(argv, timeLimit)
  const ended = { exitCode: status ?? undefined, signal: signal ?? undefined, code }
  return { stdout, stderr, status: statusOf(program, ended) }
}

/** Waits for a promise, but no longer than so many milliseconds; null: it is not settled by then. */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | null> {
  const timer = new AbortController()
  const late = sleep(milliseconds, null, { signal: timer.signal }).catch(() => null)
  return Promise.race([promise, late]).finally(() => timer.abort())
}

/**
 * Stops waiting for a program that was killed and has not ended: it would keep this process from exiting. A program that waits for a
 * driver ends only after that. Its pipes stay open until its children have closed them.
 */
function abandon(child: ChildProcess): void {
  try {
    // The process group is the program's own.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The program has just ended.
  }
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
  child.unref()
}

/** A program that runs. It goes on when this process exits, unless the program itself sees to it that it does not. */
export type RunningProgram = Readonly<Awaited<ReturnType<typeof start>>>

/**
 * Starts a program, in the C locale, with pipes. The caller has to read its output before it awaits anything else: execa throws away what
 * nobody reads by then.
 *
 * @param inherited a file descriptor that it has as its descriptor 3.
 * @throws SpanplanError PROGRAM_MISSING.
 */
export async function start([file, ...args]: Argv, inherited?: number) {
  const { execa } = await loadExeca()
  // A cast: execa's type has the descriptors from 3 to 9 only; Node accepts any.
  const stdio = ['pipe', 'pipe', 'pipe', ...(inherited === undefined ? [] : [inherited as 3])] as const
  const child = execa(file, args, { ...commonOptions, buffer: false, stdio })
  const { pid, stdin, stdout, stderr } = child
  if (pid === undefined) throw notStarted(file, await child)
  return {
    pid,
    stdin,
    stdout,
    stderr,
    end: (signal: NodeJS.Signals) => child.kill(signal),
    /** Ends the program and what it has started, and waits for none of them. */
    abandon: () => abandon(child),
    /** Whether this process waits for the program before it exits. */
    hold: (isHeld: boolean) => {
      // Their types do not say that pipes are sockets, which only those of a file are not.
      for (const one of [child, child.stdin, child.stdout, child.stderr] as Partial<Pick<Socket, 'ref' | 'unref'>>[]) {
        if (isHeld) one.ref?.()
        else one.unref?.()
      }
    },
    /** The status as in {@link Output}, once the program has ended. */
    status: child.then((result) => statusOf(file, result))
  }
}

/** How a program has ended, or that it has not started: a part of execa's result. */
type Ended = {
  readonly [Key in 'exitCode' | 'signal' | 'code' | 'shortMessage']?: Result<{ reject: false }>[Key] | undefined
}

/** @throws SpanplanError PROGRAM_MISSING: one that has started ends with a status or by a signal. */
function statusOf(file: string, ended: Ended): number {
  const { exitCode, signal } = ended
  if (exitCode !== undefined) return exitCode
  if (signal === undefined) throw notStarted(file, ended)
  return 128 + constants.signals[signal]
}

/** Characters of stderr that are kept. */
const longestStderr = 1000

/**
 * Runs a program until it ends by itself, or `signal` ends it. It ends when this process ends, also when this process is killed.
 *
 * @param onStart is called once the program has started.
 * @param onOutput gets what it writes to stdout or stderr.
 * @returns why the program has ended.
 */
export async function follow(
  argv: Argv,
  { onStart, onOutput }: { readonly onStart: (pid: number) => void; readonly onOutput: (text: string) => void },
  signal: AbortSignal
): Promise<SpanplanError> {
  const [file, ...args]: Argv = ['setpriv', '--pdeathsig', 'KILL', '--', ...argv]
  const { execa } = await loadExeca()
  const child = execa(file, args, {
    ...commonOptions,
    buffer: false,
    stdin: 'ignore'
  })
  let stderr = ''
  child.stdout?.on('data', (data) => onOutput(String(data)))
  child.stderr?.on('data', (data) => {
    stderr = `${stderr}${data}`.slice(-longestStderr)
    onOutput(String(data))
  })
  if (child.pid !== undefined) onStart(child.pid)
  // A program that it has started, as a script does, would keep its pipes open.
  const end = () => abandon(child)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const ended = await child
  signal.removeEventListener('abort', end)
  if (child.pid === undefined) return notStarted(file, ended)
  return commandFailed(argv, { stdout: '', stderr, status: statusOf(file, ended) })
}

function stdin(input: string | number): { stdin: 3 } | { stdin: 'ignore' } | { input: Uint8Array } {
  // A cast: execa's type has the descriptors from 3 to 9 only; Node accepts any.
  if (typeof input === 'number') return { stdin: input as 3 }
  return input === '' ? { stdin: 'ignore' } : { input: encodeBytes(input) }
}

/**
 * Does the work for all items, `atOnce` at a time. After a failure, it begins no further item, waits for those that it has begun, and
 * rejects.
 */
export async function forEachConcurrently<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
  atOnce = concurrency
): Promise<void> {
  const queue = [...items]
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item).catch((error: unknown) => {
        queue.length = 0
        throw error
      })
    }
  }
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** The results of work for all items, by item. It is done as {@link forEachConcurrently} does it. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>
): Promise<Map<Item, Result>> {
  const results = new Map<Item, Result>()
  await forEachConcurrently(items, async (item) => {
    results.set(item, await work(item))
  })
  return results
}

function notStarted(file: string, { code = '', shortMessage: reason = 'it does not start' }: Ended): SpanplanError {
  const debianPackage = packageOf[file]
  const reasons: Readonly<Record<string, string>> = { ENOENT: 'it is not installed', EACCES: 'permission denied' }
  const message = `the program ${file} cannot be run: ${reasons[code] ?? reason}`
  const hint =
    code === 'EACCES'
      ? `see who may run it: ls -lL "$(command -v ${file})"`
      : debianPackage && `install it: apt-get install ${debianPackage}`
  return new SpanplanError(diagnostic('PROGRAM_MISSING', message, hint))
}

/** The error for a program that has not ended, or answered, in time. */
export function programHangs(argv: Argv, milliseconds: number): SpanplanError {
  const message = `${writeArgv(argv)} did not end within ${milliseconds / 1000} s, and was stopped`
  const hint = 'look for a hung driver or a held rtnl lock in the kernel log: dmesg'
  return new SpanplanError(diagnostic('PROGRAM_HANGS', message, hint))
}

/** The error for a program that prints more than so many bytes. */
export function outputTooLong(argv: Argv, bytes: number): SpanplanError {
  const message = `${writeArgv(argv)} printed more than ${bytes / 1024} KB, and was stopped`
  return new SpanplanError(diagnostic('OUTPUT_TOO_LONG', message))
}

/** Characters of a word in a message: a transaction of nftables has hundreds. */
const longestWord = 100

/** A command in a message. `plan --commands` has all of it. */
function writeArgv(argv: Argv): string {
  return argv.map((word) => (word.length > longestWord ? `${word.slice(0, longestWord)}…` : word)).join(' ')
}

/** The error for a program that has failed: its command, its status and its stderr. */
export function commandFailed(argv: Argv, { status, stderr }: Output): SpanplanError {
  const message = `${writeArgv(argv)} failed with status ${status}: ${stderr.trim() || 'it printed no reason'}`
  return new SpanplanError(diagnostic('COMMAND_FAILED', message))
}
