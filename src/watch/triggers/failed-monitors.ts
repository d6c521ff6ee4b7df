import type { Diagnostic } from '../../errors.ts'
import type { FailedMonitor, Trigger } from '../../status/watch-state.ts'
import type { EmitEvent } from '../events/event.ts'

/** Knows which monitors of the host fail. */
export interface FailedMonitors {
  /** A monitor fails to start, again and again. */
  onFail(trigger: Trigger, diagnostic: Diagnostic): void
  /** A monitor has begun to listen. */
  onListen(trigger: Trigger): void
  failed(): readonly FailedMonitor[]
}

/** Emits an event when a monitor fails, and when it listens again. */
export function trackFailedMonitors(emit: EmitEvent): FailedMonitors {
  const failed = new Map<Trigger, FailedMonitor>()
  return {
    onFail: (trigger, diagnostic) => {
      if (failed.has(trigger)) return
      const monitor = { trigger, diagnostic }
      failed.set(trigger, monitor)
      emit({ type: 'monitor_failed', monitor })
    },
    onListen: (trigger) => {
      const monitor = failed.get(trigger)
      if (monitor === undefined) return
      failed.delete(trigger)
      emit({ type: 'monitor_back', monitor })
    },
    failed: () => [...failed.values()]
  }
}
