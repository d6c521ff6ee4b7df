import type { Code } from '../codes/explained-codes.ts'
import { isHarmless, meaningOf } from '../codes/meanings.ts'
import { type Diagnostic, diagnostic } from '../errors.ts'
import type { Engine } from '../host/docker/docker-names.ts'
import { isRoot } from '../host/process/process-rights.ts'
import type { Sample } from '../host/read-counters.ts'
import type { Container } from '../host/snapshot.ts'
import type { PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { hiddenNamespace } from '../resources/unread.ts'
import { lastPause, type Pause, readPauses } from '../run-dir/pauses.ts'
import { readWindowTime, type WindowTime } from '../run-dir/window-time.ts'
import { type AdviseApply, adviseNothing, type OtherFiles } from './advice.ts'
import { findListener } from './counters/counter-delta.ts'
import { makeFlowReport } from './counters/flow-report.ts'
import { framePathOf, framePathsOf } from './counters/frame-path.ts'
import { readSources } from './counters/idleness.ts'
import { judgeHost, judgeSpan, type SpanState } from './health.ts'
import { type ReceiverPart, readParts, warnOfUneven } from './parts.ts'
import { judgeSensors, type SensorHealth } from './sensor-health.ts'
import { findSilentTools } from './tool-words.ts'
import type { SilentWatch, WatchState } from './watch-state.ts'

/** The status of one span. */
export interface SpanReport extends SpanState {
  readonly name: string
  readonly bridge: string
  readonly description: string | null
  /** ISO 8601; null: the span is not paused. */
  readonly pausedUntil: string | null
  /** The receivers that get a part of its frames. */
  readonly parts: readonly ReceiverPart[]
  /** All that is wrong with it; nothing: it is healthy. */
  readonly unhealthy: readonly Diagnostic[]
}

/**
 * Which spans are shown, and what they are compared with: the file; where that is not valid, the last valid one, which a watch holds
 * to; or what is live, by its marks.
 */
export type Basis = 'file' | 'watch' | 'live'

/** The status of all spans of a file, and of the host. */
export interface Report {
  readonly healthy: boolean
  readonly basis: Basis
  /** What is wrong with the file. Nothing: the spans are those of the file. */
  readonly fileErrors: readonly Diagnostic[]
  /** null: no watch of this name answers. */
  readonly watch: WatchState | null
  /** null: it answers, or there is none. */
  readonly silentWatch: SilentWatch | null
  /** A window that is open: what differs from the file waits for a decision, and is no problem. null: none is. */
  readonly window: WindowTime | null
  readonly spans: readonly SpanReport[]
  /** What differs from the file and belongs to none of these spans. */
  readonly changes: readonly PlannedChange[]
  /** All that is wrong with the host. */
  readonly unhealthy: readonly Diagnostic[]
  /** What is worth knowing, and is not wrong. */
  readonly warnings: readonly Diagnostic[]
  /** What could not be read. */
  readonly unread: readonly Diagnostic[]
}

/**
 * What is known of the files, and of whoever keeps or changes what they say. By default, a watch that runs answers, nothing is wrong
 * with the files, and the spans are those of the files.
 */
type Circumstances = Pick<Report, 'watch' | 'window'> & Partial<Pick<Report, 'silentWatch' | 'fileErrors' | 'basis'>>

/** What a report is made of: two samples, and the plan at the time of the later one. */
export interface ReportInput extends Circumstances {
  readonly view: PlanView
  readonly pauses: readonly Pause[]
  readonly first: Sample
  readonly later: Sample
  /** When the later sample was taken, in milliseconds since 1970. */
  readonly now: number
  /** No right is missing to this user. */
  readonly isRoot: boolean
  /** What to do about what differs from the file. */
  readonly advise?: AdviseApply
  /** What the watch keeps instead of the file; by default, it keeps the file. */
  readonly otherFiles?: OtherFiles | null
  /** Why bridges that are in no file cannot be removed: an apply of the whole file is refused. By default, they can. */
  readonly blockers?: readonly Diagnostic[]
}

/** What a report takes from the run directory, the clock and this process. */
export function readMoment(): Pick<ReportInput, 'pauses' | 'window' | 'now' | 'isRoot'> {
  const now = Date.now()
  return { pauses: readPauses(now).pauses, window: readWindowTime(), now, isRoot: isRoot() }
}

/** Compares two samples, and judges the spans and the host. */
export function makeReport(input: ReportInput): Report {
  const {
    view,
    pauses,
    watch,
    silentWatch = null,
    window,
    first,
    later,
    now,
    isRoot,
    fileErrors = [],
    basis = 'file',
    advise = adviseNothing,
    otherFiles = null,
    blockers = []
  } = input
  const { changes, waiting, warnings } = view.plan
  const degraded = watch?.degraded ?? []
  const remember = rememberFrom(watch)
  const spans = view.desired.spans.map((span): SpanReport => {
    const { name, bridge, description } = span
    const path = framePathOf(span, view)
    const sensors = judgeSensors(span, view, path, later, now, remember)
    const state = {
      changes: withoutRestarting(
        changes.filter((change) => change.span === name),
        sensors,
        view
      ),
      waiting: waiting.filter((wait) => wait.span === name),
      flowReport: makeFlowReport(path, first, later),
      sources: readSources(path, later),
      sensors
    }
    // Which sensors a span has is a difference, too.
    const kept = { ...state, changes: [], sensors: sensors.filter(({ cause }) => cause !== 'disconnected') }
    const judged = window === null ? state : kept
    const inTheWay = fileErrors.filter(({ subject }) => subject?.span === name)
    const unhealthy = [...inTheWay, ...judgeSpan(span, judged, { warnings, degraded, isRoot }, () => advise(name))]
    const parts = readParts(span, state.flowReport, view)
    return {
      name,
      bridge,
      description,
      ...state,
      pausedUntil: lastPause(name, pauses)?.until ?? null,
      parts,
      unhealthy
    }
  })
  const known = new Set(spans.map(({ name }) => name))
  const others = changes.filter(({ span }) => span === null || !known.has(span))
  const lost = otherFiles?.isLost ? [otherFiles.diagnostic] : []
  const about = { degraded, silent: silentWatch }
  const ofHost = judgeHost(view, window === null ? others : [], about, () => advise(null))
  const unhealthy = [...lost, ...blockers, ...ofHost]
  const problems = [...fileErrors, ...unhealthy, ...spans.flatMap((span) => span.unhealthy)]
  return {
    healthy: problems.length === 0,
    basis,
    fileErrors,
    watch,
    silentWatch,
    window,
    spans,
    changes: others,
    unhealthy,
    warnings: [
      ...(otherFiles === null || otherFiles.isLost ? [] : [otherFiles.diagnostic]),
      ...warnings.filter((warning) => meaningOf(warning).isRepeated),
      ...spans.flatMap(({ name, parts }) => warnOfUneven(name, parts)),
      ...spans.flatMap(({ flowReport }) => findSilentTools(flowReport))
    ],
    unread: findUnread(view, spans, later, isRoot)
  }
}

/** A watch of an earlier version remembers no sensors. */
function rememberFrom(watch: WatchState | null) {
  const remembered: readonly SensorHealth[] = watch?.sensors ?? []
  return ({ span, sensor, cause }: Pick<SensorHealth, 'span' | 'sensor' | 'cause'>) =>
    remembered.find((one) => one.span === span && one.sensor === sensor && one.cause === cause)?.since ?? null
}

/**
 * What of a sensor comes and goes while it keeps restarting is no difference that an apply could repair: its port goes with its
 * next end.
 */
function withoutRestarting(
  changes: readonly PlannedChange[],
  sensors: readonly SensorHealth[],
  { host }: PlanView
): readonly PlannedChange[] {
  const restarting = new Set(sensors.flatMap(({ sensor, cause }) => (cause === 'restarting' ? [sensor] : [])))
  if (restarting.size === 0) return changes
  return changes.filter(({ kind, device, container }) => {
    const behind = container ?? host.attachmentOf(host.linkOf(device))?.container.name
    // A port that leads to nobody is of a container that has just ended.
    return behind === undefined ? kind !== 'port' && kind !== 'xdp' : !restarting.has(behind)
  })
}

const asRoot = 'run it as root, with sudo'

const readable = (engine: Engine) =>
  `the namespace's file (SandboxKey, in ${engine} inspect) has to be there, and root's alone`

/** What could not be read: for want of a right, where nothing else is known. */
function findUnread(view: PlanView, spans: readonly SpanReport[], sample: Sample, isRoot: boolean): Diagnostic[] {
  const { host, desired, plan } = view
  const { docker } = host
  // What root lacks, sudo does not give.
  const enter = isRoot ? 'entering a network namespace needs CAP_SYS_ADMIN' : asRoot
  const filters = plan.waiting.filter(({ diagnostic }) => meaningOf(diagnostic).lacksRight)
  // Containers that are sources, and whose interfaces only root may tell: whether they are mirrored is not known.
  const unseen = plan.waiting.filter(({ diagnostic }) => !isHarmless(diagnostic) && isHarmless(diagnostic, isRoot))
  const networks = new Set(desired.spans.map(({ network }) => network?.name))
  // Of what starts, ends or keeps restarting just now, nobody can know it.
  const hidden = host.containers.filter(
    ({ running, restarting, sandbox, endpoints }) =>
      running &&
      !restarting &&
      sandbox !== null &&
      endpoints.some(({ network, port }) => networks.has(network) && port === 'unknown')
  )
  const explained = new Set([...hidden, ...host.unreadContainers].map(({ name }) => name))
  const unknown = spans.flatMap(({ sensors }) =>
    sensors.flatMap(({ sensor, state }) =>
      state === 'unknown' && docker.state === 'read' && !explained.has(sensor) ? [sensor] : []
    )
  )
  const reasonOf = new Map(
    framePathsOf(view).flatMap(({ ports }) =>
      ports.flatMap(({ sensor }) => {
        const unread = sensor === null ? undefined : findListener(sensor.inside, sample)?.unread
        return sensor === null || unread === undefined ? [] : [[sensor.container, unread] as const]
      })
    )
  )
  return [
    ...(docker.state === 'unreachable' && meaningOf(docker.reason).lacksRight
      ? [{ ...docker.reason, hint: `${asRoot}, or join the group docker` }]
      : []),
    ...filters.map(({ title, diagnostic }) => ({ ...diagnostic, message: `${title} ${diagnostic.message}` })),
    ...unseen.flatMap(({ container, diagnostic }, index) =>
      // One for all the mirrors of a container.
      container === undefined || unseen.findIndex((other) => other.container === container) < index
        ? []
        : [{ ...diagnostic, message: `whether ${container} is mirrored is not known: the plan ${diagnostic.message}` }]
    ),
    ...cannotRead(
      'RIGHT_MISSING',
      'no right to see which ports belong to',
      hidden.filter(({ isHidden, veths }) => !isHidden && (veths ?? []).length === 0),
      `${enter}; ${readable(host.engine)}`
    ),
    ...cannotRead(
      'NAMESPACE_HIDDEN',
      `${hiddenNamespace.reason}, so it is not known which ports belong to`,
      hidden.filter(({ isHidden }) => isHidden),
      hiddenNamespace.hint
    ),
    ...cannotRead(
      'RIGHT_MISSING',
      'no right to see whether a process listens in',
      unknown.flatMap((name) => (reasonOf.has(name) ? [] : [{ name }])),
      enter
    ),
    ...[...new Set(unknown)].flatMap((name) => {
      const reason = reasonOf.get(name)
      if (reason === undefined) return []
      return [{ ...reason, message: `whether a process listens in ${name} is not known: ${reason.message}` }]
    }),
    ...plan.warnings.filter((warning) => meaningOf(warning).unread)
  ]
}

function cannotRead(code: Code, what: string, of: readonly Pick<Container, 'name'>[], hint: string): Diagnostic[] {
  const names = [...new Set(of.map(({ name }) => name))].join(', ')
  return names === '' ? [] : [diagnostic(code, `${what} ${names}`, hint)]
}
