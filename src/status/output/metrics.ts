import type { Sample } from '../../host/read-counters.ts'
import { writeSourceName } from '../../resources/sources/source-kind.ts'
import { findLink, findMirror } from '../counters/counter-delta.ts'
import type { Hop } from '../counters/flow-report.ts'
import type { FramePath } from '../counters/frame-path.ts'
import { readIdleness } from '../counters/idleness.ts'
import { causesAt, type LossTotals } from '../counters/loss-totals.ts'
import type { Report } from '../report.ts'
import type { Degraded, WatchState } from '../watch-state.ts'
import type { Family, Labels, Point } from './exposition.ts'

/** What a scrape measured. */
export interface Measurement {
  readonly report: Report
  readonly paths: readonly FramePath[]
  readonly sample: Sample
  readonly losses: LossTotals
}

/**
 * All metrics of a watch.
 *
 * @param measurement null: the host has not been read yet, or its counters cannot be read.
 */
export function makeMetrics(version: string, state: WatchState, measurement: Measurement | null): Family[] {
  return [
    gauge('spanplan_build_info', 'The version of spanplan that watches.', [{ labels: { version }, value: 1 }]),
    ...runFamilies(state),
    gauge('spanplan_counters_readable', 'Whether the counters of the spans could be read.', [
      truth(measurement !== null)
    ]),
    ...(measurement === null
      ? []
      : [...healthFamilies(measurement.report, state.degraded), ...pathFamilies(measurement)])
  ]
}

function gauge(name: string, help: string, points: readonly Point[]): Family {
  return { name, help, type: 'gauge', points }
}

function counter(name: string, help: string, points: readonly Point[]): Family {
  return { name, help, type: 'counter', points }
}

function truth(holds: boolean, labels: Labels = {}): Point {
  return { labels, value: Number(holds) }
}

/** Metrics of the watch itself. */
function runFamilies({ since, file, last, lastSuccess, runs, drift, durations }: WatchState): Family[] {
  const counts = runs.map(({ trigger, result, count }) => ({ labels: { trigger, result }, value: count }))
  const [isValid, changes] = [truth(file.valid), { value: drift }]
  const success = 'When the last run ended after which all was as the file says.'
  return [
    gauge('spanplan_watch_start_timestamp_seconds', 'When the watch began.', pointsAt(since)),
    gauge('spanplan_file_valid', 'Whether the file is valid; if not, the last good one is in force.', [isValid]),
    counter('spanplan_reconciles_total', 'Runs of the watch, by what triggered them and what came of them.', counts),
    {
      ...{ name: 'spanplan_reconcile_duration_seconds', type: 'histogram', help: 'How long runs took.' },
      histogram: durations
    },
    gauge('spanplan_last_reconcile_timestamp_seconds', 'When the last run ended.', pointsAt(last?.at ?? null)),
    gauge('spanplan_last_success_timestamp_seconds', success, pointsAt(lastSuccess)),
    counter('spanplan_drift_changes_total', 'Changes that runs after the first one found to be needed.', [changes])
  ]
}

/** @param time ISO 8601. */
function pointsAt(time: string | null): Point[] {
  return time === null ? [] : [{ value: Date.parse(time) / 1000 }]
}

function healthFamilies({ spans, unhealthy }: Report, degraded: readonly Degraded[]): Family[] {
  // A partial plan does not have the spans that stop it: of these, only the reason is known.
  const others = [...new Set(degraded.flatMap(({ span }) => span ?? []))]
    .filter((name) => !spans.some((span) => span.name === name))
    .map((name) => ({ name, unhealthy: degraded.flatMap((one) => (one.span === name ? [one.diagnostic] : [])) }))
  const judged = [...spans, ...others]
  const healthy = judged.map((span) => truth(span.unhealthy.length === 0, { span: span.name }))
  const problems = judged.flatMap((span) => countCodes(span.unhealthy, { span: span.name }))
  const waiting = spans.map((span) => ({ labels: { span: span.name }, value: span.waiting.length }))
  const paused = spans.map(({ name, pausedUntil }) => truth(pausedUntil !== null, { span: name }))
  const reasons = [null, ...judged.map(({ name }) => name)].flatMap((span) => degradedPoints(degraded, span))
  return [
    gauge('spanplan_healthy', 'Whether nothing is wrong with the span.', healthy),
    gauge('spanplan_host_healthy', 'Whether nothing else is wrong, as with Docker.', [truth(unhealthy.length === 0)]),
    gauge('spanplan_problems', 'What is wrong, by the code of the message; without a span, with the host.', [
      ...countCodes(unhealthy, {}),
      ...problems
    ]),
    gauge('spanplan_waiting', 'What cannot be made yet.', waiting),
    gauge('spanplan_paused', 'Whether the span is paused.', paused),
    gauge(
      'spanplan_degraded',
      'Whether the watch cannot keep the span in sync, and why; without a span, all of them.',
      reasons
    )
  ]
}

function countCodes(diagnostics: Report['unhealthy'], labels: Labels): Point[] {
  const codes = new Set(diagnostics.map(({ code }) => code))
  return [...codes].map((code) => ({
    labels: { ...labels, code },
    value: diagnostics.filter((diagnostic) => diagnostic.code === code).length
  }))
}

