import * as z from 'zod'
import { mapping } from '../schema/rules.ts'
import { type Fraction, readFraction, writeFraction } from '../values/fraction.ts'
import { readRate, writeRate } from '../values/rate.ts'
import { itemKeys } from './item-key.ts'

/** A part of what a source has: whole flows, with both directions of each, or single frames. */
export interface SampleSpec extends Fraction {
  readonly kind: 'flows' | 'frames'
}

const fraction = z
  .string({ error: 'must be a fraction such as 1/10' })
  .meta({ pattern: '^[1-9][0-9]{0,4}/[1-9][0-9]{0,4}$' })
  .transform((value, { issues }) => {
    const result = readFraction(value)
    if ('take' in result) return result
    const params = { hint: result.hint }
    issues.push({ code: 'custom', input: value, message: result.problem, params })
    return z.NEVER
  })

/** `sample`, where it is a mapping. */
export const sampleMapping = mapping({
  frames: fraction.describe(
    'The fraction of single frames, at random: for statistics. A sensor cannot put flows together from it'
  )
})

const rate = z
  .string({ error: 'must be bits a second with a unit, such as 2gbit' })
  .meta({
    description:
      'The most that is copied, in bits a second: a number with kbit, mbit, gbit or tbit; of each direction of each interface by itself. Copies above it are dropped and counted, the frames themselves never. Default: no limit',
    examples: ['2gbit', '500mbit'],
    pattern: '^[0-9]+(?:\\.[0-9]+)?[kmgt]bit$'
  })
  .transform((value, { issues }) => {
    const result = readRate(value)
    if (typeof result === 'number') return result
    const params = { hint: result.hint }
    issues.push({ code: 'custom', input: value, message: result.problem, params })
    return z.NEVER
  })

/** The keys that say how much of a source is copied. */
export const shareKeys = {
  /** null: all of it. */
  sample: itemKeys<unknown>()({
    key: 'sample',
    schema: z
      .union([fraction, sampleMapping], { error: 'must be a fraction such as 1/10, or {frames: 1/1000}' })
      .optional()
      .describe(
        'A part of what the filter chooses. A fraction such as 1/10 takes whole flows, with both directions of each, as a sensor needs them; {frames: 1/1000} takes single frames. Default: everything'
      ),
    read: (data): SampleSpec | null => {
      if (data === undefined) return null
      return 'frames' in data ? { kind: 'frames', ...data.frames } : { kind: 'flows', ...data }
    },
    print: (sample) => {
      if (sample === null) return undefined
      return sample.kind === 'flows' ? writeFraction(sample) : { frames: writeFraction(sample) }
    }
  }),
  /** Bits a second; null: no limit. */
  limit: itemKeys<unknown>()({
    key: 'limit',
    schema: rate.optional(),
    read: (limit) => limit ?? null,
    print: (limit) => (limit === null ? undefined : writeRate(limit))
  })
}
