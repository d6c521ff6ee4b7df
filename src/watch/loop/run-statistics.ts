import type { Run, WatchState } from '../../status/watch-state.ts'

/** Seconds: the upper bounds of the histogram, from a look at a small host to one on which much hangs. */
const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** What a watch knows of its runs. */
type Figures = Pick<WatchState, 'last' | 'lastSuccess' | 'runs' | 'durations' | 'drift'>

/** Keeps count of runs; it grows with the kinds of them, not with their number. */
export interface RunStatistics {
  /**
   * @param whole all was as wanted in the end.
   * @param drift changes that it found to be needed, and that no new file brought.
   */
  enter(run: Run, whole: boolean, drift: number): void
  read(): Figures
}

/** Makes an empty one. */
export function openRunStatistics(): RunStatistics {
  const counts = new Map<string, WatchState['runs'][number]>()
  const buckets = bounds.map((seconds) => ({ seconds, count: 0 }))
  const totals = { count: 0, sum: 0, drift: 0 }
  let last: Run | null = null
  let lastSuccess: string | null = null
  return {
    enter: (run, whole, drift) => {
      const { trigger, result } = run
      const key = `${trigger} ${result}`
      counts.set(key, { trigger, result, count: (counts.get(key)?.count ?? 0) + 1 })
      const seconds = run.milliseconds / 1000
      for (const bucket of buckets) if (seconds <= bucket.seconds) bucket.count++
      totals.count++
      totals.sum += seconds
      totals.drift += drift
      last = run
      if (whole) lastSuccess = run.at
    },
    read: () => ({
      ...{ last, lastSuccess, runs: [...counts.values()], drift: totals.drift },
      durations: { buckets: buckets.map((bucket) => ({ ...bucket })), count: totals.count, sum: totals.sum }
    })
  }
}
