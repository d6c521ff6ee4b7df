import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicNow, type Sample } from '../../host/read-counters.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { type FramePath, framePathOf, takeSample } from '../../status/counters/frame-path.ts'
import type { openFlowHistory } from '../../status/history/flow-history.ts'
import { judgeSensors, type SensorCause, type SensorHealth } from '../../status/sensor-health.ts'
import type { EmitEvent } from './event.ts'
import { followToolLosses } from './tool-losses.ts'
import { trackTransitions } from './transition-tracker.ts'

/**
 * Milliseconds from one look at the sockets to the next: no event tells that one is closed. A look takes a process for each sensor,
 * and so there are fewer looks where there are many sensors.
 */
const shortestPeriod = 10_000
const periodOfSensor = 500

/** Milliseconds after a run: what one event changes, the next events often change too. */
const settling = 1000

/** The part of a run's result that sensors are judged by. */
interface Run {
  readonly view: PlanView
  /** What was applied since the plan was made. The next run sees what has come of it. */
  readonly changes: readonly PlannedChange[]
}

/** What keeps the rates of spans, and says when it is time for a sample. */
type Rates = Pick<ReturnType<typeof openFlowHistory>, 'isDue' | 'skip' | 'add'>

/**
 * Follows how the sensors are, and emits an event when one is unhealthy from now on, and when it hears its span again. What it has
 * seen begin, it remembers.
 *
 * @param rates gets about one sample in a minute: a look that reads the mirrors too, which costs one process more.
 * @param signal ends it.
 */
export function trackSensors(emit: EmitEvent, rates: Rates, signal: AbortSignal) {
  const record = openSensorRecorder(emit)
  const addToolLosses = followToolLosses(emit, signal)
  let sensors: readonly SensorHealth[] = []
  let latest: Run | null = null
  let wake = new AbortController()

  const remember = (sensor: Pick<SensorHealth, 'span' | 'sensor' | 'cause'>) =>
    sensors.find((one) => keyOf(one) === keyOf(sensor))?.since ?? new Date().toISOString()
  /** What cannot be read now is read the next time. */
  const sampleForRates = async (paths: readonly FramePath[]): Promise<Sample | null> => {
    const sample = await takeSample(paths).catch(() => null)
    if (sample === null) rates.skip(monotonicNow())
    else {
      rates.add(paths, sample)
      void addToolLosses(paths, sample)
    }
    return sample
  }
  const look = async ({ view, changes }: Run) => {
    const isDue = rates.isDue(monotonicNow())
    if (!isDue && !hasNetwork(view)) return
    const paths = view.desired.spans.map((span): [typeof span, FramePath] => [span, framePathOf(span, view)])
    const whole = isDue ? await sampleForRates(paths.map(([, path]) => path)) : null
    if (!hasNetwork(view)) return
    // The mirrors do not matter here.
    const sample = whole ?? (await takeSample(paths.map(([, path]) => ({ ...path, mirrors: [] }))).catch(() => null))
    if (sample === null || signal.aborted) return
    const judged = paths
      .flatMap(([span, path]) => judgeSensors(span, view, path, sample, Date.now(), remember))
      .map((one): SensorHealth => (isRepaired(one, changes) ? { ...one, ...starting } : one))
    const isPlanned = (span: string) => view.desired.spanOf(span) !== undefined
    // A span that is paused or waits is not in the view, and its sensors are as they were.
    sensors = [...judged, ...sensors.filter(({ span }) => !isPlanned(span))]
    // A sensor that the plan waits for has its events with the waits.
    const isAwaited = (sensor: SensorHealth) =>
      view.plan.waiting.some(({ diagnostic }) => diagnostic === sensor.diagnostic)
    record(judged, { isPlanned, isAwaited, now: Date.now() })
  }
  const follow = async () => {
    for (let run = latest; run !== null && !signal.aborted; run = latest) {
      wake = new AbortController()
      await look(run)
      const count = run.view.desired.spans.reduce((sum, span) => sum + span.sensors.length, 0)
      const period = Math.max(shortestPeriod, count * periodOfSensor)
      await sleep(period, undefined, { signal: AbortSignal.any([signal, wake.signal]) }).catch(() => undefined)
      if (!signal.aborted) await sleep(Math.max(settling, period / 10), undefined, { signal }).catch(() => undefined)
    }
  }
  return {
    /** From now on, the sensors of this run's plan are followed, and those of paused spans are as they were. */
    follow: (run: Run): void => {
      const isFirst = latest === null
      latest = run
      wake.abort()
      if (isFirst) void follow()
    },
    /** The sensors, as they were seen last. */
    list: (): readonly SensorHealth[] => sensors
  }
}

