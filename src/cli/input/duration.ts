import { InvalidArgumentError } from '@commander-js/extra-typings'
import { readDuration } from '../../spec/values/duration.ts'

/**
 * A duration with a unit, in milliseconds.
 *
 * @throws InvalidArgumentError, which commander words with the flag's name.
 */
export function parseDuration(text: string): number {
  const duration = readDuration(text)
  if (typeof duration !== 'number') throw new InvalidArgumentError(`A duration must ${duration.problem}.`)
  return duration
}
