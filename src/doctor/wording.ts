import { type Diagnostic, writeOrigin } from '../errors.ts'
import { shellLine } from '../host/quote-command.ts'
import type { DoctorRequest } from './readings.ts'

/** A command of spanplan for the same files, as a line for a shell. */
export function spanplanLine({ fileArguments }: DoctorRequest, ...words: readonly string[]): string {
  return shellLine(['spanplan', ...words, ...fileArguments])
}

/** A diagnostic in one sentence: its place, what is wrong, and what to do. */
export function sentenceOf({ origin, message, hint }: Diagnostic): string {
  const place = origin ? `${writeOrigin(origin)}: ` : ''
  return `${place}${message}${hint === undefined ? '' : `; ${hint}`}`
}
