import { localTime } from '../../local-time.ts'
import { oneLine } from '../../printable.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import type { Degraded, WatchState } from '../../status/watch-state.ts'

/** What a probe found, and why, in one line. */
export interface ProbeResult {
  readonly ok: boolean
  readonly reason: string
}

/** Milliseconds after which a run must hang: each request to Docker has a limit of one minute. */
export const longestRun = 300_000

/**
 * Whether the watch still makes runs. Only this tells that it has to be started again, so the results of its runs do not
 * matter here.
 *
 * @param idle milliseconds since its last run ended, or since it started.
 * @param interval milliseconds from one run to the next without events.
 */
export function probeLiveness(idle: number, interval: number): ProbeResult {
  const longest = Math.max(3 * interval, longestRun)
  const ago = writeDuration(Math.floor(idle / 1000) * 1000)
  if (idle <= longest) return { ok: true, reason: `alive: the last run was ${ago} ago` }
  return {
    ok: false,
    reason: `hangs: no run has ended for ${ago} (there should be one every ${writeDuration(interval)})`
  }
}

/**
 * Whether all that can be in sync is in sync, and every sensor that is there hears its span. A wait is no failure, and neither is
 * an invalid file: the last valid one is in force.
 */
export function probeReadiness({ last, degraded, sensors }: WatchState): ProbeResult {
  if (last === null) return { ok: false, reason: 'not ready: the first run has not ended yet' }
  if (degraded.length > 0) return { ok: false, reason: `not ready: ${degraded.map(degradedNote).join('; ')}` }
  if (last.result === 'failed') return { ok: false, reason: `not ready: the last run failed (${last.trigger})` }
  const deaf = sensors.filter(({ listed, state, cause }) => listed && state === 'unhealthy' && cause !== 'missing')
  if (deaf.length > 0) {
    const reasons = deaf.map(({ span, diagnostic }) => `span ${span}: ${diagnostic?.message ?? ''}`)
    return { ok: false, reason: `not ready: ${reasons.join('; ')}` }
  }
  return { ok: true, reason: `ready: ${last.result} at ${localTime(last.at)}` }
}

function degradedNote({ span, reason, diagnostic }: Degraded): string {
  return `${span === null ? '' : `span ${span} `}${reason}: ${oneLine(diagnostic.message)}`
}
