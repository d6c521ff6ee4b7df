import type { Diagnostic } from '../../errors.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { Wait } from '../../resources/kind.ts'
import type { Pause } from '../../run-dir/pauses.ts'
import type { SourceFile } from '../../spec/spec.ts'
import type { SourceIdleness } from '../../status/counters/idleness.ts'
import type { SensorHealth } from '../../status/sensor-health.ts'
import type { FailedMonitor, ProbedPort, Trigger } from '../../status/watch-state.ts'
import type { Rest } from '../degraded/backoff.ts'

/** What happens to a watch. Each event is emitted once. */
export type WatchEvent =
  | { readonly type: 'started'; readonly name: string; readonly dryRun: boolean }
  | { readonly type: 'stopped' }
  /** The files, as they are now, are in force. */
  | { readonly type: 'file'; readonly files: readonly string[]; readonly spans: readonly string[] }
  /** A span has another name now, and is what it was before: its bridge is the same. */
  | { readonly type: 'span_renamed'; readonly span: string; readonly before: string }
  /** The files, as they are now, are not accepted. The last valid ones stay in force. */
  | {
      readonly type: 'file_refused'
      readonly diagnostics: readonly Diagnostic[]
      readonly files: readonly SourceFile[]
    }
  | {
      readonly type: 'changed'
      readonly trigger: Trigger
      readonly change: PlannedChange
      /** It was in sync before, and is again. */
      readonly repaired: boolean
      /** The duration of the run. */
      readonly milliseconds: number
    }
  /** A change is needed, and is not applied (--dry-run). */
  | { readonly type: 'drift'; readonly trigger: Trigger; readonly change: PlannedChange }
  | { readonly type: 'wait' | 'wait_over'; readonly trigger: Trigger; readonly wait: Wait }
  /** A container that a label or a service selects is a source no longer. One that is named is waited for. */
  | { readonly type: 'source_gone'; readonly trigger: Trigger; readonly span: string; readonly source: string }
  /** A container that is a source has another name now, and is mirrored as before. */
  | {
      readonly type: 'source_renamed'
      readonly trigger: Trigger
      readonly span: string
      readonly source: string
      /** The name that it had. */
      readonly before: string
    }
  | { readonly type: 'warning' | 'warning_over'; readonly diagnostic: Diagnostic }
  | { readonly type: 'degraded' | 'recovered'; readonly trigger: Trigger; readonly degraded: Rest }
  | { readonly type: 'docker_away' | 'docker_back'; readonly trigger: Trigger; readonly diagnostic: Diagnostic }
  | { readonly type: 'monitor_failed' | 'monitor_back'; readonly monitor: FailedMonitor }
  | { readonly type: 'paused'; readonly pause: Pause }
  /** `isListed`: the file has that span. */
  | { readonly type: 'resumed'; readonly pause: Pause; readonly isListed: boolean }
  /** A source has had no frame for as long as its max_idle, or has one again. */
  | { readonly type: 'idle' | 'idle_over'; readonly source: SourceIdleness; readonly diagnostic: Diagnostic }
  /** The interface of a source or of an output has no carrier, or has it again. */
  | {
      readonly type: 'carrier_lost' | 'carrier_back'
      readonly span: string
      readonly device: string
      /** What the source or the output is called. */
      readonly name: string
      readonly diagnostic: Diagnostic
    }
  /** A listed sensor hears nothing of its span, or hears it again: as it was before, then. */
  | { readonly type: 'sensor_unhealthy' | 'sensor_healthy'; readonly sensor: SensorHealth }
  /** A port did not get the frames of a probe, as it did before; or it gets them again. */
  | { readonly type: 'probe_missed' | 'probe_received'; readonly port: ProbedPort; readonly diagnostic: Diagnostic }
  /** No probe can be sent, or they can be again. */
  | { readonly type: 'probe_failed' | 'probe_works'; readonly diagnostic: Diagnostic }

/** The span that an event is about; null: none, or all of them. */
export function spanOfEvent(event: WatchEvent): string | null {
  if ('change' in event) return event.change.span
  if ('wait' in event) return event.wait.span
  if ('degraded' in event) return event.degraded.span
  if ('pause' in event) return event.pause.span
  if ('sensor' in event) return event.sensor.span
  if ('port' in event) return event.port.span
  if (event.type === 'idle' || event.type === 'idle_over') return event.source.span
  if (event.type === 'warning' || event.type === 'warning_over') return event.diagnostic.subject?.span ?? null
  return 'span' in event ? event.span : null
}

/** Takes each event as it happens, and together those that come of one run. */
export type EmitEvent = (...events: readonly WatchEvent[]) => void
