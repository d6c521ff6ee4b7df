import { setTimeout as sleep } from 'node:timers/promises'
import { SpanplanError } from '../../errors.ts'
import type { Sample } from '../../host/read-counters.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { printable } from '../../printable.ts'
import { readPauses } from '../../run-dir/pauses.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { addLosses, type LossTotals } from '../../status/counters/loss-totals.ts'
import { expositionType, writeExposition } from '../../status/output/exposition.ts'
import { type Measurement, makeMetrics } from '../../status/output/metrics.ts'
import { makeReport } from '../../status/report.ts'
import type { WatchState } from '../../status/watch-state.ts'
import type { WatchEvent } from '../events/event.ts'
import { share } from './cached-promise.ts'
import {
  isLoopback,
  type ListenAddress,
  type Listener,
  listen,
  type Page,
  type Pages,
  plainPage,
  writeListenAddress
} from './http-listener.ts'
import { judgeLife, judgeReadiness, type Verdict } from './probes.ts'

/** A watch, as its pages see it. */
export interface Watched {
  /** Milliseconds between two runs when nothing happens. */
  readonly interval: number
  state(): WatchState
  /** Milliseconds since the last run ended, or since the watch began. */
  idle(): number
  /** Looks at all that the file wants, paused or not, and changes nothing. */
  look(): Promise<PlanView>
}

/** Milliseconds for which all who ask get the same counters. */
const shortestPeriod = 1000

/** Milliseconds for a look, where Docker hangs: a scraper does not wait much longer. The last one serves then. */
const longestLook = 3000

/** What a watch serves: its metrics for Prometheus, and whether it lives and is ready. */
export function makePages(watched: Watched, version: string): Pages {
  const measure = share(openMeter(watched), shortestPeriod)
  return new Map<string, () => Promise<Page>>([
    [
      '/metrics',
      async () => {
        const families = makeMetrics(version, watched.state(), await measure())
        return { status: 200, type: expositionType, body: writeExposition(families) }
      }
    ],
    ['/healthz', async () => probePage(judgeLife(watched.idle(), watched.interval))],
    ['/readyz', async () => probePage(judgeReadiness(watched.state()))]
  ])
}

/**
 * Serves them where others ask for them.
 *
 * @param address null: nowhere.
 * @param tell is warned of an address that is not of this host alone.
 * @throws SpanplanError LISTEN_FAILED.
 */
export async function servePages(
  address: ListenAddress | null,
  watched: Watched,
  tell: (told: WatchEvent) => void
): Promise<Listener | null> {
  if (address === null) return null
  const listener = await listen(address, makePages(watched, SPANPLAN_VERSION))
  if (!isLoopback(address)) {
    const message = `metrics are served at ${writeListenAddress(address)}, to everybody who can reach it`
    const hint = 'there is no password: let a firewall say who can'
    tell({ type: 'warning', diagnostic: { code: 'LISTEN_OPEN', message, hint } })
  }
  return listener
}

function probePage({ good, why }: Verdict): Page {
  return plainPage(good ? 200 : 503, printable(why))
}

/** Counts along the ways of the spans; from one time to the next, what was lost adds up. */
function openMeter(watched: Watched): () => Promise<Measurement | null> {
  const glance = openGlance(watched)
  let last: Sample | null = null
  let losses: LossTotals = new Map()
  return async () => {
    const view = await glance()
    if (view === null) return null
    const paths = framePathsOf(view)
    const sample = await unlessForeseen(takeSample(paths))
    if (sample === null) return null
    losses = addLosses(losses, paths, sample)
    const findings = { view, holds: readPauses(Date.now()), watch: watched.state() }
    const report = makeReport({ ...findings, first: last ?? sample, later: sample })
    last = sample
    return { report, paths, sample, losses }
  }
}

/** A look, or where that takes too long, the last one; null: there is none. */
function openGlance(watched: Watched): () => Promise<PlanView | null> {
  let latest: PlanView | null = null
  const look = share(async () => {
    latest = (await unlessForeseen(watched.look())) ?? latest
  }, 0)
  return async () => {
    const timer = new AbortController()
    const late = sleep(longestLook, undefined, { signal: timer.signal }).catch(() => undefined)
    await Promise.race([look(), late])
    timer.abort()
    return latest
  }
}

/** Where ip, tc or a filter fails, the watch has more to say than that. */
async function unlessForeseen<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result
  } catch (error) {
    if (error instanceof SpanplanError) return null
    throw error
  }
}
