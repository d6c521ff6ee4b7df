import { diagnosticDocument } from '../../resources/kind.ts'
import type { ReceiverResult, SpanProbe, WayResult } from '../probe-result.ts'

/** The version of the document. Within a major version, fields are only added. */
const formatVersion = '1.0'

/** What came of a probe, as a program reads it. `created` is an ISO 8601 time. */
export function probeDocument(spans: readonly SpanProbe[], created: string) {
  return {
    format_version: formatVersion,
    spanplan_version: SPANPLAN_VERSION,
    created,
    passed: hasPassed(spans),
    spans: spans.map(spanDocument)
  }
}

/** Whether every port that must get frames got them. A span that is not on the host fails. */
export function hasPassed(spans: readonly SpanProbe[]): boolean {
  return spans.every(({ passed }) => passed === true)
}

function spanDocument(probe: SpanProbe) {
  const { span, description, passed, problem, pausedUntil, changes, receivers, unasked, downstream } = probe
  return {
    name: span,
    description,
    passed,
    problem: problem && diagnosticDocument(problem),
    paused_until: pausedUntil,
    changes,
    receivers: receivers.map(receiverDocument),
    unasked: unasked.map(({ source, reason }) => ({ source, reason })),
    also_in: downstream
  }
}

function receiverDocument({ kind, name, interface: device, state, ways, reason, health }: ReceiverResult) {
  return {
    kind,
    name,
    interface: device,
    state,
    reason,
    health: health && diagnosticDocument(health),
    ways: ways.map(wayDocument)
  }
}

function wayDocument({ way, frames, problem }: WayResult) {
  return {
    sent: way.kind,
    interface: way.device,
    source: way.kind === 'mirror' ? way.source : null,
    frames: frames.map(({ size, state, microseconds, copies }) => ({ size, state, microseconds, copies })),
    problem: problem && diagnosticDocument(problem)
  }
}
