import type { Run, WatchState } from '../../status/watch-state.ts'

/** Seconds: the upper bounds of the histogram, from a run on a small host to one in which programs hang. */
const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Makes statistics of no runs. Their size depends on the number of triggers and results, not of runs. */
export function openRunStatistics() {
  const counts = new Map<string, WatchState['runs'][number]>()
  const buckets = bounds.map((bound) => ({ bound, count: 0 }))
  const totals = { count: 0, sum: 0, drift: 0 }
  let last: Run | null = null
  let lastSuccess: string | null = null
  return {
    /**
     * @param inSync whether all was in sync after the run.
     * @param drift how many changes were needed that no new file brought.
     */
    add: (run: Run, inSync: boolean, drift: number): void => {
      const { trigger, result } = run
      const key = `${trigger} ${result}`
      counts.set(key, { trigger, result, count: (counts.get(key)?.count ?? 0) + 1 })
      const seconds = run.milliseconds / 1000
      for (const bucket of buckets) if (seconds <= bucket.bound) bucket.count++
      totals.count++
      totals.sum += seconds
      totals.drift += drift
      last = run
      if (inSync) lastSuccess = run.at
    },
    /** The part of a watch's state that is about its runs. */
    read: (): Pick<WatchState, 'last' | 'lastSuccess' | 'runs' | 'durations' | 'drift'> => ({
      last,
      lastSuccess,
      runs: [...counts.values()],
      drift: totals.drift,
      durations: { buckets: buckets.map((bucket) => ({ ...bucket })), count: totals.count, sum: totals.sum }
    })
  }
}
