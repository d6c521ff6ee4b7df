/** Milliseconds. Not even a storm makes more runs, or looks, than these rests leave room for. */
const shortestRest = 50
const longestRest = 1000

/**
 * Milliseconds to rest after a run: half of what it took, and twice as long each time when one comes upon the other. Two in
 * a row are as usual: what a run changes wakes the next one, which finds nothing.
 */
export function throttleAfter(milliseconds: number, streak: number): number {
  return Math.min(longestRest, Math.max(shortestRest, milliseconds / 2) * 2 ** Math.min(20, Math.max(0, streak - 1)))
}
