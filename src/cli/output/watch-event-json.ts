import { changeDocument, waitDocument } from '../../plan/output/plan-json.ts'
import { renderChange } from '../../plan/output/plan-text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import { diagnosticDocument } from '../../resources/kind.ts'
import type { WatchEvent } from '../../watch/events/event.ts'

/**
 * Makes the JSON of an event, but for its type. Programs depend on it: each field is written out, so that renaming a field
 * inside spanplan changes no JSON. The compiler checks that no type is missing.
 */
export function eventFields(event: WatchEvent): object {
  switch (event.type) {
    case 'started':
      return { spanplan_version: SPANPLAN_VERSION, name: event.name, dry_run: event.dryRun }
    case 'stopped':
      return {}
    case 'file':
      return { files: event.files, spans: event.spans }
    case 'span_renamed':
      return { span: event.span, before: event.before }
    case 'file_refused':
      return { diagnostics: event.diagnostics.map(diagnosticDocument) }
    case 'changed': {
      const { trigger, repaired, milliseconds, change } = event
      return { trigger, repaired, milliseconds, change: shownChange(change) }
    }
    case 'drift':
      return { trigger: event.trigger, change: shownChange(event.change) }
    case 'wait':
    case 'wait_over':
      return { trigger: event.trigger, wait: waitDocument(event.wait) }
    case 'source_gone':
      return { trigger: event.trigger, span: event.span, source: event.source }
    case 'source_renamed':
      return { trigger: event.trigger, span: event.span, source: event.source, before: event.before }
    case 'warning':
    case 'warning_over':
      return { diagnostic: diagnosticDocument(event.diagnostic) }
    case 'degraded':
    case 'recovered': {
      const { span, reason, diagnostic, until } = event.degraded
      return { trigger: event.trigger, degraded: { span, reason, diagnostic: diagnosticDocument(diagnostic), until } }
    }
    case 'docker_away':
    case 'docker_back':
      return { trigger: event.trigger, diagnostic: diagnosticDocument(event.diagnostic) }
    case 'monitor_failed':
    case 'monitor_back': {
      const { trigger, diagnostic } = event.monitor
      return { monitor: { trigger, diagnostic } }
    }
    case 'paused':
    case 'resumed':
      return { pause: { span: event.pause.span, until: event.pause.until } }
    case 'idle':
    case 'idle_over': {
      const { span, points } = event.source
      return { span, device: points[0].source[0], diagnostic: diagnosticDocument(event.diagnostic) }
    }
    case 'carrier_lost':
    case 'carrier_back':
      return { span: event.span, device: event.device, diagnostic: diagnosticDocument(event.diagnostic) }
    case 'probe_missed':
    case 'probe_received': {
      const { span, kind, name, device } = event.port
      return { span, kind, name, interface: device, diagnostic: diagnosticDocument(event.diagnostic) }
    }
    case 'probe_failed':
    case 'probe_works':
      return { diagnostic: diagnosticDocument(event.diagnostic) }
    case 'sensor_unhealthy':
    case 'sensor_healthy': {
      const { span, sensor, state, cause, since, diagnostic } = event.sensor
      return {
        sensor: { span, sensor, state, cause, since, diagnostic: diagnostic && diagnosticDocument(diagnostic) }
      }
    }
  }
}

function shownChange(change: PlannedChange) {
  return { ...changeDocument(change), text: renderChange(change) }
}
