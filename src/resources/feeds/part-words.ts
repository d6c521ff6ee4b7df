import type { Part } from '../desired-state.ts'
import { bucketCount } from '../programs/share-program.ts'

/** The part of the frames that the file gives a receiver, in words. */
export function writePart(part: Pick<Part, 'expression' | 'balance'> | null): string {
  const { expression = null, balance = null } = part ?? {}
  if (balance === null) return expression ?? 'every frame'
  return `1 of ${balance.members} shares${expression === null ? '' : ` of ${expression}`}`
}

/** The part that a receiver gets now, in words. An empty list: every frame, or it is not known. */
export function writeParts({ expression, share, balance }: Omit<Part, 'program'>): string[] {
  return [
    ...(share === null ? [] : [`share ${writeShareRatio(share)}${share.rest ? ', and what is not IP' : ''}`]),
    ...(expression === null ? [] : [`filter ${expression}`]),
    // The filter is known only by the program of a live mirror.
    ...(share === null && expression === null && balance === null ? ['a filter'] : [])
  ]
}

/** The part of all flows, in percent. */
export const writeShareRatio = ({ buckets }: Pick<NonNullable<Part['share']>, 'buckets'>) =>
  `${Math.round((buckets.size / bucketCount) * 100)} %`
