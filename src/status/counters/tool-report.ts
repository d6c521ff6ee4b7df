import type { Sample } from '../../host/read-counters.ts'
import type { NotTold, ToolCount } from '../../host/tool-stats/tool-count.ts'
import type { StatsSpec } from '../../spec/items/stats-key.ts'

/** What came to a tool, and what it dropped of that, in some time. */
export interface ToolGrowth {
  /** null: since an unknown time. */
  readonly seconds: number | null
  readonly received: number
  readonly dropped: number
}

/**
 * What a tool says of itself. Somebody who controls the sensor can write anything there: it stands beside what the kernel counts, and never
 * in its place.
 */
export type ToolReport = { readonly stats: StatsSpec } & (
  | NotTold
  | {
      readonly told: ToolCount
      /** Seconds since it said so. */
      readonly age: number
      /** It should have said more since then: what it counts now is not known. */
      readonly isOld: boolean
      /** What has come since an earlier count of this run of the tool; null: none is known, or this one is old. */
      readonly growth: ToolGrowth | null
    }
)

/** How a tool tells its counts. */
interface Telling {
  /** Each count is of the time since the one before, and not since the start of the tool. */
  readonly isInterval: boolean
  /** Seconds from one count to the next, where nobody has said otherwise. */
  readonly usual: number
}

const tellings: Readonly<Record<StatsSpec['kind'], Telling>> = {
  // "stats: {interval: 8}" of suricata.yaml.
  eve: { isInterval: false, usual: 8 },
  // CaptureLoss::watch_interval. The first row comes after a minute.
  zeek: { isInterval: true, usual: 15 * 60 },
  prometheus: { isInterval: false, usual: 0 }
}

/** So many counts have to be missing, and so many seconds have to go by, for the last one to be old. */
const missingCounts = 3
const shortestAge = 60

/** Seconds after which a count is old, whatever the tool says of the time from one count to the next. */
const longestAge = 3600

/** Seconds by which a count may be of the future: clocks are set. */
const clockTolerance = 60

const clockHint = 'compare the clock of the sensor with that of this host'
const rightFile = 'see who writes the file: the tool does not write such numbers'

/** What a tool says in the later of two samples; null: nobody has asked it. */
export function makeToolReport(stats: StatsSpec | undefined, first: Sample, later: Sample): ToolReport | null {
  if (stats === undefined) return null
  const [before, now] = [first, later].map(({ tools = [] }) => {
    const key = JSON.stringify(stats)
    return tools.find((one) => JSON.stringify(one.stats) === key)
  })
  if (now === undefined) return null
  if ('problem' in now.told) return { stats, ...now.told }
  const { latest, before: previous } = now.told
  const age = (now.readAt - latest.at) / 1000
  if (age < -clockTolerance) return { stats, problem: 'the time of what it says is yet to come', hint: clockHint }
  const known = before === undefined || 'problem' in before.told ? null : before.told.latest
  // Where nothing new has come between the samples, the last two counts tell.
  const base = [known, previous].find((one) => one !== null && one.at < latest.at) ?? null
  const { isInterval, usual } = tellings[stats.kind]
  const step = previous === null || isNewRun(previous, latest) ? 0 : (latest.at - previous.at) / 1000
  const longest = Math.max(usual, step, isInterval ? (latest.seconds ?? 0) : 0)
  const isOld = age > Math.min(longestAge, Math.max(shortestAge, missingCounts * longest))
  const growth = isOld ? null : findGrowth(base, latest, isInterval)
  // Of metrics, nobody knows whether what came has with it what was dropped.
  const isContradictory =
    stats.kind !== 'prometheus' && [latest, growth].some((one) => one !== null && one.dropped > one.received)
  if (isContradictory)
    return { stats, problem: 'its numbers contradict each other: more was dropped than came', hint: rightFile }
  return { stats, told: latest, age: Math.max(0, age), isOld, growth }
}

/** A tool that has started again counts from 0. */
function isNewRun(before: ToolCount, now: ToolCount): boolean {
  const isShorter = before.seconds !== null && now.seconds !== null && now.seconds < before.seconds
  return isShorter || now.received < before.received || now.dropped < before.dropped
}

function findGrowth(before: ToolCount | null, now: ToolCount, isInterval: boolean): ToolGrowth | null {
  const { seconds, received, dropped } = now
  if (isInterval) return { seconds, received, dropped }
  if (before === null) return null
  if (isNewRun(before, now)) return { seconds, received, dropped }
  return {
    seconds: (now.at - before.at) / 1000,
    received: received - before.received,
    dropped: dropped - before.dropped
  }
}

/** The part that was dropped, from 0 to 1. */
export function lossRatio({ received, dropped }: ToolGrowth): number {
  return dropped === 0 ? 0 : Math.min(1, dropped / Math.max(received, dropped))
}
