import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicNow } from '../../host/read-counters.ts'
import { localTime } from '../../local-time.ts'
import { framePathsOf, takeSampleWithTools } from '../../status/counters/frame-path.ts'
import { addLosses, type LossTotals, withTotals } from '../../status/counters/loss-totals.ts'
import { renderReport } from '../../status/output/status-text.ts'
import type { Report } from '../../status/report.ts'
import { report, type StatusView } from '../input/status-view.ts'
import { choosePaint } from '../output/colours.ts'
import { openScreen } from '../output/screen.ts'
import type { Session } from '../session.ts'

/** Milliseconds between two refreshes. */
const interval = 1000

/**
 * Shows the status on a terminal every second, until somebody types q or ^C. Rates are of the last second; losses are counted
 * since the start.
 *
 * @param refresh reads the host and plans again.
 * @returns the last report; null: it was ended before the first.
 */
export async function showLive(
  session: Session,
  first: StatusView,
  refresh: () => Promise<StatusView>
): Promise<Report | null> {
  const paint = choosePaint(session.color, process.stdout)
  const start = framePathsOf(first)
  let before = await takeSampleWithTools(start)
  const begin = before.at
  let losses = addLosses(new Map(), start, before)
  let latest: Report | null = null
  const screen = openScreen()
  try {
    const legend = paint('wait', `losses counted since ${localTime(new Date().toISOString())}; press q to quit`)
    for (;;) {
      const left = Math.max(0, interval - (monotonicNow() - before.at))
      await sleep(left, undefined, { ref: false, signal: screen.end }).catch(() => undefined)
      if (screen.end.aborted) return latest
      const view = await refresh()
      const paths = framePathsOf(view)
      const now = await takeSampleWithTools(paths)
      losses = addLosses(losses, paths, now)
      latest = await report(view, before, now)
      const lostIn = (now.at - begin) / 1000
      screen.draw([...renderReport(withAllLosses(latest, losses), paint, lostIn).trimEnd().split('\n'), legend])
      before = now
    }
  } finally {
    screen.close()
  }
}

/** The same report, with the losses since the start. */
function withAllLosses(report: Report, totals: LossTotals): Report {
  const spans = report.spans.map((span) => ({ ...span, flowReport: withTotals(span.flowReport, totals) }))
  return { ...report, spans }
}
