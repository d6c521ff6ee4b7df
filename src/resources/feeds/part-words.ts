import type { Part } from '../desired-state.ts'

/** What a receiver gets, in words. */
export function writePart(part: Pick<Part, 'expression' | 'among'> | null): string {
  const { expression = null, among = 1 } = part ?? {}
  const frames = expression ?? 'every frame'
  if (among === 1) return frames
  return expression === null ? `1 of ${among} shares` : `1 of ${among} shares of ${frames}`
}
