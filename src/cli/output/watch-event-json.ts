import { renderChange } from '../../plan/output/text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { Wait } from '../../resources/kind.ts'
import type { Pause } from '../../run-dir/pauses.ts'
import type { Degraded, FailedMonitor } from '../../status/watch-state.ts'
import type { WatchEvent } from '../../watch/events/event.ts'

/** An event of a watch as a program reads it. Programs depend on its type and fields. */
export interface EventDocument {
  readonly type: string
  readonly [field: string]: unknown
}

/**
 * Makes the JSON of an event. Each type is written out, so that renaming anything inside spanplan changes no JSON. The
 * compiler checks that no type is missing.
 */
export function eventDocument(event: WatchEvent): EventDocument {
  switch (event.type) {
    case 'started':
      return { type: 'started', spanplan_version: SPANPLAN_VERSION, name: event.name, dry_run: event.dryRun }
    case 'stopped':
      return { type: 'stopped' }
    case 'file':
      return { type: 'file', files: event.files, spans: event.spans }
    case 'file_refused':
      return { type: 'file_refused', diagnostics: event.diagnostics }
    case 'changed': {
      const { trigger, repaired, milliseconds, change } = event
      return { type: 'changed', trigger, repaired, milliseconds, change: changeDocument(change) }
    }
    case 'drift':
      return { type: 'drift', trigger: event.trigger, change: changeDocument(event.change) }
    case 'wait':
      return { type: 'wait', trigger: event.trigger, wait: waitDocument(event.wait) }
    case 'wait_over':
      return { type: 'wait_over', trigger: event.trigger, wait: waitDocument(event.wait) }
    case 'warning':
      return { type: 'warning', diagnostic: event.diagnostic }
    case 'degraded':
      return { type: 'degraded', trigger: event.trigger, degraded: degradedDocument(event.degraded) }
    case 'recovered':
      return { type: 'recovered', trigger: event.trigger, degraded: degradedDocument(event.degraded) }
    case 'docker_away':
      return { type: 'docker_away', trigger: event.trigger, diagnostic: event.diagnostic }
    case 'docker_back':
      return { type: 'docker_back', trigger: event.trigger, diagnostic: event.diagnostic }
    case 'monitor_failed':
      return { type: 'monitor_failed', monitor: monitorDocument(event.monitor) }
    case 'monitor_back':
      return { type: 'monitor_back', monitor: monitorDocument(event.monitor) }
    case 'paused':
      return { type: 'paused', pause: pauseDocument(event.pause) }
    case 'resumed':
      return { type: 'resumed', pause: pauseDocument(event.pause) }
    case 'idle':
      return { type: 'idle', span: event.span, device: event.device, diagnostic: event.diagnostic }
    case 'idle_over':
      return { type: 'idle_over', span: event.span, device: event.device, diagnostic: event.diagnostic }
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
