import type { Diagnostic, Origin } from '../errors.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { writeAddress } from '../resources/kind.ts'
import { type DesiredSpan, diagnostic } from '../resources/mark-inventory.ts'
import { writeDuration } from '../spec/values/duration.ts'
import { causes } from './counters/causes.ts'
import type { FlowReport, Hop } from './counters/flow-report.ts'
import type { Degraded } from './watch-state.ts'

/** Waits that say nothing of the tap: Docker was left out, or may not be asked; we lack a right. */
const harmless: ReadonlySet<string> = new Set(['DOCKER_DEFERRED', 'FILTER_FORBIDDEN'])

/** Warnings of a plan that say that frames may not arrive, or that sensors may send. */
const hiding: ReadonlySet<string> = new Set(['MIRROR_HIDDEN', 'COPIES_HIDDEN', 'PROGRAM_BEFORE'])

/** All that is wrong with one span; nothing: it does what it is there for. */
export function judgeSpan(
  span: DesiredSpan,
  view: PlanView,
  flowReport: FlowReport,
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
      ({ code, address }) => hiding.has(code) && address?.startsWith(`${writeAddress(span.name)}/`)
    ),
    ...degraded.filter((one) => one.span === span.name).map((one) => one.diagnostic),
    ...span.sensors.flatMap(({ container: { name, running }, origin }) =>
      running
        ? []
        : [diagnostic('SENSOR_STOPPED', `the sensor ${name} does not run`, `start it: docker start ${name}`, origin)]
    ),
    ...findIdle(span, flowReport)
      .filter(isSilent)
      .map((source) => describeSilence(span.name, source)),
    ...flowReport.hops.flatMap((hop) => findLosses(hop, flowReport))
  ]
}

/** All that is wrong with no span in particular. */
export function judgeHost({ host: { docker }, desired, plan }: PlanView, degraded: readonly Degraded[]): Diagnostic[] {
  const needsDocker = desired.wanted.spans.some(({ hasNetwork }) => hasNetwork)
  const away = docker.state === 'unreachable' && docker.reason.code !== 'DOCKER_FORBIDDEN' && needsDocker
  const known = new Set(desired.wanted.spans.map(({ name }) => name))
  const others = plan.changes.filter(({ span }) => span === null || !known.has(span))
  return [
    ...(away ? [{ ...docker.reason, hint: 'start it: systemctl start docker' }] : []),
    ...countDrift(others.length, 'what the file does not know'),
    ...degraded.filter(({ span }) => span === null).map((one) => one.diagnostic)
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

/** A source that is expected not to be without a frame for long. */
export interface IdleSource {
  readonly device: string
  /** Milliseconds since its last frame, by whichever direction; a filter that has seen none has been idle since it is there. */
  readonly idle: number
  /** A frame has come since it is counted. */
  readonly heard: boolean
  /** Milliseconds that it may be. */
  readonly maxIdle: number
  readonly origin: Origin
}

/** The sources of a span of which it is said how long they may be without a frame, and which have a mirror. */
export function findIdle(span: DesiredSpan, { hops }: FlowReport): IdleSource[] {
  const sources = new Map(span.mirrors.map((mirror) => [mirror.origin, mirror]))
  return [...sources.values()].flatMap(({ origin, maxIdle, link }) => {
    const tcHooks = span.mirrors.filter((mirror) => mirror.origin === origin).map(({ tcHook }) => tcHook)
    const counters = hops.flatMap((hop) =>
      hop.kind === 'mirror' && hop.device === link.name && tcHooks.includes(hop.tcHook) ? (hop.counters ?? []) : []
    )
    if (maxIdle === null || counters.length === 0) return []
    const idle = Math.min(...counters.map((one) => one.idle * 1000))
    return [{ device: link.name, idle, heard: counters.some(({ packets }) => packets > 0), maxIdle, origin }]
  })
}

/** It has been without a frame for longer than it is expected to be. */
export function isSilent({ idle, maxIdle }: IdleSource): boolean {
  return idle >= maxIdle
}

/** What is wrong with a source that is silent. */
export function describeSilence(span: string, { device, idle, maxIdle, origin }: IdleSource): Diagnostic {
  const message = `no frame has come from ${device} for ${writeDuration(idle)} (max_idle: ${writeDuration(maxIdle)})`
  const hint = "is the switch's mirror session still there?"
  return { ...diagnostic('SOURCE_IDLE', message, hint, origin), address: writeAddress(span, 'interface', device) }
}

function findLosses(hop: Hop, { seconds }: FlowReport): Diagnostic[] {
  return hop.losses.flatMap(({ cause, frames }) => {
    const { words, hint } = causes[cause]
    if (cause === 'no_carrier') return [diagnostic('CARRIER_LOST', `${hop.device} has or had no carrier`, hint)]
    // Without a sensor, a span does what it can; one that is listed and missing is told as such.
    if (frames === null || cause === 'no_sensor') return []
    const message = `${count(frames)} lost in ${seconds.toFixed(1)} s at ${describe(hop)}: ${words}`
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
