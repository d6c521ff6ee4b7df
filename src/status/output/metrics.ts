import { groupsOf } from '../../host/host-index.ts'
import type { Sample } from '../../host/read-counters.ts'
import { linkOf } from '../../resources/desired-state.ts'
import { bucketCount } from '../../resources/programs/share-program.ts'
import { writeSourceName } from '../../resources/sources/host-source-kind.ts'
import { writeDirection } from '../../spec/values/direction.ts'
import { findLink, findMirror } from '../counters/counter-delta.ts'
import type { Hop } from '../counters/flow-report.ts'
import type { FramePath } from '../counters/frame-path.ts'
import { readIdleness } from '../counters/idleness.ts'
import { causesAt, type LossTotals } from '../counters/loss-totals.ts'
import { lossRatio } from '../counters/tool-report.ts'
import type { Report } from '../report.ts'
import { allSensorCauses } from '../sensor-health.ts'
import { toolWords } from '../tool-words.ts'
import type { Degraded, ProbedPort, WatchState } from '../watch-state.ts'
import { type Family, histogramPoints, type Labels, type Point } from './exposition.ts'

/** What a scrape measured. */
export interface Measurement {
  readonly report: Report
  readonly paths: readonly FramePath[]
  readonly sample: Sample
  readonly losses: LossTotals
}

/** What a metric is, whatever its values are. */
export interface Metric {
  readonly type: Family['type']
  /** In the order in which they are written. */
  readonly labels: readonly string[]
  readonly help: string
}

const mirror = 'span interface direction'
const port = 'span interface sensor'
const tool = 'span sensor tool'

const metric =
  (type: Family['type']) =>
  (help: string, labels = ''): Metric => ({ type, labels: labels.split(' ').filter(Boolean), help })

const gauge = metric('gauge')
const counter = metric('counter')
const histogram = metric('histogram')

