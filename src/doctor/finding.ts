import type { Known } from './known.ts'
import type { DoctorReadings } from './readings.ts'

/**
 * What came of a check. `warning`: the spans work, but not as well as they could, or not after a restart. `problem`: something does
 * not work. `unknown`: what the check needs could not be read, and nothing is guessed.
 */
export type CheckResult = 'ok' | 'warning' | 'problem' | 'unknown'

/** One thing that a check has found. */
export interface Finding {
  readonly result: CheckResult
  readonly message: string
  /** A line for root's shell that clears the finding, and changes nothing else; null: no command alone does. */
  readonly command: string | null
}

/** A check: a pure function of the readings, with one or more findings. */
export type Check = (readings: DoctorReadings) => readonly Finding[]

/** Makes findings of one result. */
const finding =
  (result: CheckResult) =>
  (message: string, command: string | null = null): Finding => ({ result, message, command })

export const ok = finding('ok')
export const warning = finding('warning')
export const problem = finding('problem')
export const unknown = finding('unknown')

/** The findings; or, where nothing was found, that all is well. */
export function orOk(findings: readonly Finding[], message: string): readonly Finding[] {
  return findings.length > 0 ? findings : [ok(message)]
}

/**
 * What was found; or, where nothing was, that all is well with what there is.
 *
 * @param checked what was looked at.
 * @param nothing why nothing was.
 */
export function orOkOf(
  checked: readonly unknown[],
  nothing: string,
  findings: readonly Finding[],
  message: string
): readonly Finding[] {
  return orOk(findings, checked.length > 0 ? message : `nothing to check: ${nothing}`)
}

/** What is found in a reading; or that the reading is not known. */
export function whenKnown<T>(reading: Known<T>, find: (known: T) => readonly Finding[]): readonly Finding[] {
  return 'known' in reading ? find(reading.known) : [unknown(reading.unknown)]
}
