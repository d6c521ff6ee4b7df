import { meaningOf } from '../../codes/meanings.ts'
import { type Diagnostic, diagnostic, Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { refresh } from '../../look/refresh.ts'
import { spanUnknown } from '../../plan/live-spans.ts'
import { viewLive } from '../../plan/live-view.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { printableJson } from '../../printable.ts'
import { noteInnerDrops } from '../../probe/inner-drops.ts'
import { hasPassed, probeDocument } from '../../probe/output/probe-json.ts'
import { renderProbe } from '../../probe/output/probe-text.ts'
import { notPlanned } from '../../probe/probe-result.ts'
import { probeSpans } from '../../probe/probe-spans.ts'
import { writeWait } from '../../resources/kind.ts'
import type { Spec } from '../../spec/spec.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { writeCommand } from '../input/load-target.ts'
import type { FileSelection } from '../input/spec-files.ts'
import { refreshFiles, report } from '../input/status-view.ts'
import { during, readingHost } from '../output/activity.ts'
import { choosePaint } from '../output/colours.ts'
import { type Session, warn } from '../session.ts'

interface ProbeOptions extends FileSelection {
  /** Missing: all spans. */
  readonly span?: string | undefined
}

/** `spanplan probe`: sends frames through spans, and tells which ports got them. It changes nothing. */
export async function probeCommand(session: Session, options: ProbeOptions): Promise<ExitCode> {
  // Of the other spans, it has to be known what a frame would count for.
  const view = await during(session, readingHost, refreshFiles(session, { ...options, span: [] }, refresh))
  if (options.span !== undefined) checkListed(options.span, view)
  const isMeant = ({ name }: { readonly name: string }) => options.span === undefined || name === options.span
  const sample = await during(session, readingHost, takeSample(framePathsOf(view)))
  const { spans, unread } = await report(view, sample, sample)
  const write = writeCommand(options)
  const probing = probeSpans({ view, spans: spans.filter(isMeant), mirrors: true, write })
  const sent = await during(session, 'Sending frames', probing)
  const probed = noteInnerDrops(sent, sample, await takeSample(framePathsOf(view)))
  const waiting = view.spec.spans.filter((one) => isMeant(one) && !spans.some(({ name }) => name === one.name))
  const results = [
    ...probed,
    ...waiting.map(({ name, description }) => notPlanned(name, description, explainWait(name, view)))
  ]
  const [only] = results
  if (options.span !== undefined && only?.problem) throw new SpanplanError(only.problem)
  warn(session, [...findUnreachable(view), ...unread])
  const text = session.json
    ? `${printableJson(probeDocument(results, new Date().toISOString()))}\n`
    : renderProbe(results, choosePaint(session.color, process.stdout))
  process.stdout.write(text)
  return hasPassed(results) ? Exit.done : Exit.unhealthy
}

/** @throws SpanplanError SPAN_UNKNOWN: nothing says who is to get the frames of a span that the file does not have. */
function checkListed(span: string, { spec, host, desired }: PlanView & { readonly spec: Spec }): void {
  const listed = spec.spans.map(({ name }) => name)
  if (listed.includes(span)) return
  const live = viewLive(host).desired.spans.map(({ name }) => name)
  if (!live.includes(span)) throw spanUnknown([span], [...listed, ...live], desired.names)
  const message = `${span} is live on this host, but not in the file: nothing says who is to get its frames`
  throw new SpanplanError(diagnostic('SPAN_UNKNOWN', message, 'name the file that has it, with -f'), Exit.usage)
}

/** Why a span of the file is not planned: something is in its way. */
function explainWait(span: string, { plan }: PlanView): Diagnostic {
  const wait = plan.waiting.find((one) => one.span === span)
  if (wait === undefined) return diagnostic('SPAN_NOT_LIVE', `${span} is not planned: there is nothing to probe`)
  return { ...wait.diagnostic, message: writeWait([wait.title], wait.diagnostic) }
}

/** Why Docker is not reachable. A missing right of this user is reported elsewhere. */
function findUnreachable({ host: { docker } }: PlanView): Diagnostic[] {
  return docker.state === 'unreachable' && meaningOf(docker.reason).lacksRight !== true ? [docker.reason] : []
}
