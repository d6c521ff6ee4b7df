import { setTimeout as sleep } from 'node:timers/promises'
import { nullIfForeseen } from '../../errors.ts'
import type { Sample } from '../../host/read-counters.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { printable } from '../../printable.ts'
import { framePathsOf, takeSampleWithTools } from '../../status/counters/frame-path.ts'
import { addLosses, type LossTotals } from '../../status/counters/loss-totals.ts'
import { expositionType, writeExposition } from '../../status/output/exposition.ts'
import { type Measurement, makeMetrics } from '../../status/output/metrics.ts'
import { makeReport, readMoment } from '../../status/report.ts'
import type { WatchState } from '../../status/watch-state.ts'
import type { EmitEvent } from '../events/event.ts'
import { cachePromise } from './cached-promise.ts'
import { isLoopback } from './host-header.ts'
import {
  type HttpListener,
  type ListenAddress,
  listen,
  type Page,
  type Pages,
  plainPage,
  writeListenAddress
} from './http-listener.ts'
import { type ProbeResult, probeLiveness, probeReadiness } from './probes.ts'

/** What the pages need of a watch. */
export interface Watched {
  /** Milliseconds from one run to the next without events. */
  readonly interval: number
  state(): WatchState
  /** Milliseconds since the last run ended, or since the watch started. */
  idle(): number
  /** Reads the host and plans all that the files say, paused or not. It changes nothing. */
  refresh(): Promise<PlanView>
}

/**
 * Milliseconds for which all scrapes get the same page: a second, or longer where a page is costly. So scrapers in a loop keep the
 * watch busy for an eighth of the time at most.
 *
 * @param took milliseconds to make the page.
 */
const lifetimeOfPage = (took: number) => Math.min(Math.max(7 * took, 1000), 10_000)

/** Milliseconds to wait for a refresh, where Docker hangs: a scraper does not wait much longer. Then the last plan view is used. */
const refreshPatience = 3000

/** The pages of a watch: its metrics for Prometheus, and its probes. */
export function makePages(watched: Watched, version: string): Pages {
  const measure = openMeter(watched)
  const makeMetricsPage = async (): Promise<Page> => {
    const measurement = await measure()
    const families = makeMetrics(version, watched.state(), measurement)
    return { status: 200, type: expositionType, body: writeExposition(families) }
  }
  return new Map<string, () => Promise<Page>>([
    ['/metrics', cachePromise(makeMetricsPage, lifetimeOfPage)],
    ['/healthz', async () => probePage(probeLiveness(watched.idle(), watched.interval))],
    ['/readyz', async () => probePage(probeReadiness(watched.state()))]
  ])
}

/**
 * Serves the pages of a watch.
 *
 * @param address null: nowhere.
 * @param emit gets a warning where other hosts can reach the address.
 * @throws SpanplanError LISTEN_FAILED.
 */
export async function servePages(
  address: ListenAddress | null,
  watched: Watched,
  emit: EmitEvent
): Promise<HttpListener | null> {
  if (address === null) return null
  const listener = await listen(address, makePages(watched, SPANPLAN_VERSION))
  if (!isLoopback(address.host)) {
    const message = `metrics are served at ${writeListenAddress(address)} to everybody who can reach that address`
    const hint = 'there is no password: restrict access with a firewall'
    emit({ type: 'warning', diagnostic: { code: 'LISTEN_OPEN', message, hint } })
  }
  return listener
}

function probePage({ ok, reason }: ProbeResult): Page {
  return plainPage(ok ? 200 : 503, printable(reason))
}

/** Reads the counters of the frame paths, and adds up the losses from one measurement to the next. */
function openMeter(watched: Watched): () => Promise<Measurement | null> {
  let view: PlanView | null = null
  const refresh = cachePromise(
    async () => {
      view = (await watched.refresh().catch(nullIfForeseen)) ?? view
    },
    () => 0
  )
  let last: Sample | null = null
  let losses: LossTotals = new Map()
  return async () => {
    await Promise.race([refresh(), sleep(refreshPatience, undefined, { ref: false })])
    // A later refresh may end while the counters are read.
    const now = view
    if (now === null) return null
    const paths = framePathsOf(now)
    // Where ip, tc or a filter fails, the metrics of the watch itself are served all the same.
    const sample = await takeSampleWithTools(paths).catch(nullIfForeseen)
    if (sample === null) return null
    losses = addLosses(losses, paths, sample)
    const report = makeReport({
      view: now,
      watch: watched.state(),
      first: last ?? sample,
      later: sample,
      ...readMoment()
    })
    last = sample
    return { report, paths, sample, losses }
  }
}
