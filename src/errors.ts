import { meaningOf } from './meanings.ts'
import type { Code } from './messages.ts'

/** A place in one of the user's files. Lines and columns count from 1; a column counts UTF-16 code units, as editors do. */
export interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
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
  /** The address of the resource concerned, as in `plan --json`. */
  readonly address?: string
  readonly origin?: Origin
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

/** The code of a system error, such as ENOENT; undefined: the error has none. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
