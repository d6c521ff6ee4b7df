import { type Diagnostic, diagnostic } from '../errors.ts'
import type { PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { DesiredSpan } from '../resources/desired-state.ts'
import { type Wait, writeAddress } from '../resources/kind.ts'
import { writeDuration } from '../spec/values/duration.ts'
import { causes } from './counters/causes.ts'
import { type FlowReport, type Hop, hopTitle } from './counters/flow-report.ts'
import { isIdle, type SourceIdleness } from './counters/idleness.ts'
import type { Degraded } from './watch-state.ts'

/** Waits that are no problem of the span: Docker is deferred, or a right is missing. */
const harmless: ReadonlySet<string> = new Set(['DOCKER_DEFERRED', 'FILTER_FORBIDDEN', 'TABLE_UNREAD'])

/** Warnings of a plan that say that frames may not arrive, that sensors may send, or that frames reach a sensor's network stack. */
const alarming: ReadonlySet<string> = new Set(['MIRROR_HIDDEN', 'COPIES_HIDDEN', 'PROGRAM_BEFORE', 'STACK_BLOCKED'])

/** What a report knows of one span. */
export interface SpanState {
  readonly changes: readonly PlannedChange[]
  readonly waiting: readonly Wait[]
  readonly flowReport: FlowReport
  /** The sources that have a max_idle. */
  readonly sources: readonly SourceIdleness[]
}

/**
 * All that is wrong with one span, in the order in which to act on it; nothing: it is healthy.
 *
 * @param warnings of the whole plan.
 * @param degraded all spans that a watch cannot keep in sync.
 */
export function judgeSpan(
  span: DesiredSpan,
  { changes, waiting, flowReport, sources }: SpanState,
  warnings: readonly Diagnostic[],
  degraded: readonly Degraded[]
): Diagnostic[] {
  return [
    ...degraded.filter((entry) => entry.span === span.name).map(({ diagnostic }) => diagnostic),
    ...countDrift(changes, span.name),
    ...waiting
      .filter(({ diagnostic }) => !harmless.has(diagnostic.code))
      .map(({ title, diagnostic }) => ({ ...diagnostic, message: `${title} ${diagnostic.message}` })),
    ...warnings.filter(({ code, address }) => alarming.has(code) && address?.startsWith(`${writeAddress(span.name)}/`)),
    ...span.sensors.flatMap(({ container: { name, running }, origin }) =>
      running
        ? []
        : [diagnostic('SENSOR_STOPPED', `the sensor ${name} is not running`, `start it: docker start ${name}`, origin)]
    ),
    ...sources.filter(isIdle).map(describeIdleness),
    ...flowReport.hops.flatMap((hop) => findLosses(hop, flowReport))
  ]
}

/**
 * All that is wrong with the host, and with no span of the file in particular, in the order in which to act on it.
 *
 * @param changes those that belong to no span of the file.
 * @param degraded all spans that a watch cannot keep in sync.
 */
export function judgeHost(
  view: PlanView,
  changes: readonly PlannedChange[],
  degraded: readonly Degraded[]
): Diagnostic[] {
  return [
    ...findMissingDocker(view)
      .filter(({ code }) => code !== 'DOCKER_FORBIDDEN')
      .map((diagnostic) => ({ ...diagnostic, hint: 'start it: systemctl start docker' })),
    ...degraded.filter(({ span }) => span === null).map(({ diagnostic }) => diagnostic),
    ...countDrift(changes, 'the host')
  ]
}

/** Nothing where Docker answers, or no span needs it. */
export function findMissingDocker({ host: { docker }, desired }: PlanView): Diagnostic[] {
  const isNeeded = desired.spans.some(({ network }) => network !== null)
  return docker.state === 'unreachable' && isNeeded ? [docker.reason] : []
}

function countDrift({ length }: readonly PlannedChange[], what: string): Diagnostic[] {
  if (length === 0) return []
  const changes = length === 1 ? '1 change' : `${length} changes`
  return [diagnostic('DRIFT', `${what} differs from the file: ${changes}`, 'run: spanplan apply')]
}

/** What is wrong with a source that is idle. */
export function describeIdleness({ span, device, idle, maxIdle, origin }: SourceIdleness): Diagnostic {
  const message = `no frame has come from ${device} for ${writeDuration(idle)} (max_idle: ${writeDuration(maxIdle)})`
  const hint = "is the switch's mirror session still there?"
  return { ...diagnostic('SOURCE_IDLE', message, hint, origin), address: writeAddress(span, 'interface', device) }
}

function findLosses(hop: Hop, { seconds }: FlowReport): Diagnostic[] {
  return hop.losses.flatMap(({ cause, frames }) => {
    const { text, hint } = causes[cause]
    if (cause === 'no_carrier')
      return [diagnostic('CARRIER_LOST', `${hop.device} has no carrier, or lost it for a moment`, hint)]
    // A span without a sensor is healthy. A listed sensor that is missing is a wait.
    if (frames === null || cause === 'no_sensor') return []
    const lost = frames === 1 ? '1 frame' : `${frames} frames`
    const message = `${lost} lost in ${seconds.toFixed(1)} s at the ${hop.kind} ${hopTitle(hop)}: ${text}`
    return [diagnostic('FRAMES_LOST', message, hint)]
  })
}
