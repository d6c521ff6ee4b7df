import { localTime } from '../../local-time.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import type { Degraded, WatchState } from '../../status/watch-state.ts'

/** What a probe finds, and why, in a line. */
export interface Verdict {
  readonly good: boolean
  readonly why: string
}

/** Milliseconds for which a run may go on before something must be wrong: Docker has one minute for each request. */
export const longestRun = 300_000

/**
 * Whether the watch goes on looking. If not, only starting it again helps; so what it finds is no matter here.
 *
 * @param idle milliseconds since its last run ended, or since it began.
 * @param interval milliseconds between two runs when nothing happens.
 */
export function judgeLife(idle: number, interval: number): Verdict {
  const longest = Math.max(3 * interval, longestRun)
  const ago = writeDuration(Math.floor(idle / 1000) * 1000)
  if (idle <= longest) return { good: true, why: `alive: the last run was ${ago} ago` }
  return {
    good: false,
    why: `hangs: no run has ended for ${ago} (there should be one every ${writeDuration(interval)})`
  }
}

/**
 * Whether all that can be true is true. What is waited for is no failure, and neither is a broken file, for the last good
 * one is in force.
 */
export function judgeReadiness({ last, degraded }: WatchState): Verdict {
  if (last === null) return { good: false, why: 'not ready: the first run has not ended yet' }
  if (degraded.length > 0) return { good: false, why: `not ready: ${degraded.map(describeDegraded).join('; ')}` }
  if (last.result === 'failed') return { good: false, why: `not ready: the last run failed (${last.trigger})` }
  return { good: true, why: `ready: ${last.result} at ${localTime(last.at)}` }
}

function describeDegraded({ span, reason, diagnostic }: Degraded): string {
  return `${span === null ? '' : `span ${span} `}${reason}: ${diagnostic.message.replace(/\s+/g, ' ')}`
}
