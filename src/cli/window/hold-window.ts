import { dirname, join } from 'node:path'
import { holdWindow, readLeftWindow, recoverWindow, type WindowProgram } from '../../apply/window.ts'
import { Exit, type ExitCode } from '../../errors.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { commandLine, type Session } from '../session.ts'
import { catchSignals } from '../signals.ts'

/** Milliseconds to wait for an apply that goes on although its unit was killed. */
const recoveryPatience = 540_000

/** How systemd runs spanplan to hold a window. */
export function windowProgram(id: string): WindowProgram {
  const argv = [process.execPath, join(dirname(__dirname), 'bin/spanplan.js'), 'window', id] as const
  const { PATH, SPANPLAN_RUN_DIR, DOCKER_HOST, SUDO_UID, SUDO_GID } = process.env
  const values = Object.entries({ PATH, SPANPLAN_RUN_DIR, DOCKER_HOST, SUDO_UID, SUDO_GID }).flatMap(([name, value]) =>
    value ? [[name, value] as const] : []
  )
  return { argv, afterwards: [...argv, 'recover'], environment: Object.fromEntries(values) }
}

/**
 * What the unit of a window runs: holds the window. Afterwards, with `recover`, ends what is left if that was killed; then it
 * mostly finds nothing to do.
 */
export async function windowCommand(
  _: Session,
  { id, recover }: { readonly id: string; readonly recover: boolean }
): Promise<ExitCode> {
  const signal = catchSignals()
  if (!recover) {
    const message = await holdWindow(id, commandLine(), signal)
    if (message !== null) process.stdout.write(`${message}\n`)
    return Exit.done
  }
  if (readLeftWindow()?.id !== id) return Exit.done
  const lock = await takeLock({ command: commandLine(), timeout: recoveryPatience, signal })
  try {
    const left = readLeftWindow()
    if (left?.id === id) await recoverWindow(left, 'the unit that held the window was killed')
  } finally {
    lock.release()
  }
  return Exit.done
}
