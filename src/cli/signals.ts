/**
 * Catches the signals that stop a command which changes the host. The first SIGINT or SIGTERM aborts the returned signal, so
 * that the command stops after the batch that runs; the second ends the process as usual. SIGHUP is ignored: where the
 * terminal has gone, what was confirmed is finished, and an apply that waits for confirmation is rolled back in time.
 */
export function catchSignals(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => controller.abort(name))
  process.on('SIGHUP', () => undefined)
  return controller.signal
}
