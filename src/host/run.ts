import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { SpanplanError } from '../errors.ts'

/** A program and its arguments; none of them ever reaches a shell. */
export type Argv = readonly [string, ...string[]]

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
  sysctl: 'procps'
}

/** Milliseconds. Reading and writing 1,000 links takes iproute2 less than a second; what takes this long hangs. */
const timeLimit = 30_000

/** Where Debian keeps ip, tc, ethtool and tcpdump: in no ordinary user's PATH, nor in every hook's. */
const path = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'].filter(Boolean).join(':')

/**
 * Runs a program to its end, in the C locale, and gives back what it printed and its status, whatever that is.
 *
 * Node's own spawn: a plan runs five programs, and an apply of many spans hundreds. execa takes 25 ms to load and twice
 * as long for each.
 *
 * @throws SpanplanError PROGRAM_MISSING or PROGRAM_HANGS.
 */
export function run(argv: Argv, input = ''): Promise<Output> {
  const [file, ...words] = argv
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C', PATH: path }
    const child = spawn(file, words, { env, timeout: timeLimit, killSignal: 'SIGKILL' })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    // One that ends before it has read all: its status says why.
    child.stdin.on('error', () => {}).end(input)
    child.on('error', (error: NodeJS.ErrnoException) => reject(cannotRun(file, error)))
    child.on('close', (code, signal) => {
      if (child.killed) reject(hangs(argv))
      else resolve({ stdout, stderr, status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) })
    })
  })
}

function cannotRun(file: string, error: NodeJS.ErrnoException): Error {
  const { code } = error
  if (code !== 'ENOENT' && code !== 'EACCES') return error
  const debian = packageOf[file]
  return new SpanplanError({
    code: 'PROGRAM_MISSING',
    message: `the program ${file} cannot be run: ${code === 'ENOENT' ? 'it is not installed' : 'permission denied'}`,
    ...(debian && { hint: `install it: apt-get install ${debian}` })
  })
}

function hangs(argv: Argv): SpanplanError {
  return new SpanplanError({
    code: 'PROGRAM_HANGS',
    message: `${argv.join(' ')} did not end within ${timeLimit / 1000} s, and was ended`,
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
