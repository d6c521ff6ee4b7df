import { asForeseen } from '../../errors.ts'
import { commandFailed, run } from '../../host/exec.ts'
import type { EmitEvent } from '../events/event.ts'
import { longestRun } from './probes.ts'

/**
 * Notifies the service manager (sd_notify(3)) with systemd-notify, where one listens; also that the watch is alive, as often as
 * its watchdog asks for that.
 *
 * @param busySince when the run under way began, in milliseconds of the monotonic clock; null: none is.
 * @param emit gets a warning of the first failure to notify.
 * @param signal ends the notifications to the watchdog.
 */
export function openServiceManager(busySince: () => number | null, emit: EmitEvent, signal: AbortSignal) {
  let failed = false
  const notify = async (...args: readonly string[]): Promise<void> => {
    if (!process.env.NOTIFY_SOCKET) return
    try {
      const argv = ['systemd-notify', ...args] as const
      const output = await run(argv)
      if (output.status !== 0) throw commandFailed(argv, output)
    } catch (error) {
      const { diagnostics } = asForeseen(error)
      for (const diagnostic of failed ? [] : diagnostics) emit({ type: 'warning', diagnostic })
      failed = true
    }
  }
  const isAlive = () => performance.now() - (busySince() ?? performance.now()) < longestRun
  const period = watchdogPeriod()
  if (period !== null) {
    const timer = setInterval(() => isAlive() && void notify('WATCHDOG=1'), period)
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  }
  return {
    /** The first run has ended, or the run that read the files again. */
    ready: () => notify('--ready'),
    reloading: () => notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => notify('STOPPING=1')
  }
}

/** Milliseconds between two notifications: half of the watchdog's limit, as sd_watchdog_enabled(3) advises; null: there is no watchdog. */
function watchdogPeriod(): number | null {
  const { WATCHDOG_USEC = '', WATCHDOG_PID } = process.env
  const forUs = !WATCHDOG_PID || Number(WATCHDOG_PID) === process.pid
  return forUs && /^[1-9]\d*$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) / 2000 : null
}