/** Every metric, in the order in which a scrape has them. */
export const metrics = {
  spanplan_build_info: gauge('Version of spanplan that runs the watch.', 'version'),
  spanplan_watch_start_timestamp_seconds: gauge('When the watch began.'),
  spanplan_file_valid: gauge('Whether the file is valid; if not, the last valid one is in force.'),
  spanplan_reconciles_total: counter('Runs of the watch, by trigger and result.', 'trigger result'),
  spanplan_reconcile_duration_seconds: histogram('How long runs took.'),
  spanplan_last_reconcile_timestamp_seconds: gauge('When the last run ended.'),
  spanplan_last_success_timestamp_seconds: gauge('When the last run ended that left everything in sync.'),
  spanplan_drift_changes_total: counter('Changes that runs after the first found necessary: the drift.'),
  spanplan_probe_working: gauge('Whether the last probe could be sent (--probe-interval).'),
  spanplan_probe_received: gauge(
    "Whether the port got every frame of the last round; the interface is the host's end, or the output. A span that was left out has none.",
    port
  ),
  spanplan_probe_delay_seconds: gauge("From the span's bridge to the port, the longest of the last probe.", port),
  spanplan_probe_last_timestamp_seconds: gauge('When the span was last probed.', 'span'),
  spanplan_counters_readable: gauge('Whether the counters of the spans could be read.'),
  spanplan_healthy: gauge('Whether the span is healthy.', 'span'),
  spanplan_host_healthy: gauge('Whether the host is healthy: what belongs to no single span, such as Docker.'),
  spanplan_problems: gauge('Problems by message code, of the span; without the label span, of the host.', 'span code'),
  spanplan_waiting: gauge('Resources that wait, such as for a container.', 'span'),
  spanplan_paused: gauge('Whether the span is paused.', 'span'),
  spanplan_degraded: gauge(
    'Whether the watch cannot keep the span in sync, by reason; without the label span, all spans.',
    'span reason'
  ),
  spanplan_sensor_unhealthy: gauge(
    `Whether a sensor of the file hears nothing of its span. The reason is one of ${allSensorCauses.join(', ')}; or none, or, where it is not unhealthy for all that is known, starting or unknown.`,
    'span sensor reason'
  ),
  spanplan_sensor_unhealthy_since_timestamp_seconds: gauge(
    'Since when the sensor is unhealthy, from Docker or from what the watch has seen.',
    'span sensor'
  ),
  spanplan_share_ratio: gauge(
    'The part of all flows that a member of a balance gets, from 0 to 1; the sensor is a container, the interface an output. 0: it can take none now.',
    'span sensor interface'
  ),
  spanplan_source_carrier: gauge(
    'Whether the interface, and the one that the packets of a tunnel come on, is up and has a carrier.',
    'interface'
  ),
  spanplan_source_idle_seconds: gauge(
    "Seconds since the span's mirrors last copied a frame from the interface, container, Docker network or tunnel, or since they were created.",
    'span interface'
  ),
  spanplan_interface_frames_total: counter('Frames that the interface has received.', 'interface'),
  spanplan_interface_bytes_total: counter('Bytes that the interface has received.', 'interface'),
  spanplan_mirror_frames_total: counter(
    'Frames that the mirror has copied. Where all who get frames have mirrors of their own, a frame counts for each that takes it.',
    mirror
  ),
  spanplan_mirror_bytes_total: counter('Bytes that the mirror has copied, likewise.', mirror),
  spanplan_mirror_over_limit_frames_total: counter(
    'Frames that the mirror did not copy since they were over its limit, since the first scrape of this watch. They are not lost.',
    mirror
  ),
  spanplan_mirror_over_limit_bytes_total: counter(
    'Bytes that the mirror did not copy since they were over its limit, since the first scrape of this watch.',
    mirror
  ),
  spanplan_bridge_frames_total: counter("Frames copied to the span's bridge.", 'span'),
  spanplan_bridge_bytes_total: counter("Bytes copied to the span's bridge.", 'span'),
  spanplan_port_frames_total: counter("Frames sent to a sensor; the interface is the host's end.", port),
  spanplan_port_bytes_total: counter('Bytes sent to a sensor.', port),
  spanplan_output_carrier: gauge('Whether the output is up and has a carrier.', 'span interface'),
  spanplan_output_frames_total: counter('Frames that the output has sent.', 'span interface'),
  spanplan_output_bytes_total: counter('Bytes that the output has sent.', 'span interface'),
  spanplan_lost_frames_total: counter(
    'Frames lost, by hop and reason, since the first scrape of this watch.',
    'span hop interface direction sensor reason'
  ),
  spanplan_sensor_sockets: gauge('Packet sockets with which the sensor listens on its interface.', port),
  spanplan_sensor_tool_readable: gauge(
    'Whether what the tool in the sensor says of itself could be read, and is not old. The tool is one of suricata, zeek and prometheus.',
    tool
  ),
  spanplan_sensor_tool_packets_total: counter(
    'Packets that came to the tool in the sensor since its start, as it says itself.',
    tool
  ),
  spanplan_sensor_tool_dropped_total: counter('Packets that it has dropped of these, as it says itself.', tool),
  spanplan_sensor_tool_loss_ratio: gauge(
    'The part that the tool has dropped of what came to it lately, from 0 to 1, as it says itself; of Zeek, the part of the ACKs for data that never came to it.',
    tool
  )
} as const satisfies Readonly<Record<string, Metric>>

function family(name: keyof typeof metrics, points: readonly Point[]): Family {
  const { type, help } = metrics[name]
  return { name, type, help, points }
}

/**
 * All metrics of a watch.
 *
 * @param measurement null: the host has not been read yet, or its counters cannot be read.
 */
export function makeMetrics(version: string, state: WatchState, measurement: Measurement | null): Family[] {
  return [
    family('spanplan_build_info', [{ labels: { version }, value: 1 }]),
    ...runFamilies(state),
    ...probeFamilies(state),
    family('spanplan_counters_readable', [truth(measurement !== null)]),
    ...(measurement === null
      ? []
      : [
          ...healthFamilies(measurement.report, state.degraded),
          ...pathFamilies(measurement),
          ...toolFamilies(measurement.report)
        ])
  ]
}

function truth(holds: boolean, labels: Labels = {}): Point {
  return { labels, value: Number(holds) }
}

/** Metrics of the watch itself. */
function runFamilies({ since, file, last, lastSuccess, runs, drift, durations }: WatchState): Family[] {
  const counts = runs.map(({ trigger, result, count }) => ({ labels: { trigger, result }, value: count }))
  return [
    family('spanplan_watch_start_timestamp_seconds', pointsAt(since)),
    family('spanplan_file_valid', [truth(file.valid)]),
    family('spanplan_reconciles_total', counts),
    family('spanplan_reconcile_duration_seconds', histogramPoints(durations)),
    family('spanplan_last_reconcile_timestamp_seconds', pointsAt(last?.at ?? null)),
    family('spanplan_last_success_timestamp_seconds', pointsAt(lastSuccess)),
    family('spanplan_drift_changes_total', [{ value: drift }])
  ]
}

