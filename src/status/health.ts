import type { View } from '../apply/refresh.ts'
import type { Notice, Origin } from '../errors.ts'
import { writeAddress } from '../resources/kind.ts'
import { notice, type WantedSpan } from '../resources/mark-inventory.ts'
import { writeDuration } from '../spec/values/duration.ts'
import { causes } from './causes.ts'
import type { Hop, Ledger } from './flow-report.ts'
import type { Degraded } from './watch-state.ts'

/** Waits that say nothing of the tap: Docker was left out, or may not be asked; we lack a right. */
const harmless: ReadonlySet<string> = new Set(['DOCKER_DEFERRED', 'FILTER_FORBIDDEN'])

/** Warnings of a plan that say that frames may not arrive, or that sensors may send. */
const hiding: ReadonlySet<string> = new Set(['MIRROR_HIDDEN', 'COPIES_HIDDEN', 'PROGRAM_BEFORE'])

/** All that is wrong with one span; nothing: it does what it is there for. */
export function judgeSpan(span: WantedSpan, view: View, ledger: Ledger, degraded: readonly Degraded[]): Notice[] {
  return [
    ...findDrift(view, span.name),
    ...view.plan.waiting.flatMap((wait) =>
      wait.span === span.name && !harmless.has(wait.notice.code)
        ? [{ ...wait.notice, message: `${wait.title} ${wait.notice.message}` }]
        : []
    ),
    ...view.plan.warnings.filter(
      ({ code, address }) => hiding.has(code) && address?.startsWith(`${writeAddress(span.name)}/`)
    ),
    ...degraded.filter((one) => one.span === span.name).map((one) => one.notice),
    ...span.sensors.flatMap(({ container: { name, running }, origin }) =>
      running
        ? []
        : [notice('SENSOR_STOPPED', `the sensor ${name} does not run`, `start it: docker start ${name}`, origin)]
    ),
    ...findIdle(span, ledger)
      .filter(isSilent)
      .map((source) => describeSilence(span.name, source)),
    ...ledger.hops.flatMap((hop) => findLosses(hop, ledger))
  ]
}

/** All that is wrong with no span in particular. */
export function judgeHost({ host: { docker }, desired, plan }: View, degraded: readonly Degraded[]): Notice[] {
  const needsDocker = desired.wanted.spans.some(({ hasNetwork }) => hasNetwork)
  const away = docker.state === 'unreachable' && docker.reason.code !== 'DOCKER_FORBIDDEN' && needsDocker
  const known = new Set(desired.wanted.spans.map(({ name }) => name))
  const others = plan.changes.filter(({ span }) => span === null || !known.has(span))
  return [
    ...(away ? [{ ...docker.reason, hint: 'start it: systemctl start docker' }] : []),
    ...countDrift(others.length, 'what the file does not know'),
    ...degraded.filter(({ span }) => span === null).map((one) => one.notice)
  ]
}

function findDrift({ plan }: View, span: string): Notice[] {
  return countDrift(plan.changes.filter((change) => change.span === span).length, `span ${span}`)
}

function countDrift(count: number, what: string): Notice[] {
  if (count === 0) return []
  const changes = count === 1 ? '1 change' : `${count} changes`
  return [notice('DRIFT', `${what} is not as the file says: ${changes}`, 'spanplan apply makes it so')]
}

/** A source that is expected not to be without a frame for long. */
export interface IdleSource {
  readonly device: string
  /** Milliseconds since its last frame, by whichever direction; a filter that has seen none has been idle since it is there. */
  readonly idle: number
  /** A frame has come since it is counted. */
  readonly heard: boolean
  /** Milliseconds that it may be. */
  readonly quiet: number
  readonly origin: Origin
}

/** The sources of a span of which it is said how long they may be without a frame, and which have a mirror. */
export function findIdle(span: WantedSpan, { hops }: Ledger): IdleSource[] {
  const sources = new Map(span.mirrors.map((mirror) => [mirror.origin, mirror]))
  return [...sources.values()].flatMap(({ origin, quiet, link }) => {
    const hooks = span.mirrors.filter((mirror) => mirror.origin === origin).map(({ hook }) => hook)
    const counters = hops.flatMap((hop) =>
      hop.kind === 'mirror' && hop.device === link.name && hooks.includes(hop.hook) ? (hop.counters ?? []) : []
    )
    if (quiet === null || counters.length === 0) return []
    const idle = Math.min(...counters.map((one) => one.idle * 1000))
    return [{ device: link.name, idle, heard: counters.some(({ packets }) => packets > 0), quiet, origin }]
  })
}

/** It has been without a frame for longer than it is expected to be. */
export function isSilent({ idle, quiet }: IdleSource): boolean {
  return idle >= quiet
}

/** What is wrong with a source that is silent. */
export function describeSilence(span: string, { device, idle, quiet, origin }: IdleSource): Notice {
  const message = `no frame has come from ${device} for ${writeDuration(idle)} (expected: quiet for less than ${writeDuration(quiet)})`
  const hint = "is the switch's mirror session still there?"
  return { ...notice('SOURCE_QUIET', message, hint, origin), address: writeAddress(span, 'source', device) }
}

function findLosses(hop: Hop, { seconds }: Ledger): Notice[] {
  return hop.losses.flatMap(({ cause, frames }) => {
    const { words, hint } = causes[cause]
    if (cause === 'no_carrier') return [notice('CARRIER_LOST', `${hop.device} has or had no carrier`, hint)]
    // Without a sensor, a span does what it can; one that is listed and missing is told as such.
    if (frames === null || cause === 'no_sensor') return []
    const message = `${count(frames)} lost in ${seconds.toFixed(1)} s at ${describe(hop)}: ${words}`
    return [notice('FRAMES_LOST', message, hint)]
  })
}

function count(frames: number): string {
  return frames === 1 ? '1 frame' : `${frames} frames`
}

function describe(hop: Hop): string {
  if (hop.kind === 'mirror') return `the mirror ${hop.device} ${hop.hook}`
  return `the ${hop.kind} ${hop.kind === 'sensor' ? hop.container : hop.device}`
}