function degradedPoints(degraded: readonly Degraded[], span: string | null): Point[] {
  return (['failed', 'contested'] as const).map((reason) =>
    truth(
      degraded.some((one) => one.span === span && one.reason === reason),
      { ...(span !== null && { span }), reason }
    )
  )
}

/** Frames and bytes that the kernel counts at one place. */
interface Traffic {
  readonly labels: Labels
  readonly packets: number
  readonly bytes: number
}

/** Metrics along the frame paths: the kernel's counters as they are. */
function pathFamilies({ paths, sample, losses }: Measurement): Family[] {
  const traffic = (labels: Labels, counts: Omit<Traffic, 'labels'> | undefined): Traffic[] =>
    counts === undefined ? [] : [{ labels, packets: counts.packets, bytes: counts.bytes }]
  const indexes = new Map(
    paths.flatMap(({ mirrors }) => mirrors.map(({ source, index }) => [writeSourceName(source), index] as const))
  )
  const sources = [...indexes].flatMap(([name, index]) => {
    const link = findLink(index, sample)
    return link ? [{ labels: { interface: name }, link }] : []
  })
  const carriers = sources.map(({ labels, link }) => truth(link.running, labels))
  const interfaces = sources.flatMap(({ labels, link }) => traffic(labels, link.rx))
  const mirrors = paths.flatMap(({ span, mirrors }) =>
    mirrors.flatMap((mirror) => {
      const labels = { span, interface: writeSourceName(mirror.source), direction: mirror.direction }
      return traffic(labels, findMirror(mirror, sample))
    })
  )
  const bridges = paths.flatMap(({ span, bridge }) => traffic({ span }, findLink(bridge, sample)?.tx))
  const ports = paths.flatMap(({ span, ports }) =>
    ports.flatMap(({ device, index, sensor }) =>
      traffic({ span, interface: device, ...sensorLabel(sensor?.container) }, findLink(index, sample)?.tx)
    )
  )
  const idle = "Seconds since the last frame that the span's mirrors took from the interface, or since they are there."
  const port = 'Copies that went to a sensor; the interface is the end on the host.'
  return [
    gauge('spanplan_source_carrier', 'Whether the interface is up and has a carrier.', carriers),
    gauge('spanplan_source_idle_seconds', idle, idlePoints(paths, sample)),
    ...trafficFamilies(
      'interface',
      interfaces,
      'Frames that the interface has received.',
      'Bytes that the interface has received.'
    ),
    ...trafficFamilies('mirror', mirrors, 'Frames that the mirror has taken.', 'Bytes that the mirror has taken.'),
    ...trafficFamilies(
      'bridge',
      bridges,
      "Copies that the span's bridge was handed.",
      "Bytes that the span's bridge was handed."
    ),
    ...trafficFamilies('port', ports, port, 'Bytes that went to a sensor.'),
    ...lossFamilies(losses)
  ]
}

function trafficFamilies(place: string, traffic: readonly Traffic[], frames: string, bytes: string): Family[] {
  const framePoints = traffic.map(({ labels, packets }) => ({ labels, value: packets }))
  const bytePoints = traffic.map(({ labels, bytes }) => ({ labels, value: bytes }))
  return [
    counter(`spanplan_${place}_frames_total`, frames, framePoints),
    counter(`spanplan_${place}_bytes_total`, bytes, bytePoints)
  ]
}

/** A source that is mirrored both ways is as idle as the mirror that saw the last frame. */
function idlePoints(paths: readonly FramePath[], sample: Sample): Point[] {
  return paths.flatMap(({ span, mirrors }) =>
    [...new Set(mirrors.map(({ source }) => writeSourceName(source)))].flatMap((name) => {
      const idleness = readIdleness(
        mirrors.filter(({ source }) => writeSourceName(source) === name),
        sample
      )
      return idleness === null ? [] : [{ labels: { span, interface: name }, value: idleness.idle / 1000 }]
    })
  )
}

/** Each cause has a value, also where it is 0: else an alert would miss the first loss. */
function lossFamilies(losses: LossTotals): Family[] {
  const places = [...losses].flatMap(([span, { hops }]) => hops.map((hop) => ({ span, hop, labels: hopLabels(hop) })))
  const lost = places.flatMap(({ span, hop, labels }) =>
    causesAt[hop.kind].map((reason) => ({
      labels: { span, hop: hop.kind, ...labels, reason },
      value: hop.losses.find(({ cause }) => cause === reason)?.frames ?? 0
    }))
  )
  const sockets = places.flatMap(({ span, hop, labels }) =>
    hop.kind === 'sensor' && hop.sockets !== null ? [{ labels: { span, ...labels }, value: hop.sockets.length }] : []
  )
  const help = 'Frames lost at a place on the way, and why, since the first scrape of this watch.'
  return [
    counter('spanplan_lost_frames_total', help, lost),
    gauge('spanplan_sensor_sockets', 'Packet sockets by which the sensor listens on its interface.', sockets)
  ]
}

function hopLabels(hop: Hop): Labels {
  return {
    interface: 'source' in hop ? writeSourceName(hop.source) : hop.device,
    ...(hop.kind === 'mirror' && { direction: hop.direction }),
    ...(hop.kind === 'sensor' && sensorLabel(hop.container))
  }
}

function sensorLabel(container: string | undefined): Labels {
  return container === undefined ? {} : { sensor: container }
}