/** None where the watch does not probe. */
function probeFamilies({ probes }: WatchState): Family[] {
  if (probes === undefined) return []
  const { failure, ports, probed } = probes
  const labelsOf = ({ span, kind, name, device }: ProbedPort): Labels => ({
    ...{ span, interface: device },
    ...sensorLabel(kind === 'sensor' ? name : undefined)
  })
  return [
    family('spanplan_probe_working', [truth(failure === null)]),
    family(
      'spanplan_probe_received',
      ports.map((one) => truth(one.problem === null, labelsOf(one)))
    ),
    family(
      'spanplan_probe_delay_seconds',
      ports.flatMap((one) =>
        one.microseconds === null ? [] : { labels: labelsOf(one), value: one.microseconds / 1_000_000 }
      )
    ),
    family(
      'spanplan_probe_last_timestamp_seconds',
      probed.flatMap(({ span, at }) => pointsAt(at).map((point) => ({ ...point, labels: { span } })))
    )
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
    family('spanplan_healthy', healthy),
    family('spanplan_host_healthy', [truth(unhealthy.length === 0)]),
    family('spanplan_problems', [...countCodes(unhealthy, {}), ...problems]),
    family('spanplan_waiting', waiting),
    family('spanplan_paused', paused),
    family('spanplan_degraded', reasons),
    ...sensorFamilies(spans)
  ]
}

