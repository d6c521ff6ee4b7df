/**
 * ISO 8601 of a time of the monotonic clock, by the wall clock as it is set now. All waits and durations here are of the
 * monotonic clock (`performance.now()`): the wall clock may be set back, which would make a wait of seconds last hours.
 */
export function writeTime(time: number): string {
  return new Date(Date.now() + time - performance.now()).toISOString()
}

/** The monotonic clock's time at a time of the wall clock (milliseconds since 1970), as that is set now. */
export function monotonicTime(time: number): number {
  return performance.now() + time - Date.now()
}
