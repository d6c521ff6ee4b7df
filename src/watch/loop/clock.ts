/**
 * ISO 8601 of a time on the monotonic clock, as the wall clock is set now. Whatever waits or counts goes by the monotonic one
 * (`performance.now()`): the other may be set back, and a wait of seconds would take as long as that.
 */
export function writeTime(time: number): string {
  return new Date(Date.now() + time - performance.now()).toISOString()
}

/** The time on the monotonic clock of one on the wall clock, in milliseconds since 1970, as that is set now. */
export function monotonicTime(time: number): number {
  return performance.now() + time - Date.now()
}