/** One value for each sensor of the file. */
function sensorFamilies(spans: Report['spans']): Family[] {
  const sensors = spans.flatMap((span) => span.sensors).filter(({ listed }) => listed)
  return [
    family(
      'spanplan_sensor_unhealthy',
      sensors.map(({ span, sensor, state, cause }) =>
        truth(state === 'unhealthy', { span, sensor, reason: cause ?? (state === 'healthy' ? 'none' : state) })
      )
    ),
    family(
      'spanplan_sensor_unhealthy_since_timestamp_seconds',
      sensors.flatMap(({ span, sensor, since }) =>
        pointsAt(since).map((point) => ({ ...point, labels: { span, sensor } }))
      )
    ),
    family(
      'spanplan_share_ratio',
      spans.flatMap(({ name: span, parts }) =>
        parts.flatMap(({ kind, name, part: { share } }) => {
          const labels = { span, ...(kind === 'sensor' ? { sensor: name } : { interface: name }) }
          return share === null ? [] : [{ labels, value: share.buckets.size / bucketCount }]
        })
      )
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
    paths.flatMap(({ mirrors }) =>
      mirrors.map(
        ({ point: { source, device }, underlay }) =>
          [writeSourceName(source), { index: linkOf(device)?.index ?? null, underlay }] as const
      )
    )
  )
  const sources = [...indexes].flatMap(([name, { index, underlay }]) => {
    const link = findLink(index, sample)
    return link ? [{ labels: { interface: name }, link, below: findLink(underlay?.index ?? null, sample) }] : []
  })
  const carriers = sources.map(({ labels, link, below }) => truth(link.running && below?.running !== false, labels))
  const interfaces = sources.flatMap(({ labels, link }) => traffic(labels, link.rx))
  const mirrors = paths.flatMap(({ span, mirrors }) =>
    mirrors.flatMap((mirror) => {
      const { source, direction } = mirror.point
      const labels = { span, interface: writeSourceName(source), direction: writeDirection(direction) }
      return traffic(labels, findMirror(mirror, sample))
    })
  )
  const bridges = paths.flatMap(({ span, bridge }) => traffic({ span }, findLink(bridge, sample)?.tx))
  const ports = paths.flatMap(({ span, ports }) =>
    ports.flatMap(({ device, index, sensor }) =>
      traffic({ span, interface: device, ...sensorLabel(sensor?.container) }, findLink(index, sample)?.tx)
    )
  )
  const outputs = paths.flatMap(({ span, outputs }) =>
    outputs.flatMap(({ device, index }) => {
      const link = findLink(index, sample)
      return link === undefined ? [] : [{ labels: { span, interface: device }, link }]
    })
  )
  return [
    family('spanplan_source_carrier', carriers),
    family('spanplan_source_idle_seconds', idlePoints(paths, sample)),
    ...trafficFamilies('interface', interfaces),
    ...trafficFamilies('mirror', mirrors),
    ...overLimitFamilies(losses),
    ...trafficFamilies('bridge', bridges),
    ...trafficFamilies('port', ports),
    family(
      'spanplan_output_carrier',
      outputs.map(({ labels, link }) => truth(link.running, labels))
    ),
    ...trafficFamilies(
      'output',
      outputs.flatMap(({ labels, link }) => traffic(labels, link.tx))
    ),
    ...lossFamilies(losses)
  ]
}

function trafficFamilies(
  place: 'interface' | 'mirror' | 'bridge' | 'port' | 'output',
  traffic: readonly Traffic[]
): Family[] {
  const framePoints = traffic.map(({ labels, packets }) => ({ labels, value: packets }))
  const bytePoints = traffic.map(({ labels, bytes }) => ({ labels, value: bytes }))
  return [family(`spanplan_${place}_frames_total`, framePoints), family(`spanplan_${place}_bytes_total`, bytePoints)]
}

/** Of the mirrors that have a limit. */
function overLimitFamilies(losses: LossTotals): Family[] {
  const over = [...losses].flatMap(([span, { hops }]) =>
    hops.flatMap((hop) =>
      hop.kind === 'mirror' && hop.overLimit ? [{ labels: { span, ...hopLabels(hop) }, ...hop.overLimit }] : []
    )
  )
  const frames = over.map(({ labels, frames: value }) => ({ labels, value }))
  const bytes = over.map(({ labels, bytes: value }) => ({ labels, value }))
  return [
    family('spanplan_mirror_over_limit_frames_total', frames),
    family('spanplan_mirror_over_limit_bytes_total', bytes)
  ]
}

/** A source is as idle as the one of its mirrors that saw the last frame: a port of a network may be silent for long. */
function idlePoints(paths: readonly FramePath[], sample: Sample): Point[] {
  return paths.flatMap(({ span, mirrors }) =>
    [...groupsOf(mirrors, ({ point }) => point.source[0])].flatMap(([name, own]) => {
      const idleness = readIdleness(own, sample)
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
    hop.kind === 'sensor' && hop.sockets !== null
      ? [{ labels: { span, ...labels }, value: hop.sockets.filter(({ hears }) => hears !== 'none').length }]
      : []
  )
  return [family('spanplan_lost_frames_total', lost), family('spanplan_sensor_sockets', sockets)]
}

/** What the tools in sensors say of themselves. What is old is left out, as what is not known. */
function toolFamilies({ spans }: Report): Family[] {
  const tools = spans.flatMap(({ name: span, flowReport: { hops } }) =>
    hops.flatMap((hop) => {
      if (hop.kind !== 'sensor' || hop.tool === null) return []
      const { stats } = hop.tool
      const found = 'problem' in hop.tool || hop.tool.isOld ? null : hop.tool
      return [{ kind: stats.kind, labels: { span, sensor: hop.container, tool: toolWords[stats.kind].name }, found }]
    })
  )
  const totals = tools.flatMap(({ kind, labels, found }) =>
    found === null || kind === 'zeek' ? [] : [{ labels, ...found.told }]
  )
  return [
    family(
      'spanplan_sensor_tool_readable',
      tools.map(({ labels, found }) => truth(found !== null, labels))
    ),
    family(
      'spanplan_sensor_tool_packets_total',
      totals.map(({ labels, received: value }) => ({ labels, value }))
    ),
    family(
      'spanplan_sensor_tool_dropped_total',
      totals.map(({ labels, dropped: value }) => ({ labels, value }))
    ),
    family(
      'spanplan_sensor_tool_loss_ratio',
      tools.flatMap(({ labels, found }) => (found?.growth ? [{ labels, value: lossRatio(found.growth) }] : []))
    )
  ]
}

function hopLabels(hop: Hop): Labels {
  return {
    interface: 'point' in hop ? writeSourceName(hop.point.source) : hop.device,
    ...(hop.kind === 'mirror' && { direction: writeDirection(hop.point.direction) }),
    ...(hop.kind === 'sensor' && sensorLabel(hop.container))
  }
}

function sensorLabel(container: string | undefined): Labels {
  return container === undefined ? {} : { sensor: container }
}
