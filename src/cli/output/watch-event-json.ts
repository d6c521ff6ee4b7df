import { renderChange } from '../../plan/output/text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { Wait } from '../../resources/kind.ts'
import type { Pause } from '../../run-dir/pauses.ts'
import type { Degraded, FailedMonitor } from '../../status/watch-state.ts'
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
    case 'file_refused':
      return { diagnostics: event.diagnostics }
    case 'changed': {
      const { trigger, repaired, milliseconds, change } = event
      return { trigger, repaired, milliseconds, change: changeDocument(change) }
    }
    case 'drift':
      return { trigger: event.trigger, change: changeDocument(event.change) }
    case 'wait':
    case 'wait_over':
      return { trigger: event.trigger, wait: waitDocument(event.wait) }
    case 'warning':
      return { diagnostic: event.diagnostic }
    case 'degraded':
    case 'recovered':
      return { trigger: event.trigger, degraded: degradedDocument(event.degraded) }
    case 'docker_away':
    case 'docker_back':
      return { trigger: event.trigger, diagnostic: event.diagnostic }
    case 'monitor_failed':
    case 'monitor_back':
      return { monitor: monitorDocument(event.monitor) }
    case 'paused':
    case 'resumed':
      return { pause: pauseDocument(event.pause) }
    case 'idle':
    case 'idle_over':
      return { span: event.span, device: event.device, diagnostic: event.diagnostic }
  }
}

function changeDocument(change: PlannedChange) {
  const { address, kind, span, action, title, reason } = change
  return { address, kind, span, action, title, reason, text: renderChange(change) }
}

/** The same as among the `waiting` of `plan --json`. */
function waitDocument({ kind, span, title, diagnostic }: Wait) {
  return { kind, span, title, ...diagnostic }
}

function degradedDocument({ span, reason, diagnostic, until }: Degraded) {
  return { span, reason, diagnostic, until }
}

function monitorDocument({ trigger, diagnostic }: FailedMonitor) {
  return { trigger, diagnostic }
}

function pauseDocument({ span, until }: Pause) {
  return { span, until }
}
