import { isHarmless, meaningOf } from '../codes/meanings.ts'
import { type Diagnostic, diagnostic } from '../errors.ts'
import { groupsOf } from '../host/host-index.ts'
import type { PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { DesiredSpan } from '../resources/desired-state.ts'
import { type Wait, writeWait } from '../resources/kind.ts'
import type { KindName } from '../resources/registry.ts'
import { writeStaysUp } from '../run-dir/going-down.ts'
import { writeDuration } from '../spec/values/duration.ts'
import { counted } from '../text-lines.ts'
import { type Advice, writeAdvice } from './advice.ts'
import { type CarrierCause, type Cause, causes, isCarrierCause } from './counters/causes.ts'
import { type FlowReport, type Hop, hopTitle } from './counters/flow-report.ts'
import { askOfSilence, isIdle, type SourceIdleness, writeIdleSource } from './counters/idleness.ts'
import type { SensorHealth } from './sensor-health.ts'
import { findToolDrops } from './tool-words.ts'
import type { Degraded, SilentWatch } from './watch-state.ts'

/** What a report knows of one span. */
export interface SpanState {
  readonly changes: readonly PlannedChange[]
  readonly waiting: readonly Wait[]
  readonly flowReport: FlowReport
  /** The sources that have a max_idle. */
  readonly sources: readonly SourceIdleness[]
  /** All that get its frames, or should. */
  readonly sensors: readonly SensorHealth[]
}

/** What else tells how a span is. */
interface SpanContext {
  readonly warnings: readonly Diagnostic[]
  readonly degraded: readonly Degraded[]
  readonly isRoot: boolean
}

/**
 * All that is wrong with one span, in the order in which to act on it; nothing: it is healthy. What an apply cannot repair comes
 * before what it can, and what may come from a difference to the file comes after that.
 *
 * @param judged the warnings of the whole plan; all spans that a watch cannot keep in sync; and whether no right is missing.
 * @param advise what to do about a difference to the file.
 */
export function judgeSpan(
  span: DesiredSpan,
  { changes, waiting, flowReport, sources, sensors }: SpanState,
  { warnings, degraded, isRoot }: SpanContext,
  advise: () => Advice
): Diagnostic[] {
  const isAwaited = (sensor: SensorHealth) => waiting.some(({ diagnostic }) => diagnostic === sensor.diagnostic)
  const waits = waiting.filter(({ diagnostic }) => !isHarmless(diagnostic, isRoot))
  // To start a container helps only once there is what it is connected to.
  const isBare = changes.some(({ kind, action }) => action === 'create' && (kind === 'bridge' || kind === 'network'))
  const found: Problem[] = [
    ...[...groupsOf(waits, keyOfWait).values()].map((group) => ({
      diagnostic: explainWaits(group, advise),
      isOwn: !isBare || group[0].kind !== 'sensor'
    })),
    ...warnings.flatMap((warning) =>
      meaningOf(warning).alarming && warning.subject?.span === span.name ? { diagnostic: warning, isOwn: true } : []
    ),
    ...sensors
      .filter(({ listed }) => listed)
      .flatMap((sensor) => (isAwaited(sensor) ? [] : judgeSensor(sensor, advise))),
    // First what is lost: a source without a carrier is idle, and the cable is the cause.
    ...flowReport.hops.flatMap((hop) => findLosses(hop, span.bridge, flowReport, changes)),
    ...findToolDrops(flowReport).map((drops) => ({ diagnostic: drops, isOwn: true })),
    ...sources.filter(isIdle).map((source) => ({
      diagnostic: explainIdleness(source),
      isOwn: changes.every(({ device }) => source.points.every((point) => device !== point.device.name))
    }))
  ]
  const pick = (wanted: boolean) => found.flatMap(({ diagnostic, isOwn }) => (isOwn === wanted ? [diagnostic] : []))
  return [
    ...degraded.filter((entry) => entry.span === span.name).map(({ diagnostic }) => diagnostic),
    ...pick(true),
    ...countDrift(changes, span.name, advise),
    ...pick(false)
  ]
}

/** What all that wait for the same wait for, such as both directions of a source, is one problem. */
const keyOfWait = ({ kind, diagnostic: { code, message } }: Wait) => JSON.stringify([kind, code, message])

/** What to do about a wait. A wait of the plan is a row, and needs no hint there. */
function adviseOnWait({ kind, diagnostic }: Wait, advise: () => Advice): string | undefined {
  switch (meaningOf(diagnostic).endedBy) {
    case 'start':
      return kind === 'sensor'
        ? 'start it: a watch connects it then, as does the next apply'
        : 'start it: a watch mirrors it then, as does the next apply'
    case 'apply':
      return writeAdvice(advise())
    case 'interface': {
      const advice = advise()
      return 'command' in advice ? writeStaysUp(advice.command) : writeAdvice(advice)
    }
    default:
      return diagnostic.hint
  }
}

function explainWaits(group: readonly [Wait, ...Wait[]], advise: () => Advice): Diagnostic {
  const [first] = group
  const { diagnostic } = first
  const hint = adviseOnWait(first, advise)
  const titles = group.map(({ title }) => title)
  return { ...diagnostic, ...(hint !== undefined && { hint }), message: writeWait(titles, diagnostic) }
}

/** Something that is wrong with a span. */
interface Problem {
  readonly diagnostic: Diagnostic
  /** Whether it would stay if the host were as the file says. */
  readonly isOwn: boolean
}

/** A sensor that an apply helps needs what helps against the difference. */
function judgeSensor({ cause, diagnostic }: SensorHealth, advise: () => Advice): Problem[] {
  if (diagnostic === null || cause === null) return []
  if (diagnostic.hint !== undefined || cause === 'missing') return [{ diagnostic, isOwn: true }]
  return [{ diagnostic: { ...diagnostic, hint: writeAdvice(advise()) }, isOwn: false }]
}

/**
 * All that is wrong with the host, and with no span of the file in particular, in the order in which to act on it.
 *
 * @param changes those that belong to no span of the file.
 * @param watch all spans that a watch cannot keep in sync; and a watch that does not answer.
 */
export function judgeHost(
  view: PlanView,
  changes: readonly PlannedChange[],
  { degraded, silent }: { readonly degraded: readonly Degraded[]; readonly silent: SilentWatch | null },
  advise: () => Advice
): Diagnostic[] {
  return [
    ...findMissingDocker(view).filter((reason) => !isHarmless(reason)),
    ...explainSilentWatch(view.desired.owner, silent),
    ...degraded.filter(({ span }) => span === null).map(({ diagnostic }) => diagnostic),
    ...countDrift(changes, 'the host', advise)
  ]
}

/** A watch that has ended in order is nobody's problem: who ended it knows. */
export function explainSilentWatch(name: string | null, silent: SilentWatch | null): Diagnostic[] {
  if (silent === null || silent.is === 'hidden') return []
  const restart = 'systemctl restart spanplan.service'
  if (silent.is === 'killed') {
    const hint = `start it again: ${restart}, or spanplan watch`
    return [diagnostic('WATCH_KILLED', `the watch of ${name} was killed`, hint)]
  }
  const hint = `restart it: ${restart}; without a unit: kill -KILL ${silent.pid}`
  return [diagnostic('WATCH_SILENT', `the watch of ${name} (pid ${silent.pid}) does not answer`, hint)]
}

/** Nothing where Docker answers, or no span needs it. */
export function findMissingDocker({ host: { docker }, desired }: PlanView): Diagnostic[] {
  const isNeeded = desired.spans.some(({ network }) => network !== null)
  return docker.state === 'unreachable' && isNeeded ? [docker.reason] : []
}

function countDrift({ length }: readonly PlannedChange[], what: string, advise: () => Advice): Diagnostic[] {
  if (length === 0) return []
  return [diagnostic('DRIFT', `${what} differs from the file: ${counted(length, 'change')}`, writeAdvice(advise()))]
}

/** What is wrong with a source that is idle. */
export function explainIdleness({ span, points, idle, maxIdle }: SourceIdleness): Diagnostic {
  const [{ source, item, origin }] = points
  const message = `no frame has come from ${writeIdleSource(points)} for ${writeDuration(idle)} (max_idle: ${writeDuration(maxIdle)})`
  return {
    ...diagnostic('SOURCE_IDLE', message, askOfSilence(points), origin),
    subject: { span, kind: 'interface', id: [source[0]], item }
  }
}

/** What is wrong with a source, or an output, of this name that has no carrier, or had none. */
export function explainCarrier(name: string, cause: CarrierCause, underlay: string | null = null): Diagnostic {
  const isBelow = cause === 'underlay_down' || cause === 'output_underlay_down'
  const below = isBelow && underlay !== null ? ` (${underlay})` : ''
  return diagnostic('CARRIER_LOST', `${name} ${causes[cause].clause}${below}`, causes[cause].hint)
}

/** Kinds of changes by which a span's bridge, its ports and its network may stop to lose frames. */
const onTheWay: ReadonlySet<KindName> = new Set(['bridge', 'network', 'port', 'sensor', 'output'])

/** Whether frames are lost as somebody wants it. */
export const isMeantLoss = (cause: Cause) => cause === 'no_sensor' || cause === 'refused'

function findLosses(hop: Hop, bridge: string, { seconds }: FlowReport, changes: readonly PlannedChange[]): Problem[] {
  const isChanged = (kind: KindName, device: string | null) =>
    device === hop.device || device === bridge || (hop.kind !== 'interface' && onTheWay.has(kind))
  return hop.losses.flatMap(({ cause, frames }) => {
    const { text, hint } = causes[cause]
    const isOwn = 'isOwn' in causes[cause] || !changes.some(({ kind, device }) => isChanged(kind, device))
    if (isCarrierCause(cause)) {
      const underlay = hop.kind === 'interface' || hop.kind === 'output' ? (hop.underlay?.name ?? null) : null
      return [{ diagnostic: explainCarrier(hopTitle(hop), cause, underlay), isOwn }]
    }
    // A span without a sensor is healthy. A listed sensor that is missing is a wait. Whoever is left out may send what he likes.
    if (frames === null || isMeantLoss(cause)) return []
    const message = `${counted(frames, 'frame')} lost in ${seconds.toFixed(1)} s at the ${hop.kind} ${hopTitle(hop)}: ${text}`
    return [{ diagnostic: diagnostic('FRAMES_LOST', message, hint), isOwn }]
  })
}
