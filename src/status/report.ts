import type { Diagnostic } from '../errors.ts'
import type { Sample } from '../host/read-counters.ts'
import type { PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { WindowTime } from '../run-dir/lock.ts'
import type { Pause } from '../run-dir/pauses.ts'
import { makeFlowReport } from './counters/flow-report.ts'
import { framePathOf } from './counters/frame-path.ts'
import { readSources } from './counters/idleness.ts'
import { judgeHost, judgeSpan, type SpanState } from './health.ts'
import type { WatchState } from './watch-state.ts'

/** The status of one span. */
export interface SpanReport extends SpanState {
  readonly name: string
  readonly description: string | null
  /** ISO 8601; null: the span is not paused. */
  readonly pausedUntil: string | null
  /** All that is wrong with it; nothing: it is healthy. */
  readonly unhealthy: readonly Diagnostic[]
}

/** The status of all spans of a file, and of the host. */
export interface Report {
  readonly healthy: boolean
  /** null: no watch of this name runs. */
  readonly watch: WatchState | null
  /** A window that is open: what differs from the file waits for a decision, and is no problem. null: none is. */
  readonly window: WindowTime | null
  readonly spans: readonly SpanReport[]
  /** What differs from the file and belongs to none of these spans. */
  readonly changes: readonly PlannedChange[]
  /** All that is wrong with the host. */
  readonly unhealthy: readonly Diagnostic[]
  /** What could not be read. */
  readonly unread: readonly Diagnostic[]
}

/** What a report is made of: two samples, and the plan at the time of the later one. */
export interface ReportInput {
  readonly view: PlanView
  readonly pauses: readonly Pause[]
  readonly watch: WatchState | null
  readonly window: WindowTime | null
  readonly first: Sample
  readonly later: Sample
}

/** Compares two samples, and judges the spans and the host. */
export function makeReport({ view, pauses, watch, window, first, later }: ReportInput): Report {
  const { changes, waiting, warnings } = view.plan
  const degraded = watch?.degraded ?? []
  const spans = view.desired.spans.map((span): SpanReport => {
    const { name, description } = span
    const path = framePathOf(span, view)
    const state = {
      changes: changes.filter((change) => change.span === name),
      waiting: waiting.filter((wait) => wait.span === name),
      flowReport: makeFlowReport(path, first, later),
      sources: readSources(path, later)
    }
    const judged = window === null ? state : { ...state, changes: [] }
    const unhealthy = judgeSpan(span, judged, warnings, degraded)
    return { name, description, ...state, pausedUntil: lastPause(name, pauses), unhealthy }
  })
  const known = new Set(spans.map(({ name }) => name))
  const others = changes.filter(({ span }) => span === null || !known.has(span))
  const unhealthy = judgeHost(view, window === null ? others : [], degraded)
  return {
    healthy: unhealthy.length === 0 && spans.every((span) => span.unhealthy.length === 0),
    watch,
    window,
    spans,
    changes: others,
    unhealthy,
    unread: findUnread(view, spans)
  }
}

function lastPause(span: string, pauses: readonly Pause[]): string | null {
  const ends = pauses.flatMap((pause) => (pause.span === null || pause.span === span ? [pause.until] : []))
  return ends.sort().at(-1) ?? null
}

const asRoot = 'run it as root, with sudo'

/** What could not be read for want of a right. */
function findUnread({ host, desired, plan }: PlanView, spans: readonly SpanReport[]): Diagnostic[] {
  const { docker } = host
  const filters = plan.waiting.filter(({ diagnostic }) => diagnostic.code === 'FILTER_FORBIDDEN')
  const networks = new Set(desired.spans.map(({ network }) => network?.name))
  const hidden = host.containers.filter(
    ({ running, endpoints }) =>
      running && endpoints.some(({ network, port }) => networks.has(network) && port === 'unknown')
  )
  const unreadable = spans.flatMap(({ flowReport }) =>
    flowReport.hops.flatMap((hop) => (hop.kind === 'sensor' && hop.sockets === null ? [hop.container] : []))
  )
  return [
    ...(docker.state === 'unreachable' && docker.reason.code === 'DOCKER_FORBIDDEN'
      ? [{ ...docker.reason, hint: `${asRoot}, or join the group docker` }]
      : []),
    ...filters.map(({ title, diagnostic }) => ({ ...diagnostic, message: `${title} ${diagnostic.message}` })),
    ...cannotRead(
      'which ports belong to',
      hidden.map(({ name }) => name),
      `${asRoot}; the namespace's file (SandboxKey, in docker inspect) has to be there, and root's alone`
    ),
    ...cannotRead('what is lost by the sockets of', unreadable, asRoot),
    ...plan.warnings.filter(({ code }) => code === 'STACK_UNREAD')
  ]
}

function cannotRead(what: string, containers: readonly string[], hint: string): Diagnostic[] {
  const names = [...new Set(containers)].join(', ')
  return names === '' ? [] : [{ code: 'RIGHT_MISSING', message: `no right to see ${what} ${names}`, hint }]
}
