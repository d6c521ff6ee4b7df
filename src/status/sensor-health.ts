import type { Code } from '../codes/explained-codes.ts'
import { type Meaning, meaningOf } from '../codes/meanings.ts'
import { type Diagnostic, diagnostic, type Origin } from '../errors.ts'
import type { Engine } from '../host/docker/docker-names.ts'
import type { PacketSocket } from '../host/parsers/counters.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Sample } from '../host/read-counters.ts'
import type { Container } from '../host/snapshot.ts'
import { localTime } from '../local-time.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { DesiredSpan } from '../resources/desired-state.ts'
import type { Wait } from '../resources/kind.ts'
import { mayBeSensorPort } from '../resources/kinds/sensor.ts'
import { findLink, findListener } from './counters/counter-delta.ts'
import type { FramePath, PathPort } from './counters/frame-path.ts'

/** The words for a cause, and what helps against it. */
interface CauseEntry {
  readonly code: Code
  /** What is wrong with the sensor, without its name. */
  words(container: Container): string
  /** The command that helps, and what it is for. Missing: apply repairs it. */
  hint?(name: string, engine: Engine): string
}

/** See why, where only the sensor itself can tell. */
const readLog = (name: string, engine: Engine) => `see why: ${shellLine([engine, 'logs', '--tail', '20', name])}`
const restart = (name: string, engine: Engine) => `restart it: ${shellLine([engine, 'restart', name])}`

/** Every cause for which a container that exists hears nothing of its span, by the name that programs read. */
export const sensorCauses = {
  restarting: {
    code: 'SENSOR_RESTARTING',
    words: ({ restarts }) =>
      `keeps restarting${restarts > 0 ? ` (${restarts === 1 ? 'once' : `${restarts} times`} by now)` : ''}`,
    hint: readLog
  },
  stopped: {
    code: 'SENSOR_STOPPED',
    words: ({ finishedAt, exitStatus }) =>
      `is not running${finishedAt === null ? '' : `: it ended with exit status ${exitStatus}`}`,
    hint: (name, engine) => `start it: ${shellLine([engine, 'start', name])}`
  },
  paused: {
    code: 'SENSOR_PAUSED',
    words: () => 'is paused',
    hint: (name, engine) => `let it go on: ${shellLine([engine, 'unpause', name])}`
  },
  disconnected: {
    code: 'SENSOR_DISCONNECTED',
    words: () => "is not connected to the span's network"
  },
  interface_gone: {
    code: 'SENSOR_INTERFACE',
    words: () => 'has lost its interface on the span, or has it in another network namespace'
  },
  port_down: {
    code: 'SENSOR_INTERFACE',
    words: () => 'gets nothing: its port is down, or off the bridge'
  },
  port_elsewhere: {
    code: 'SENSOR_INTERFACE',
    words: () => "gets nothing: it has no port on the span's bridge, and one elsewhere that somebody may need there",
    hint: restart
  },
  several_ports: {
    code: 'SENSOR_INTERFACE',
    words: () => "gets nothing: it has several ports on the span's bridge, and nothing tells which of them is Docker's",
    hint: restart
  },
  interface_down: {
    code: 'SENSOR_INTERFACE',
    words: () => 'hears nothing: its interface on the span is down',
    hint: restart
  },
  no_listener: {
    code: 'SENSOR_DEAF',
    words: () => 'hears nothing: no process in it listens on its interface',
    hint: restart
  }
} as const satisfies Readonly<Record<string, CauseEntry>>

/** Why a sensor is not healthy. `missing`: the container that the file names does not exist. */
export type SensorCause = keyof typeof sensorCauses | 'missing'

/** All of them, in the order in which they are looked for. */
export const allSensorCauses: readonly SensorCause[] = ['missing', ...Object.keys(sensorCauses)] as SensorCause[]

/**
 * How a sensor is. `starting`: it has run for a moment only, and may still get ready. `unknown`: what tells whether it listens
 * could not be read.
 */
export type SensorState = 'healthy' | 'starting' | 'unknown' | 'unhealthy'

/** A sensor of a span, and how it is. */
export interface SensorHealth {
  readonly span: string
  /** The name of the container; or, where none is there, what the file selects it by. */
  readonly sensor: string
  /** The file lists it. Others have connected the rest, and these make no span unhealthy. */
  readonly listed: boolean
  readonly state: SensorState
  /** null: it is not unhealthy. */
  readonly cause: SensorCause | null
  /** Since when it is so, as ISO 8601; null: nobody has seen it begin. */
  readonly since: string | null
  /** What is wrong, and what to do; null: it is not unhealthy. */
  readonly diagnostic: Diagnostic | null
}

/** Milliseconds for a sensor to get ready: Suricata listens once it has loaded its rules. */
export const sensorGrace = 30_000

/** What tells how a container hears a span. */
interface Hearing {
  readonly span: DesiredSpan
  readonly container: Container
  readonly view: PlanView
  /** The port that leads to the container; undefined: none is known. */
  readonly port: PathPort | undefined
  readonly sample: Sample
}

/** When a watch, which looks all the time, has first seen that a sensor is unhealthy for this cause; null: it has not. */
export type RememberCause = (sensor: Pick<SensorHealth, 'span' | 'sensor' | 'cause'>) => string | null

/**
 * How all sensors of a span are: those of the file, whether they exist or not, and those that others have connected and that run.
 *
 * @param now milliseconds since 1970.
 */
