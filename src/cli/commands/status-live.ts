import { setTimeout as sleep } from 'node:timers/promises'
import { Exit, SpanplanError } from '../../errors.ts'
import { monotonicNow, type Sample } from '../../host/read-counters.ts'
import { localTime } from '../../local-time.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { addLosses, type LossTotals, withTotals } from '../../status/counters/loss-totals.ts'
import { renderReport } from '../../status/output/text.ts'
import type { Report } from '../../status/report.ts'
import { openScreen } from '../output/screen.ts'
import { choosePaint } from '../output/terminal.ts'
import type { Session } from '../session.ts'

/** Where the live status gets what it shows. */
interface ReportSource {
  /** Reads the host and plans. The first time, it checks the selected spans. */
  refresh(first: boolean): Promise<PlanView>
  report(view: PlanView, first: Sample, later: Sample): Promise<Report>
}

/** Milliseconds between two refreshes. */
const interval = 1000

/**
 * Shows the status every second, until somebody types q or ^C. Rates are of the last second; losses are counted since the
 * start.
 *
 * @returns the last report; null: it was ended before the first.
 * @throws SpanplanError TERMINAL_MISSING.
 */
export async function showLive(session: Session, source: ReportSource): Promise<Report | null> {
  if (process.stdout.isTTY !== true) {
    const message = '--live shows a picture that changes, and stdout is no terminal'
    throw new SpanplanError({ code: 'TERMINAL_MISSING', message, hint: 'leave it out, or use --json' }, Exit.usage)
  }
  const paint = choosePaint(session.color, process.stdout)
  const start = framePathsOf(await source.refresh(true))
  let before = await takeSample(start)
  let losses = addLosses(new Map(), start, before)
  let report: Report | null = null
  const screen = openScreen()
  try {
    const legend = paint('wait', `lost: since ${localTime(new Date().toISOString())}; q ends it`)
    for (;;) {
      const left = Math.max(0, interval - (monotonicNow() - before.at))
      await Promise.race([sleep(left, null, { ref: false }), screen.end])
      if (screen.ended()) return report
      const view = await source.refresh(false)
      const paths = framePathsOf(view)
      const now = await takeSample(paths)
      losses = addLosses(losses, paths, now)
      report = await source.report(view, before, now)
      screen.draw([...renderReport(withAllLosses(report, losses), paint).trimEnd().split('\n'), legend])
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
