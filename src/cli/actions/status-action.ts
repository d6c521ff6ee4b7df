import { setTimeout as sleep } from 'node:timers/promises'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import type { Sample } from '../../host/read-counters.ts'
import { refresh, refreshAndCheckSpans } from '../../look/refresh.ts'
import { printableJson } from '../../printable.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { renderBrief } from '../../status/output/brief.ts'
import { statusDocument } from '../../status/output/status-json.ts'
import { renderReport } from '../../status/output/status-text.ts'
import type { Report } from '../../status/report.ts'
import { askWatch } from '../../watch/serve/ask-watch.ts'
import { refreshStatus, report, type StatusSelection, type StatusView } from '../input/status-view.ts'
import { choosePaint } from '../output/colours.ts'
import { printDiagnostics, type Session, warn } from '../session.ts'

interface StatusOptions extends StatusSelection {
  /** Milliseconds between the two samples; `watch`: since the watch's first sample. */
  readonly for: number | 'watch'
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
  const view = await refreshStatus(session, options, refreshAndCheckSpans)
  if (options.live) {
    const { showLive } = await import('./status-live-action.ts')
    return exitOf(await showLive(session, view, refreshNow))
  }
  const first = await takeFirstSample(view, options.for)
  // The host may have changed since the first sample.
  const now = await refreshNow()
  const result = await report(now, first, await takeSample(framePathsOf(now)))
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

/** Gives the first sample once it is time for the second. */
async function takeFirstSample(view: StatusView, span: StatusOptions['for']): Promise<Sample> {
  if (span !== 'watch') {
    const sample = await takeSample(framePathsOf(view))
    await sleep(span)
    return sample
  }
  const name = view.desired.owner
  const answer = await askWatch(name, 'first-sample')
  if (answer?.sample) return answer.sample
  throw new SpanplanError({
    code: 'WATCH_MISSING',
    message: `--for watch: no watch of the name ${name} ${answer === null ? 'is running' : 'has seen this host yet'}`,
    hint: 'count from now on, as with --for 10s'
  })
}

/** null: there is no report yet. */
function exitOf(report: Report | null): ExitCode {
  return report?.healthy === false ? Exit.unhealthy : Exit.done
}