export function judgeSensors(
  span: DesiredSpan,
  view: PlanView,
  path: FramePath,
  sample: Sample,
  now: number,
  remember: RememberCause
): SensorHealth[] {
  const { host, plan } = view
  const judge = (container: Container, listed: boolean, origin: Origin | undefined): SensorHealth => {
    const port = path.ports.find(({ sensor }) => sensor?.container === container.name)
    const found = findCause({ span, container, view, port, sample })
    const state = stateOf(found, container, now)
    const sensor = { span: span.name, sensor: container.name, listed, state }
    if (state !== 'unhealthy' || found === 'unknown' || found === null) {
      return { ...sensor, cause: null, since: null, diagnostic: null }
    }
    // When a container has stopped, Docker itself knows.
    const since = (found === 'stopped' ? container.finishedAt : null) ?? remember({ ...sensor, cause: found })
    return {
      ...sensor,
      cause: found,
      since,
      diagnostic: causeDiagnostic(found, { span, container, view }, since, origin)
    }
  }
  const listed = new Set(span.sensors.map(({ container }) => container.id))
  const others = (span.network === null ? [] : host.endpointsOn(span.network.name))
    .map(({ container }) => container)
    .filter(({ id, running }) => running && !listed.has(id))
  return [
    ...span.sensors.map(({ container, origin }) => judge(container, true, origin)),
    ...plan.waiting.filter((wait) => wait.span === span.name).flatMap((wait) => judgeAwaited(wait, remember)),
    ...others.map((container) => judge(container, false, undefined))
  ]
}

/** Why a container hears nothing, `unknown` where that cannot be told, or null: it listens. */
function findCause({ span, container, view, port, sample }: Hearing): keyof typeof sensorCauses | 'unknown' | null {
  const { host } = view
  if (container.restarting) return 'restarting'
  if (!container.running) return 'stopped'
  if (container.paused) return 'paused'
  const endpoint = container.endpoints.find(({ network }) => network === span.network?.name)
  if (endpoint === undefined) return 'disconnected'
  if (endpoint.port === 'unknown') {
    const feed = span.feeds.find(({ kind, name }) => kind === 'sensor' && name === container.name)
    if (feed?.absence === 'ambiguous') return 'several_ports'
    const veths = (container.veths ?? []).flatMap((veth) => host.linkAt(veth.host) ?? [])
    return veths.length === 0 || veths.some(({ master }) => master === span.bridge) ? 'unknown' : 'port_elsewhere'
  }
  if (endpoint.port === 'absent') return 'interface_gone'
  const link = host.linkAt(endpoint.port.host)
  if (link === undefined) return 'unknown'
  if (link.master !== span.bridge && !mayBeSensorPort(view, link, span.bridge)) return 'port_elsewhere'
  if (!link.up || link.master !== span.bridge) return 'port_down'
  if (findLink(link.index, sample)?.running === false) return 'interface_down'
  const inside = port?.sensor?.inside
  const listener = inside && findListener(inside, sample)
  const known = listener?.sockets ?? listener?.some ?? []
  if (known.some((socket) => isHearing(socket, span))) return null
  return listener?.sockets ? 'no_listener' : 'unknown'
}

/** A sealed sensor's own network stack gets no frame: only sockets of every protocol come before what drops them. */
function isHearing({ hears }: PacketSocket, { sealed }: DesiredSpan): boolean {
  return hears === 'every' || (hears === 'one' && !sealed)
}

/** What a container becomes ready for after its start. */
const comesLate: ReadonlySet<string> = new Set<SensorCause>(['disconnected', 'interface_gone', 'no_listener'])

function stateOf(found: ReturnType<typeof findCause>, { startedAt, health }: Container, now: number): SensorState {
  if (found === null) return 'healthy'
  const age = startedAt === null ? sensorGrace : now - Date.parse(startedAt)
  // The admin's health check knows better how long it may take.
  if (comesLate.has(found) && (age < sensorGrace || health === 'starting')) return 'starting'
  return found === 'unknown' ? 'unknown' : 'unhealthy'
}

function causeDiagnostic(
  cause: keyof typeof sensorCauses,
  { span, container, view }: Pick<Hearing, 'span' | 'container' | 'view'>,
  since: string | null,
  origin: Origin | undefined
): Diagnostic {
  const { code, words, hint }: CauseEntry = sensorCauses[cause]
  const { name } = container
  const message = `the sensor ${name} ${words(container)}${since === null ? '' : `, since ${localTime(since)}`}`
  return {
    ...diagnostic(code, message, hint?.(name, view.host.engine), origin),
    subject: { span: span.name, kind: 'sensor', id: [span.network?.name ?? span.bridge, name] }
  }
}

/** What is wrong with a sensor of the file that has to wait, by what ends the wait. */
const awaitedCauses: Readonly<Partial<Record<NonNullable<Meaning['endedBy']>, SensorCause>>> = {
  start: 'missing',
  container: 'restarting',
  repair: 'disconnected'
}

/** The sensors of the file that are not there, or of which nothing could be read. Their waits say what is wrong. */
function judgeAwaited({ kind, span, container, diagnostic }: Wait, remember: RememberCause): SensorHealth[] {
  if (kind !== 'sensor' || container === undefined) return []
  const { unread, endedBy, part } = meaningOf(diagnostic)
  const sensor = { span, sensor: container, listed: true } as const
  if (unread) return [{ ...sensor, state: 'unknown', cause: null, since: null, diagnostic: null }]
  const cause = part === 'sensors' && endedBy !== undefined ? awaitedCauses[endedBy] : undefined
  if (cause === undefined) return []
  return [{ ...sensor, state: 'unhealthy', cause, since: remember({ ...sensor, cause }), diagnostic }]
}
