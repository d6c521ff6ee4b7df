import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { refresh, refreshAndCheckSpans } from '../../look/refresh.ts'
import { printableJson } from '../../printable.ts'
import { renderBrief } from '../../status/output/brief.ts'
import { statusDocument } from '../../status/output/status-json.ts'
import { renderReport } from '../../status/output/status-text.ts'
import type { Report } from '../../status/report.ts'
import { type CountTime, refreshStatus, reportAfter, type StatusSelection } from '../input/status-view.ts'
import { counting, during, readingHost } from '../output/activity.ts'
import { choosePaint } from '../output/colours.ts'
import { printDiagnostics, type Session, warn } from '../session.ts'

interface StatusOptions extends StatusSelection {
  readonly for: CountTime
  readonly live: boolean
  /** A line a span. */
  readonly brief: boolean
}

/** `spanplan status`: shows what is live, with counters, and whether it is healthy. */
export async function statusCommand(session: Session, options: StatusOptions): Promise<ExitCode> {
  if (options.live && process.stdout.isTTY !== true) {
    const message = '--live redraws the screen, and stdout is not a terminal'
    throw new SpanplanError({ code: 'TERMINAL_MISSING', message, hint: 'leave it out, or use --json' }, Exit.usage)
  }
  const refreshNow = () => refreshStatus(session, options, refresh)
  const view = await during(session, readingHost, refreshStatus(session, options, refreshAndCheckSpans))
  if (options.live) {
    const { showLive } = await import('./status-live-action.ts')
    return exitOf(await showLive(session, view, refreshNow))
  }
  const { result } = await during(session, counting(options.for), reportAfter(options.for, view, refreshNow))
  if (!session.json) printDiagnostics(session, 'error', result.fileErrors)
  warn(session, [...result.warnings, ...result.unread])
  if (session.json) {
    process.stdout.write(`${printableJson(statusDocument(result, new Date().toISOString()))}\n`)
  } else {
    const paint = choosePaint(session.color, process.stdout)
    const width = Math.max(leastWidth, process.stdout.columns ?? 0)
    process.stdout.write(options.brief ? renderBrief(result, width, paint) : renderReport(result, paint))
  }
  return exitOf(result)
}

/** Columns of a line, also where there is no terminal. */
const leastWidth = 80

/** null: there is no report yet. */
function exitOf(report: Report | null): ExitCode {
  return report?.healthy === false ? Exit.unhealthy : Exit.done
}
