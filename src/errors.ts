/** A place in one of the user's files. Lines and columns count from 1; a column counts UTF-16 code units, as editors do. */
export interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
}

/**
 * An error, a warning or a wait: one shape for all three, for people and for programs.
 * `code` is stable across versions; `message` says what is wrong, `hint` what to do next.
 */
export interface Diagnostic {
  readonly code: string
  readonly message: string
  readonly hint?: string
  /** The address of the resource concerned, as in `plan --json`. */
  readonly address?: string
  readonly origin?: Origin
}

/**
 * What the process exits with. 64 to 78 are from sysexits(3), 128 + n from the shell's custom for signals.
 */
export const Exit = {
  done: 0,
  error: 1,
  changes: 2,
  unhealthy: 2,
  stale: 3,
  partial: 4,
  rolledBack: 5,
  usage: 64,
  invalidFile: 65,
  bug: 70,
  locked: 75,
  missingRight: 77,
  interrupted: 130,
  terminated: 143
} as const

/** One of the statuses above. */
export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** The status for the signal that the abort's reason names. */
export function interruptedExit({ reason }: AbortSignal): ExitCode {
  return reason === 'SIGTERM' ? Exit.terminated : Exit.interrupted
}

/** The codes that, where they stand alone, mean more than "an error". */
const exits: ReadonlyMap<string, ExitCode> = new Map([
  ['FILTER_INVALID', Exit.invalidFile],
  ['FILTER_TOO_LARGE', Exit.invalidFile],
  ['DOCKER_FORBIDDEN', Exit.missingRight],
  ['FILE_INSECURE', Exit.invalidFile],
  ['LOCKED', Exit.locked],
  ['PLAN_INVALID', Exit.invalidFile],
  ['PLAN_STALE', Exit.stale],
  ['PLAN_VERSION', Exit.invalidFile],
  ['RIGHT_MISSING', Exit.missingRight]
])

function exitOf(diagnostics: readonly Diagnostic[]): ExitCode {
  const [first, ...others] = new Set(diagnostics.map(({ code }) => exits.get(code) ?? Exit.error))
  return first === undefined || others.length > 0 ? Exit.error : first
}

/** A failure that spanplan foresees: one or more notices, and the status to exit with. */
export class SpanplanError extends Error {
  readonly diagnostics: readonly Diagnostic[]
  readonly exit: ExitCode

  /** Without an `exit`, the codes say it. */
  constructor(diagnostics: Diagnostic | readonly Diagnostic[], exit?: ExitCode, options?: ErrorOptions) {
    const list = 'code' in diagnostics ? [diagnostics] : diagnostics
    super(list.map((diagnostic) => diagnostic.message).join('\n'), options)
    this.name = 'SpanplanError'
    this.diagnostics = list
    this.exit = exit ?? exitOf(list)
  }
}

/** Whatever was thrown: what nobody has foreseen is a bug, and is worded as one. */
export function asForeseen(error: unknown): SpanplanError {
  return error instanceof SpanplanError ? error : bug(error)
}

function bug(error: unknown): SpanplanError {
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return new SpanplanError(
    {
      code: 'BUG',
      message: `this is a bug in spanplan ${SPANPLAN_VERSION}:\n${trace}`,
      hint: 'report it, with these lines and the command'
    },
    Exit.bug,
    { cause: error }
  )
}

/** All that an error says, in one: the first says where. */
export function diagnosticOf(error: unknown): Diagnostic {
  const [first, ...others] = asForeseen(error).diagnostics
  if (first === undefined) return { code: 'BUG', message: String(error) }
  return { ...first, message: [first, ...others].map(({ message }) => message).join('\n') }
}

/** A diagnostic without the fields that are not there. */
export function diagnostic(code: string, message: string, hint?: string, origin?: Origin): Diagnostic {
  return { code, message, ...(hint !== undefined && { hint }), ...(origin && { origin }) }
}
