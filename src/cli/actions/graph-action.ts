import { diagnostic, Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { drawFile, type Graph } from '../../graph/graph.ts'
import { renderTree } from '../../graph/graph-tree.ts'
import { drawHost, drawLive } from '../../graph/host-graph.ts'
import { renderMermaid } from '../../graph/mermaid.ts'
import { renderSvg } from '../../graph/svg.ts'
import { refresh, refreshAndCheckSpans } from '../../look/refresh.ts'
import { explainBridge } from '../../plan/live-spans.ts'
import type { Paint } from '../../printable.ts'
import { suggestHint } from '../../spec/schema/did-you-mean.ts'
import { indexNames } from '../../spec/span-names.ts'
import type { Spec } from '../../spec/spec.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import type { Report } from '../../status/report.ts'
import { type FileSelection, loadFiles } from '../input/spec-files.ts'
import { type CountTime, refreshStatus, report, reportAfter, type StatusView } from '../input/status-view.ts'
import { counting, during, readingHost } from '../output/activity.ts'
import { choosePaint } from '../output/colours.ts'
import { printDiagnostics, type Session, warn } from '../session.ts'

const renderers = {
  text: renderTree,
  mermaid: renderMermaid,
  svg: renderSvg
} as const satisfies Record<string, (graph: Graph, paint: Paint) => string>

interface GraphOptions extends FileSelection {
  readonly span: readonly string[]
  readonly format: keyof typeof renderers
  /** Rates are drawn of what came in it; missing: none are. */
  readonly for?: CountTime | undefined
  /** The host is not read. */
  readonly fileOnly: boolean
  /** Drawn again each second, with rates. */
  readonly live: boolean
}

/**
 * `spanplan graph`: draws the spans, from their sources to their sensors. A broken span is drawn, and is no failure; a broken file
 * is one, and what the watch holds to is drawn, or else what is live.
 */
export async function graphCommand(session: Session, options: GraphOptions): Promise<ExitCode> {
  if (options.live) return showGraph(session, options)
  const { graph, exit } = options.fileOnly
    ? { graph: await readFileGraph(session, options), exit: Exit.done }
    : await readHostGraph(session, options)
  process.stdout.write(renderers[options.format](graph, choosePaint(session.color, process.stdout)))
  return exit
}

async function readFileGraph(session: Session, { file, span }: GraphOptions): Promise<Graph> {
  const spec = await loadFiles({ file, insecureFile: true }, session)
  const names = spec.spans.map(({ name }) => name)
  const unknown = span.filter((name) => !names.includes(name))
  if (unknown.length > 0) {
    const { nameOf } = indexNames(spec.spans)
    const errors = unknown.map((name) => {
      const hint = explainBridge(name, nameOf(name)) ?? suggestHint(name, names)
      return diagnostic('SPAN_UNKNOWN', `--span ${name}: the file has no such span`, hint)
    })
    throw new SpanplanError(errors, Exit.usage)
  }
  return drawFile(spec, selectSpans(spec, span))
}

async function readHostGraph(session: Session, options: GraphOptions): Promise<{ graph: Graph; exit: ExitCode }> {
  const looking = options.for === undefined ? readingHost : counting(options.for)
  const { now: view, result: status } = await during(session, looking, readStatus(session, options))
  printDiagnostics(session, 'error', view.fileErrors)
  warn(session, status.unread)
  return { graph: drawView(view, status, options.span), exit: exitOf(view) }
}

/** What a broken file says, nobody knows: what is live is drawn. */
function drawView(view: StatusView, status: Report, names: readonly string[]): Graph {
  if (view.spec === null) return drawLive(view, status)
  return drawHost({ spec: view.spec, spans: selectSpans(view.spec, names), view, report: status })
}

function exitOf({ basis }: StatusView): ExitCode {
  return basis === 'file' ? Exit.done : Exit.unhealthy
}

/** Draws the graph on a terminal every second, until somebody types q or ^C. */
async function showGraph(session: Session, options: GraphOptions): Promise<ExitCode> {
  const screen = await import('./status-live-action.ts')
  screen.checkTerminal('leave it out, or use --for 10s')
  const paint = choosePaint(session.color, process.stdout)
  let latest = await during(session, readingHost, refreshStatus(session, options, refreshAndCheckSpans))
  const refreshNow = () => refreshStatus(session, options, refresh)
  await screen.drawLive(
    latest,
    refreshNow,
    ({ view, report: status }) => {
      latest = view
      return renderTree(drawView(view, status, options.span), paint)
    },
    paint('wait', 'frames/s of the last second; press q to quit')
  )
  return exitOf(latest)
}

async function readStatus(session: Session, options: GraphOptions): Promise<{ now: StatusView; result: Report }> {
  const view = await refreshStatus(session, options, refreshAndCheckSpans)
  if (options.for !== undefined) {
    return reportAfter(options.for, view, () => refreshStatus(session, options, refresh))
  }
  // One sample tells all but what comes, and what is lost, between two.
  const sample = await takeSample(framePathsOf(view))
  return { now: view, result: await report(view, sample, sample) }
}

/** The spans of these names, or all. */
function selectSpans({ spans }: Spec, names: readonly string[]) {
  return names.length === 0 ? spans : spans.filter(({ name }) => names.includes(name))
}
