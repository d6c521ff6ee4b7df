import type { Code } from './codes/explained-codes.ts'
import { meaningOf } from './codes/meanings.ts'

/** A place in one of the user's files. Lines and columns count from 1; a column counts UTF-16 code units, as editors do. */
export interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A place as compilers write it, in front of what is wrong there. */
export function writeOrigin({ file, line, column }: Origin): string {
  return `${file}:${line}:${column}`
}

/** An item of a list in the user's files, such as a source: what it says tells it from all others, wherever its lines are. */
export type ItemId = string

/** What a diagnostic, a wait or a change is about: a resource; or all of its kind, where `id` is empty. */
export interface Subject {
  /** null: nothing tells any more which span it belongs to. */
  readonly span: string | null
  readonly kind: string
  /** What tells the resource from the others of its kind and span. */
  readonly id: readonly string[]
  /** The item that asks for the resource. */
  readonly item?: ItemId | undefined
}

/** Stands for the place of what is in no file. It is never printed. */
export const nowhere: Origin = { file: '', line: 0, column: 0 }

/**
 * An error, a warning or a wait, for people and for programs.
 * `code` is stable across versions; `message` says what is wrong, `hint` what to do next.
 */
export interface Diagnostic {
  readonly code: Code
  readonly message: string
  readonly hint?: string
  readonly subject?: Subject
  readonly origin?: Origin
}

/** Something wrong, and the command that clears it; null: no command alone does. */
export interface Fault {
  readonly diagnostic: Diagnostic
  readonly command: string | null
}

/** The exit statuses. 64 to 78 are from sysexits(3); 128 + n is how a shell reports a signal. */
export const Exit = {
  done: 0,
  error: 1,
  changes: 2,
  unhealthy: 2,
  stale: 3,
  partial: 4,
  rolledBack: 5,
  incomplete: 6,
  usage: 64,
  invalidFile: 65,
  bug: 70,
  locked: 75,
  missingRight: 77,
  interrupted: 130,
  terminated: 143
} as const

/** An exit status of spanplan. */
export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** The status of a command that a signal interrupted. The abort's reason is the signal's name. */
export function interruptedExit({ reason }: AbortSignal): ExitCode {
  return reason === 'SIGTERM' ? Exit.terminated : Exit.interrupted
}

function exitOf(diagnostics: readonly Diagnostic[]): ExitCode {
  const exits = diagnostics.map((diagnostic) => {
    const { exit, lacksRight } = meaningOf(diagnostic)
    return lacksRight ? Exit.missingRight : Exit[exit ?? 'error']
  })
  const [first, ...others] = new Set(exits)
  return first === undefined || others.length > 0 ? Exit.error : first
}

/** An expected failure: one or more diagnostics, and the exit status. */
export class SpanplanError extends Error {
  readonly diagnostics: readonly Diagnostic[]
  readonly exit: ExitCode

  /** @param exit by default, the status that the codes have. */
  constructor(diagnostics: Diagnostic | readonly Diagnostic[], exit?: ExitCode, options?: ErrorOptions) {
    const list = 'code' in diagnostics ? [diagnostics] : diagnostics
    super(list.map((diagnostic) => diagnostic.message).join('\n'), options)
    this.name = 'SpanplanError'
    this.diagnostics = list
    this.exit = exit ?? exitOf(list)
  }
}

/** Makes a SpanplanError of anything that was thrown: an error that spanplan does not expect is a bug. */
export function asForeseen(error: unknown): SpanplanError {
  if (error instanceof SpanplanError) return error
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return new SpanplanError(
    {
      code: 'BUG',
      message: `this is a bug in spanplan ${SPANPLAN_VERSION}:\n${trace}`,
      hint: 'report it with these lines and the command'
    },
    Exit.bug,
    { cause: error }
  )
}

/** A SpanplanError in place of a result. Throws any other error. */
export function ifForeseen(error: unknown): SpanplanError {
  if (error instanceof SpanplanError) return error
  throw error
}

/** null in place of a SpanplanError, for whoever can do without the result. Throws any other error. */
export function nullIfForeseen(error: unknown): null {
  ifForeseen(error)
  return null
}

/** The result of some work, or null where it fails with a SpanplanError. */
export function attempt<T>(work: () => T): T | null {
  try {
    return work()
  } catch (error) {
    return nullIfForeseen(error)
  }
}

/** Joins the messages of an error into one diagnostic, with the code and the place of the first. */
export function diagnosticOf(error: unknown): Diagnostic {
  const [first, ...others] = asForeseen(error).diagnostics
  if (first === undefined) return { code: 'BUG', message: String(error) }
  return { ...first, message: [first, ...others].map(({ message }) => message).join('\n') }
}

/** A diagnostic without the fields that are not there. */
export function diagnostic(code: Code, message: string, hint?: string, origin?: Origin): Diagnostic {
  return { code, message, ...(hint !== undefined && { hint }), ...(origin && origin !== nowhere && { origin }) }
}

/** Sorts by file, line and column; what has no place comes last. Each is kept once: aliases repeat the same error. */
export function sortByPlace(diagnostics: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const unique = new Map(diagnostics.map((one) => [JSON.stringify([one.origin, one.code, one.message]), one]))
  const rankOf = ({ origin }: Diagnostic) => (origin ? files.indexOf(origin.file) : files.length)
  const placeOf = ({ origin }: Diagnostic) => origin ?? nowhere
  return [...unique.values()].sort(
    (one, other) =>
      rankOf(one) - rankOf(other) ||
      placeOf(one).line - placeOf(other).line ||
      placeOf(one).column - placeOf(other).column
  )
}

/** The code of a system error, such as ENOENT; undefined: the error has none. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** What the codes of system errors mean, whatever was to be done. */
const systemReasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'another program already listens there',
  EADDRNOTAVAIL: 'this host has no such address',
  EDQUOT: 'the disk is full',
  EISDIR: 'it is a folder',
  ENOSPC: 'the disk is full',
  ENXIO: 'it is a socket, or a device that does not exist',
  EROFS: 'the file system is read-only'
}

/**
 * Why the system has refused something.
 *
 * @param words what further codes mean here, or mean more exactly.
 */
export function systemReason(error: unknown, words: Readonly<Record<string, string>> = {}): string {
  const code = systemCode(error) ?? ''
  // Without the path by which it was opened, which may be in /proc.
  return words[code] ?? systemReasons[code] ?? messageOf(error).replace(/, \w+ '.*'$/s, '')
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