/** Without a network, no span has a sensor. */
function hasNetwork({ desired }: PlanView): boolean {
  return desired.spans.some(({ network }) => network !== null)
}

/**
 * Causes that a restart brings for a moment. `docker stop` waits 10 s for a container's processes, and meanwhile its interface and
 * sockets go. Such a cause is an event only once it has lasted for so many milliseconds.
 */
const maybePassing: ReadonlySet<SensorCause | null> = new Set([
  'stopped',
  'no_listener',
  'interface_down',
  'interface_gone',
  'port_down',
  'port_elsewhere',
  'several_ports'
])
const passingGrace = 10_000

/** What is known of sensors beside how they are. */
interface JudgedHow {
  /** A span that is paused or waits is not planned, and its sensors are as they were. */
  readonly isPlanned: (span: string) => boolean
  /** The plan waits for the sensor. */
  readonly isAwaited: (sensor: SensorHealth) => boolean
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Makes what emits an event when a sensor is unhealthy from now on, and when it hears its span again. */
export function openSensorRecorder(emit: EmitEvent) {
  const unhealthy = trackTransitions<SensorHealth>(keyOf)
  return (judged: readonly SensorHealth[], { isPlanned, isAwaited, now }: JudgedHow): void => {
    const isTold = ({ cause, since }: SensorHealth) =>
      !maybePassing.has(cause) || since === null || now - Date.parse(since) >= passingGrace
    const current = new Map(judged.map((sensor) => [nameOf(sensor), sensor]))
    // Until it is known how a sensor is, what was wrong is not over.
    const isOpen = (sensor: SensorHealth) => {
      const one = current.get(nameOf(sensor))
      const isUnclear =
        one?.state === 'starting' || one?.state === 'unknown' || (one?.state === 'unhealthy' && !isTold(one))
      return !isPlanned(sensor.span) || isUnclear
    }
    const { started, ended } = unhealthy.update(
      judged.filter((sensor) => sensor.listed && sensor.state === 'unhealthy' && isTold(sensor) && !isAwaited(sensor)),
      isOpen
    )
    for (const sensor of started) emit({ type: 'sensor_unhealthy', sensor })
    for (const sensor of ended) {
      if (current.get(nameOf(sensor))?.state === 'healthy') emit({ type: 'sensor_healthy', sensor })
    }
  }
}

/** The causes that the plan's look at the host tells, and no counter: they are as they were before the run. */
const seenBefore: ReadonlySet<SensorCause | null> = new Set([
  'disconnected',
  'interface_gone',
  'port_down',
  'port_elsewhere',
  'several_ports'
])

/** Whether what is wrong with a sensor was so before the run, which has changed it. */
export function isRepaired({ span, sensor, cause }: SensorHealth, changes: readonly PlannedChange[]): boolean {
  return seenBefore.has(cause) && changes.some((change) => change.span === span && change.serves === sensor)
}

/** How a sensor is until the next look. */
const starting = { state: 'starting', cause: null, since: null, diagnostic: null } as const

function nameOf({ span, sensor }: Pick<SensorHealth, 'span' | 'sensor'>): string {
  return JSON.stringify([span, sensor])
}

function keyOf({ span, sensor, cause }: Pick<SensorHealth, 'span' | 'sensor' | 'cause'>): string {
  return JSON.stringify([span, sensor, cause])
}
