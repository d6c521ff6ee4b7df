import { asForeseen, type Diagnostic } from '../../errors.ts'
import { commandFailed, run } from '../../host/exec.ts'
import { longestRun } from './probes.ts'

/** What a service manager is told (sd_notify(3)); nothing, where there is none that wants to know. */
export interface Supervisor {
  /** The first run is over, or the one that read the files again. */
  ready(): Promise<void>
  reloading(): Promise<void>
  stopping(): Promise<void>
}

/**
 * Tells the service manager how it goes, by systemd-notify, and as often as it wants to hear it, that it still does.
 *
 * @param busySince when the run under way began, in milliseconds of the monotonic clock; null: none is.
 * @param warn gets why it could not be told, once.
 * @param signal ends it.
 */
export function openSupervisor(
  busySince: () => number | null,
  warn: (diagnostic: Diagnostic) => void,
  signal: AbortSignal
): Supervisor {
  if (!process.env.NOTIFY_SOCKET) {
    const nothing = async () => undefined
    return { ready: nothing, reloading: nothing, stopping: nothing }
  }
  let failed = false
  const tell = async (...words: readonly string[]) => {
    try {
      const argv = ['systemd-notify', ...words] as const
      const output = await run(argv)
      if (output.status !== 0) throw commandFailed(argv, output)
    } catch (error) {
      for (const diagnostic of failed ? [] : asForeseen(error).diagnostics) warn(diagnostic)
      failed = true
    }
  }
  const isAlive = () => performance.now() - (busySince() ?? performance.now()) < longestRun
  const period = watchdogPeriod()
  if (period !== null) {
    const timer = setInterval(() => isAlive() && void tell('WATCHDOG=1'), period)
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  }
  return {
    ready: () => tell('--ready'),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => tell('STOPPING=1')
  }
}

/** Milliseconds between two signs of life: half of what sd_watchdog_enabled(3) says; null: nobody waits for them. */
function watchdogPeriod(): number | null {
  const { WATCHDOG_USEC = '', WATCHDOG_PID } = process.env
  const forUs = !WATCHDOG_PID || Number(WATCHDOG_PID) === process.pid
  return forUs && /^[1-9]\d*$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) / 2000 : null
}
