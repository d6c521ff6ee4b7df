import { changeDocument } from '../../plan/output/plan-json.ts'
import type { Part } from '../../resources/desired-state.ts'
import { diagnosticDocument } from '../../resources/kind.ts'
import { writeFrames } from '../../resources/mirrors/mirror-words.ts'
import { bucketCount } from '../../resources/programs/share-program.ts'
import { writeSourceName } from '../../resources/sources/host-source-kind.ts'
import { writeDirection } from '../../spec/values/direction.ts'
import { causes } from '../counters/causes.ts'
import { type Hop, type Loss, totalOverLimit } from '../counters/flow-report.ts'
import { lossRatio, type ToolReport } from '../counters/tool-report.ts'
import type { TrafficVerdict } from '../judge-mirror.ts'
import type { Report, SpanReport } from '../report.ts'
import type { SensorHealth } from '../sensor-health.ts'
import { toolWords } from '../tool-words.ts'
import type { WatchState } from '../watch-state.ts'

/** The version of the document. Within a major version, fields are only added. */
const formatVersion = '1.0'

/**
 * The status as a program reads it.
 *
 * @param created an ISO 8601 time.
 * @param traffic what was heard; null: nobody listened.
 */
export function statusDocument(report: Report, created: string, traffic: readonly TrafficVerdict[] | null = null) {
  return {
    format_version: formatVersion,
    spanplan_version: SPANPLAN_VERSION,
    created,
    healthy: report.healthy,
    basis: report.basis,
    file_errors: report.fileErrors.map(diagnosticDocument),
    watch: report.watch && watchDocument(report.watch),
    window: report.window,
    spans: report.spans.map(spanDocument),
    traffic: traffic?.map(trafficDocument) ?? null,
    changes: report.changes.map(changeDocument),
    unhealthy: report.unhealthy.map(diagnosticDocument),
    warnings: report.warnings.map(diagnosticDocument),
    unread: report.unread.map(diagnosticDocument)
  }
}

function trafficDocument({ span, sources, findings, isWhole }: TrafficVerdict) {
  return { span, sources, whole: isWhole, findings: findings.map(diagnosticDocument) }
}

function watchDocument(watch: WatchState) {
  const { name, pid, since, dryRun, file, last, lastSuccess, degraded, failedMonitors, drift } = watch
  return {
    name,
    pid,
    since,
    dry_run: dryRun,
    file,
    last,
    last_success: lastSuccess,
    degraded: degraded.map((one) => ({ ...one, diagnostic: diagnosticDocument(one.diagnostic) })),
    failed_monitors: failedMonitors,
    drift
  }
}

function spanDocument({
  name,
  bridge,
  description,
  changes,
  waiting,
  pausedUntil,
  flowReport,
  sensors,
  parts,
  unhealthy
}: SpanReport) {
  return {
    name,
    bridge,
    description,
    healthy: unhealthy.length === 0,
    drift: changes.length > 0,
    paused_until: pausedUntil,
    changes: changes.map(changeDocument),
    waiting: waiting.map(({ kind, title, diagnostic }) => ({ kind, title, ...diagnosticDocument(diagnostic) })),
    seconds: flowReport.seconds,
    hops: flowReport.hops.map((hop) => hopDocument(hop, flowReport.seconds)),
    sensors: sensors.map(sensorDocument),
    parts: parts.map(({ kind, name, part, absence }) => ({ kind, name, ...partDocument(part), absence })),
    unhealthy: unhealthy.map(diagnosticDocument)
  }
}

function sensorDocument({ sensor, listed, state, cause, since, diagnostic }: SensorHealth) {
  return { sensor, listed, state, cause, since, diagnostic: diagnostic && diagnosticDocument(diagnostic) }
}

function partDocument(part: Part | null) {
  const { expression = null, share = null } = part ?? {}
  return {
    filter: expression,
    share: share && { buckets: share.buckets.size, of: bucketCount, hash: share.hash, rest: share.rest }
  }
}

function hopDocument(hop: Hop, seconds: number) {
  const { kind, device, frames, bytes, reset } = hop
  const rate = (count: number | null) => (count === null || seconds <= 0 ? null : count / seconds)
  return {
    kind,
    device,
    ...detailsOf(hop),
    frames,
    bytes,
    frames_per_second: rate(frames),
    bytes_per_second: rate(bytes),
    reset,
    losses: hop.losses.map(lossDocument)
  }
}

function lossDocument({ cause, frames }: Loss) {
  const { text, counted } = causes[cause]
  return { cause, frames, counted_by: counted, message: text }
}

function detailsOf(hop: Hop) {
  if (hop.kind === 'mirror') {
    const { point, counters, overLimit, countsCopies } = hop
    const total = counters && totalOverLimit(counters)
    return {
      source: writeSourceName(point.source),
      direction: writeDirection(point.direction),
      filter: writeFrames(point),
      limit: point.limit,
      counts_copies: countsCopies,
      over_limit_frames: overLimit?.frames ?? null,
      over_limit_bytes: overLimit?.bytes ?? null,
      total_frames: counters?.packets ?? null,
      total_bytes: counters?.bytes ?? null,
      total_over_limit_frames: total?.frames ?? null,
      total_over_limit_bytes: total?.bytes ?? null,
      installed_seconds: counters?.installed ?? null,
      idle_seconds: counters?.idle ?? null
    }
  }
  if (hop.kind === 'output') return { output: hop.name, ...partDocument(hop.part) }
  if (hop.kind === 'port') return partDocument(hop.part)
  if (hop.kind !== 'sensor') return {}
  const { container, part, sockets, tool } = hop
  return {
    container,
    ...partDocument(part),
    sockets: sockets?.map(({ device, hears, drops }) => ({ interface: device, hears, drops })) ?? null,
    tool: tool && toolDocument(tool)
  }
}

function toolDocument(tool: ToolReport) {
  const says = toolWords[tool.stats.kind].name
  if ('problem' in tool)
    return { says, unread: tool.problem, at: null, age_seconds: null, old: false, total: null, recent: null }
  const { told, age, isOld, growth } = tool
  const { seconds, received, dropped, gaps } = told
  return {
    says,
    unread: null,
    at: new Date(told.at).toISOString(),
    age_seconds: age,
    old: isOld,
    total: { seconds, received, dropped, gaps },
    recent: growth && { ...growth, loss: lossRatio(growth) }
  }
}
