/** Milliseconds. Even a storm of events makes no more runs than these pauses leave room for. */
const shortestPause = 50
const longestPause = 1000

/**
 * Milliseconds to pause after a run: half of its duration, doubled with each further run of a streak. The second run of a
 * streak is not throttled more than the first: what a run changes wakes the next one, which finds nothing to do.
 *
 * @param milliseconds the duration of the run.
 * @param streak how many runs came directly before it.
 */
export function throttleAfter(milliseconds: number, streak: number): number {
  return Math.min(longestPause, Math.max(shortestPause, milliseconds / 2) * 2 ** Math.min(20, Math.max(0, streak - 1)))
}
