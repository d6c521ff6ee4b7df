import { setTimeout as sleep } from 'node:timers/promises'
import { Exit, SpanplanError } from '../../errors.ts'
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

/** What is shown of a second. */
interface Shown {
  readonly view: StatusView
  /** Rates are of the last second. */
  readonly report: Report
  /** What was lost since the start. */
  readonly losses: LossTotals
  /** Seconds since the start. */
  readonly lostIn: number
}

/**
 * Checks that there is a screen to draw on.
 *
 * @param hint what to type where there is none.
 * @throws SpanplanError TERMINAL_MISSING.
 */
export function checkTerminal(hint: string): void {
  if (process.stdout.isTTY === true) return
  const message = '--live redraws the screen, and stdout is not a terminal'
  throw new SpanplanError({ code: 'TERMINAL_MISSING', message, hint }, Exit.usage)
}

/**
 * Draws the host on a terminal every second, until somebody types q or ^C.
 *
 * @param refresh reads the host and plans again.
 * @param render gives the lines of a second.
 * @param legend the last line.
 * @returns the last report; null: it was ended before the first.
 */
export async function drawLive(
  first: StatusView,
  refresh: () => Promise<StatusView>,
  render: (shown: Shown) => string,
  legend: string
): Promise<Report | null> {
  const start = framePathsOf(first)
  let before = await takeSampleWithTools(start)
  const begin = before.at
  let losses = addLosses(new Map(), start, before)
  let latest: Report | null = null
  const screen = openScreen()
  try {
    for (;;) {
      const left = Math.max(0, interval - (monotonicNow() - before.at))
      await sleep(left, undefined, { ref: false, signal: screen.end }).catch(() => undefined)
      if (screen.end.aborted) return latest
      const view = await refresh()
      const paths = framePathsOf(view)
      const now = await takeSampleWithTools(paths)
      losses = addLosses(losses, paths, now)
      latest = await report(view, before, now)
      const shown = { view, report: latest, losses, lostIn: (now.at - begin) / 1000 }
      screen.draw([...render(shown).trimEnd().split('\n'), legend])
      before = now
    }
  } finally {
    screen.close()
  }
}

/**
 * Shows the status on a terminal every second. Rates are of the last second; losses are counted since the start.
 *
 * @returns the last report; null: it was ended before the first.
 */
export function showLive(
  session: Session,
  first: StatusView,
  refresh: () => Promise<StatusView>
): Promise<Report | null> {
  const paint = choosePaint(session.color, process.stdout)
  const legend = `losses counted since ${localTime(new Date().toISOString())}; press q to quit`
  const render = ({ report, losses, lostIn }: Shown) => renderReport(withAllLosses(report, losses), paint, lostIn)
  return drawLive(first, refresh, render, paint('wait', legend))
}

/** The same report, with the losses since the start. */
function withAllLosses(report: Report, totals: LossTotals): Report {
  const spans = report.spans.map((span) => ({ ...span, flowReport: withTotals(span.flowReport, totals) }))
  return { ...report, spans }
}
