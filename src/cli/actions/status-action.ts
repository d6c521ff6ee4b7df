import { type Diagnostic, Exit, type ExitCode } from '../../errors.ts'
import { hearSources } from '../../look/hear-sources.ts'
import { refresh, refreshAndCheckSpans } from '../../look/refresh.ts'
import { printableJson } from '../../printable.ts'
import { writeSourceName } from '../../resources/sources/host-source-kind.ts'
import { judgeMirror, type TrafficVerdict } from '../../status/judge-mirror.ts'
import { renderBrief } from '../../status/output/brief.ts'
import { statusDocument } from '../../status/output/status-json.ts'
import { renderReport } from '../../status/output/status-text.ts'
import { writeVerdicts } from '../../status/output/traffic-text.ts'
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
  const listening = typeof time === 'number' && time >= shortestHearing ? judgeSources(view, time) : null
  const looking = Promise.all([reportAfter(time, view, refreshNow), listening])
  const [{ result: counted }, listened] = await during(session, counting(time), looking)
  const result = { ...counted, warnings: [...counted.warnings, ...(listened?.warnings ?? [])] }
  if (!session.json) printDiagnostics(session, 'error', result.fileErrors)
  warn(session, [...result.warnings, ...result.unread])
  if (session.json) {
    const document = statusDocument(result, new Date().toISOString(), listened?.verdicts ?? null)
    process.stdout.write(`${printableJson(document)}\n`)
  } else {
    const paint = choosePaint(session.color, process.stdout)
    const width = Math.max(leastWidth, process.stdout.columns ?? 0)
    process.stdout.write(options.brief ? renderBrief(result, width, paint) : renderReport(result, paint))
    if (!options.brief) process.stdout.write(writeVerdicts(listened?.verdicts ?? []))
  }
  return exitOf(result)
}

/** Milliseconds for which frames are counted, where nobody says how long. */
const shortTime = 1000

/** Milliseconds from which on what is heard tells something. */
const shortestHearing = 2000

/** What listening has told. */
interface Listened {
  readonly verdicts: readonly TrafficVerdict[]
  readonly warnings: readonly Diagnostic[]
}

/** Listens on what is copied from, and says in which ways that is not whole. */
async function judgeSources(view: StatusView, milliseconds: number): Promise<Listened> {
  const { groups, unheard } = await hearSources(view, milliseconds, new AbortController().signal)
  const verdicts = groups.map(({ span, points, conversations }) => {
    const sources = points.map(({ point: { source, selection }, isPort, tally }) => {
      return { name: writeSourceName(source), filter: selection.expression, isPort, tally }
    })
    return judgeMirror(span, sources, conversations)
  })
  return { verdicts, warnings: [...verdicts.flatMap(({ findings }) => findings), ...unheard] }
}

/** Columns of a line, also where there is no terminal. */
const leastWidth = 80

/** null: there is no report yet. */
function exitOf(report: Report | null): ExitCode {
  return report?.healthy === false ? Exit.unhealthy : Exit.done
}
