import { dirname, join, resolve } from 'node:path'
import type { WindowProgram } from '../../apply/window/detached-window.ts'
import { holdWindow } from '../../apply/window/window-unit.ts'
import { Exit, type ExitCode } from '../../errors.ts'
import { runFolder } from '../../run-dir/folder.ts'
import type { Session } from '../session.ts'
import { catchSignals, rollingBack } from '../signals.ts'

/** How systemd runs spanplan to hold a window. */
export function windowProgram(id: string): WindowProgram {
  const argv = [process.execPath, join(dirname(__dirname), 'bin/spanplan.js'), 'window', id] as const
  const { PATH, DOCKER_HOST, SUDO_UID } = process.env
  // The unit runs in another folder.
  const SPANPLAN_RUN_DIR = resolve(runFolder())
  const values = Object.entries({ PATH, SPANPLAN_RUN_DIR, DOCKER_HOST, SUDO_UID }).flatMap(([name, value]) =>
    value ? [[name, value] as const] : []
  )
  return { argv, environment: Object.fromEntries(values) }
}

/** What the unit of a window runs: holds the window, or ends what is left of it where this unit or the apply was killed. */
export async function windowCommand(_: Session, { id }: { readonly id: string }): Promise<ExitCode> {
  const message = await holdWindow(id, catchSignals(rollingBack))
  if (message !== null) process.stdout.write(`${message}\n`)
  return Exit.done
}
