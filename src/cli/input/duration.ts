import { InvalidArgumentError } from '@commander-js/extra-typings'
import { readDuration } from '../../spec/values/duration.ts'

/**
 * Parses a duration with a unit, into milliseconds.
 *
 * @throws InvalidArgumentError, to which commander adds the option's name.
 */
export function parseDuration(text: string): number {
  const duration = readDuration(text)
  if (typeof duration !== 'number') throw new InvalidArgumentError(`A duration must ${duration.problem}.`)
  return duration
}
