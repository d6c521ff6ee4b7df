import { type Diagnostic, diagnostic, Exit, type ExitCode } from '../../errors.ts'
import { hearSources } from '../../look/hear-sources.ts'
import { refresh, refreshAndCheckSpans } from '../../look/refresh.ts'
import { printableJson } from '../../printable.ts'
import { linkOf } from '../../resources/desired-state.ts'
import { writeSourceName } from '../../resources/sources/host-source-kind.ts'
import { judgeMirror } from '../../status/judge-mirror.ts'
import { renderBrief } from '../../status/output/brief.ts'
import { statusDocument } from '../../status/output/status-json.ts'
import { renderReport } from '../../status/output/status-text.ts'
import type { Report } from '../../status/report.ts'
import {
  type CountTime,
  refreshStatus,
  reportAfter,
  type StatusSelection,
  type StatusView
} from '../input/status-view.ts'
import { counting, during, readingHost } from '../output/activity.ts'
import { choosePaint } from '../output/colours.ts'
import { printDiagnostics, type Session, warn } from '../session.ts'

interface StatusOptions extends StatusSelection {
  /** Missing: a second. From two seconds on, the sources are listened to meanwhile. */
  readonly for?: CountTime | undefined
  readonly live: boolean
  /** A line a span. */
  readonly brief: boolean
}

/** `spanplan status`: shows what is live, with counters, and whether it is healthy. */
export async function statusCommand(session: Session, options: StatusOptions): Promise<ExitCode> {
  if (options.live) {
    const { checkTerminal } = await import('./status-live-action.ts')
    checkTerminal('leave it out, or use --json')
  }
  const refreshNow = () => refreshStatus(session, options, refresh)
  const view = await during(session, readingHost, refreshStatus(session, options, refreshAndCheckSpans))
  if (options.live) {
    const { showLive } = await import('./status-live-action.ts')
    return exitOf(await showLive(session, view, refreshNow))
  }
  const time = options.for ?? shortTime
  const listening = typeof time === 'number' && time >= shortestHearing ? judgeSources(view, time) : []
  const looking = Promise.all([reportAfter(time, view, refreshNow), listening])
  const [{ result: counted }, findings] = await during(session, counting(time), looking)
  const result = { ...counted, warnings: [...counted.warnings, ...findings] }
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

/** Milliseconds for which frames are counted, where nobody says how long. */
const shortTime = 1000

/** Milliseconds from which on what is heard tells something. */
const shortestHearing = 2000

/** Listens on what is copied from, and says in which ways that is not whole. */
async function judgeSources(view: StatusView, milliseconds: number): Promise<readonly Diagnostic[]> {
  const { heard, deafness } = await hearSources(view, milliseconds, new AbortController().signal)
  if (deafness !== null) {
    const message = `whether the traffic is whole is not known: ${deafness.message}`
    return [diagnostic('TRAFFIC_UNHEARD', message, deafness.hint)]
  }
  return heard.flatMap(({ span, point, isOneHook, tally }) => {
    const isPort = point.serves === null && linkOf(point.device)?.tunnel === undefined
    const filter = point.selection.expression
    return judgeMirror({ span, name: writeSourceName(point.source), filter, isPort, isOneHook, tally })
  })
}

/** Columns of a line, also where there is no terminal. */
const leastWidth = 80

/** null: there is no report yet. */
function exitOf(report: Report | null): ExitCode {
  return report?.healthy === false ? Exit.unhealthy : Exit.done
}
