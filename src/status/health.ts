import { type Diagnostic, diagnostic } from '../errors.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { DesiredSpan } from '../resources/desired-state.ts'
import { writeAddress } from '../resources/kind.ts'
import { writeDuration } from '../spec/values/duration.ts'
import { causes } from './counters/causes.ts'
import type { FlowReport, Hop } from './counters/flow-report.ts'
import { isIdle, type SourceIdleness } from './counters/idleness.ts'
import type { Degraded } from './watch-state.ts'

/** Waits that are no problem of the span: Docker is deferred, or a right is missing. */
const harmless: ReadonlySet<string> = new Set(['DOCKER_DEFERRED', 'FILTER_FORBIDDEN'])

/** Warnings of a plan that say that frames may not arrive, or that sensors may send. */
const alarming: ReadonlySet<string> = new Set(['MIRROR_HIDDEN', 'COPIES_HIDDEN', 'PROGRAM_BEFORE'])

/**
 * All that is wrong with one span; nothing: it is healthy.
 *
 * @param sources of the span, those that have a max_idle.
 */
export function judgeSpan(
  span: DesiredSpan,
  view: PlanView,
  flowReport: FlowReport,
  sources: readonly SourceIdleness[],
  degraded: readonly Degraded[]
): Diagnostic[] {
  return [
    ...findDrift(view, span.name),
    ...view.plan.waiting.flatMap((wait) =>
      wait.span === span.name && !harmless.has(wait.diagnostic.code)
        ? [{ ...wait.diagnostic, message: `${wait.title} ${wait.diagnostic.message}` }]
        : []
    ),
    ...view.plan.warnings.filter(
      ({ code, address }) => alarming.has(code) && address?.startsWith(`${writeAddress(span.name)}/`)
    ),
    ...degraded.filter((entry) => entry.span === span.name).map(({ diagnostic }) => diagnostic),
    ...span.sensors.flatMap(({ container: { name, running }, origin }) =>
      running
        ? []
        : [diagnostic('SENSOR_STOPPED', `the sensor ${name} does not run`, `start it: docker start ${name}`, origin)]
    ),
    ...sources.filter(isIdle).map((source) => describeIdleness(span.name, source)),
    ...flowReport.hops.flatMap((hop) => findLosses(hop, flowReport))
  ]
}

/** All that is wrong with the host, and with no span of the file in particular. */
export function judgeHost({ host: { docker }, desired, plan }: PlanView, degraded: readonly Degraded[]): Diagnostic[] {
  const needsDocker = desired.spans.some(({ network }) => network !== null)
  const isMissing = docker.state === 'unreachable' && docker.reason.code !== 'DOCKER_FORBIDDEN' && needsDocker
  const known = new Set(desired.spans.map(({ name }) => name))
  const others = plan.changes.filter(({ span }) => span === null || !known.has(span))
  return [
    ...(isMissing ? [{ ...docker.reason, hint: 'start it: systemctl start docker' }] : []),
    ...countDrift(others.length, 'what the file does not know'),
    ...degraded.filter(({ span }) => span === null).map(({ diagnostic }) => diagnostic)
  ]
}

function findDrift({ plan }: PlanView, span: string): Diagnostic[] {
  return countDrift(plan.changes.filter((change) => change.span === span).length, `span ${span}`)
}

function countDrift(count: number, what: string): Diagnostic[] {
  if (count === 0) return []
  const changes = count === 1 ? '1 change' : `${count} changes`
  return [diagnostic('DRIFT', `${what} is not as the file says: ${changes}`, 'spanplan apply makes it so')]
}

/** What is wrong with a source that is idle. */
export function describeIdleness(span: string, { device, idle, maxIdle, origin }: SourceIdleness): Diagnostic {
  const message = `no frame has come from ${device} for ${writeDuration(idle)} (max_idle: ${writeDuration(maxIdle)})`
  const hint = "is the switch's mirror session still there?"
  return { ...diagnostic('SOURCE_IDLE', message, hint, origin), address: writeAddress(span, 'interface', device) }
}

function findLosses(hop: Hop, { seconds }: FlowReport): Diagnostic[] {
  return hop.losses.flatMap(({ cause, frames }) => {
    const { text, hint } = causes[cause]
    if (cause === 'no_carrier') return [diagnostic('CARRIER_LOST', `${hop.device} has or had no carrier`, hint)]
    // A span without a sensor is healthy. A listed sensor that is missing is a wait.
    if (frames === null || cause === 'no_sensor') return []
    const message = `${count(frames)} lost in ${seconds.toFixed(1)} s at ${describe(hop)}: ${text}`
    return [diagnostic('FRAMES_LOST', message, hint)]
  })
}

function count(frames: number): string {
  return frames === 1 ? '1 frame' : `${frames} frames`
}

function describe(hop: Hop): string {
  if (hop.kind === 'mirror') return `the mirror ${hop.device} ${hop.tcHook}`
  return `the ${hop.kind} ${hop.kind === 'sensor' ? hop.container : hop.device}`
}
