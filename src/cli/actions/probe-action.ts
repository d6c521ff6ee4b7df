import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { refreshAndCheckSpans } from '../../look/refresh.ts'
import { printableJson } from '../../printable.ts'
import { hasPassed, probeDocument } from '../../probe/output/probe-json.ts'
import { renderProbe } from '../../probe/output/probe-text.ts'
import { probeSpans } from '../../probe/probe-spans.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { writeApply } from '../input/load-target.ts'
import type { FileSelection } from '../input/spec-files.ts'
import { refreshStatus, report } from '../input/status-view.ts'
import { during, readingHost } from '../output/activity.ts'
import { choosePaint } from '../output/colours.ts'
import { printDiagnostics, type Session, warn } from '../session.ts'

interface ProbeOptions extends FileSelection {
  /** Missing: all spans. */
  readonly span?: string | undefined
}

/** `spanplan probe`: sends frames through spans, and tells which ports got them. It changes nothing. */
export async function probeCommand(session: Session, options: ProbeOptions): Promise<ExitCode> {
  const span = options.span === undefined ? [] : [options.span]
  const selection = { ...options, span, prune: false }
  const view = await during(session, readingHost, refreshStatus(session, selection, refreshAndCheckSpans))
  const sample = await during(session, readingHost, takeSample(framePathsOf(view)))
  const { spans, unread } = await report(view, sample, sample)
  const probing = probeSpans({ view, spans, mirrors: true })
  const results = await during(session, 'Sending frames', probing)
  const [only] = results
  if (options.span !== undefined && only?.problem) {
    const hint = `create it first: ${writeApply({ ...options, span: [] })(null)}`
    throw new SpanplanError({ ...only.problem, hint })
  }
  if (!session.json) printDiagnostics(session, 'error', view.fileErrors)
  warn(session, unread)
  const text = session.json
    ? `${printableJson(probeDocument(results, new Date().toISOString()))}\n`
    : renderProbe(results, choosePaint(session.color, process.stdout))
  process.stdout.write(text)
  return hasPassed(results) ? Exit.done : Exit.unhealthy
}
