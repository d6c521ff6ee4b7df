import type { Diagnostic } from '../../errors.ts'
import type { FailedMonitor, Trigger } from '../../status/watch-state.ts'
import type { WatchEvent } from '../events/event.ts'

/** What becomes of the monitors. */
export interface Monitors {
  /** It cannot be started, again and again. */
  onFail(trigger: Trigger, diagnostic: Diagnostic): void
  /** It has begun to listen. */
  onListen(trigger: Trigger): void
  failed(): readonly FailedMonitor[]
}

/** Tells of each that it fails, once, and once that it listens again. */
export function openMonitors(tell: (told: WatchEvent) => void): Monitors {
  const failed = new Map<Trigger, FailedMonitor>()
  return {
    onFail: (trigger, diagnostic) => {
      if (failed.has(trigger)) return
      const monitor = { trigger, diagnostic }
      failed.set(trigger, monitor)
      tell({ type: 'monitor_failed', monitor })
    },
    onListen: (trigger) => {
      const monitor = failed.get(trigger)
      if (!failed.delete(trigger) || monitor === undefined) return
      tell({ type: 'monitor_back', monitor })
    },
    failed: () => [...failed.values()]
  }
}
