/** Milliseconds after a signal until the command says why it still runs. */
const patience = 1000

/** What a command that changes spans says while it stops. */
export const rollingBack = 'interrupted: the step that runs is finished, then everything is rolled back'

/**
 * Catches the signals that stop a command which changes the host. The first SIGINT or SIGTERM aborts the returned signal, so
 * that the command stops after the batch that runs. Another one changes nothing of that: a terminal, sudo and npm each may send one for
 * the same `^C`, and what is half done may be a sensor's port that is open. SIGQUIT ends the process at once. SIGHUP is ignored: where
 * the terminal has gone, what was confirmed is finished, and an apply that waits for confirmation is rolled back in time.
 *
 * @param stopping what the command does once it is to stop.
 */
export function catchSignals(stopping: string): AbortSignal {
  const controller = new AbortController()
  const tell = () => {
    process.stderr.write(`${stopping}. To leave it half done: kill -QUIT ${process.pid}\n`)
  }
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) return tell()
    controller.abort(name)
    setTimeout(tell, patience).unref()
  }
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, stop)
  process.on('SIGHUP', () => undefined)
  // A process that ends by itself loses these handlers some milliseconds before its end; one that calls process.exit() keeps them.
  process.on('beforeExit', () => process.exit())
  return controller.signal
}
