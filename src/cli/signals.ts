/**
 * Catches the signals that stop a command which changes the host. The first SIGINT or SIGTERM aborts the signal, so that the
 * command stops after the batch that runs; the second ends the process as usual. SIGHUP is ignored: where the terminal has
 * gone, what was confirmed is finished, and an apply that waits for confirmation is rolled back in time.
 */
export function catchSignals(): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController()
  const abort = (name: NodeJS.Signals) => controller.abort(name)
  const ignore = () => undefined
  const names = ['SIGINT', 'SIGTERM'] as const
  for (const name of names) process.once(name, abort)
  process.on('SIGHUP', ignore)
  return {
    signal: controller.signal,
    stop: () => {
      for (const name of names) process.off(name, abort)
      process.off('SIGHUP', ignore)
    }
  }
}
