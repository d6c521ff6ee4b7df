/** Milliseconds after which whoever interrupts is told what is waited for. */
const patience = 1000

/** What is told while a command that changes spans is stopping. */
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
  // Where nothing is left to do, Node takes the handlers away some milliseconds before the process ends; where it is told to, it does not.
  process.on('beforeExit', () => process.exit())
  return controller.signal
}
