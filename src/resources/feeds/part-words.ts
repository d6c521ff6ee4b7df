import type { Part } from '../desired-state.ts'
import { bucketCount } from '../programs/share-program.ts'

/** What a receiver is to get, in words. */
export function writePart(part: Pick<Part, 'expression' | 'balance'> | null): string {
  const { expression = null, balance = null } = part ?? {}
  if (balance === null) return expression ?? 'every frame'
  return `1 of ${balance.members} shares${expression === null ? '' : ` of ${expression}`}`
}

/** What a receiver gets now, in words; nothing: all, or nobody knows. */
export function writeParts({ expression, share, balance }: Omit<Part, 'program'>): string[] {
  return [
    ...(share === null ? [] : [`share ${writeShareRatio(share)}${share.rest ? ', and what is not IP' : ''}`]),
    ...(expression === null ? [] : [`filter ${expression}`]),
    // What only the program of a live mirror says.
    ...(share === null && expression === null && balance === null ? ['a filter'] : [])
  ]
}

/** The part of all flows, in percent. */
export const writeShareRatio = ({ buckets }: Pick<NonNullable<Part['share']>, 'buckets'>) =>
  `${Math.round((buckets.size / bucketCount) * 100)} %`
