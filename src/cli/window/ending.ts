import { type ApplyResult, rollBackApply } from '../../apply/executor.ts'
import { type Installation, installFile, isNewFile } from '../../apply/install-file.ts'
import type { Progress } from '../../apply/run-steps.ts'
import { confirmOrRollBack } from '../../apply/window/await-decision.ts'
import { awaitOpenWindow, handOver, makeWindowId, startWindow, unitOf } from '../../apply/window/detached-window.ts'
import type { Exclusively } from '../../apply/window/keep-closed.ts'
import { forgetLeftWindow } from '../../apply/window/left-window.ts'
import { makeWindow, type OpenWindow, recordEvent } from '../../apply/window/window-record.ts'
import { diagnosticOf, Exit } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import type { Lock } from '../../run-dir/lock.ts'
import { askToConfirm } from '../input/approve.ts'
import { during } from '../output/activity.ts'
import { printResult } from '../output/progress.ts'
import { type Session, warn } from '../session.ts'
import { windowProgram } from './window-program.ts'

/** The options that say how an apply ends. */
export interface EndingOptions {
  /** Milliseconds until the apply is rolled back, unless it is confirmed; undefined: it is not. */
  readonly rollbackAfter?: number
  /** A unit of systemd waits for the confirmation. */
  readonly detach?: boolean
}

/** What an apply that is done can be rolled back with, and whether somebody stops it. */
interface Applied {
  readonly progress: Progress
  readonly lock: Lock
  readonly signal: AbortSignal
}

/** How an apply ends: at once, after a confirmation at this terminal, or after one for which a unit waits. */
interface Ending {
  /** Is called before the first change. */
  readonly begin: (view: PlanView) => Promise<PlanView>
  /** Is called where the apply has failed. */
  readonly failed: (error: unknown) => void
  /** Is called where it has changed something. Returns whether the file was installed. */
  readonly end: (result: ApplyResult, applied: Applied) => Promise<boolean>
}

/** Installs a file, if it is new, and says so. */
export function installNow(session: Session, installation: Installation | null): boolean {
  if (installation === null || !isNewFile(installation)) return false
  installFile(installation)
  printInstalled(session, installation)
  return true
}

function printInstalled(session: Session, { path }: Installation): void {
  printResult(session, `Installed: ${printable(path)}.`, 'installed', { file: path })
}

/** Chooses the ending that the options ask for. */
export function chooseEnding(
  session: Session,
  target: Target,
  { rollbackAfter, detach = false }: EndingOptions,
  installation: Installation | null
): Ending {
  const install = installation !== null && isNewFile(installation) ? installation : null
  if (rollbackAfter !== undefined && detach) return detachedEnding(session, target, rollbackAfter, install)
  const begin = async (view: PlanView) => {
    forgetLeftWindow()
    return view
  }
  const end: Ending['end'] = async (result, applied) => {
    if (rollbackAfter !== undefined) return endAtTerminal(session, target, rollbackAfter, install, result, applied)
    try {
      return installNow(session, installation)
    } catch (error) {
      return rollBackApply(target, result.first, applied.progress, diagnosticOf(error), Exit.rolledBack)
    }
  }
  return { begin, failed: () => undefined, end }
}

async function endAtTerminal(
  session: Session,
  target: Target,
  milliseconds: number,
  install: Installation | null,
  result: ApplyResult,
  applied: Applied
): Promise<boolean> {
  const { first } = result
  warnOfFailures(session, result)
  const id = makeWindowId()
  const exclusively: Exclusively = (work) => work()
  const locking = { exclusively, meanwhile: exclusively, onConfirmed: () => undefined }
  const prompt = (until: Date, withdrawn: AbortSignal) => askToConfirm(session, { id, until }, withdrawn)
  await confirmOrRollBack({ ...applied, ...locking, id, target, first, install }, milliseconds, prompt, applied.signal)
  return printConfirmed(session, id, install)
}

/** What a person has to know who is to confirm the changes: an apply ends with it as errors only afterwards. */
function warnOfFailures(session: Session, { unverified, leftOut }: ApplyResult): void {
  warn(session, [...(unverified?.diagnostics ?? []), ...leftOut.map(({ diagnostic }) => diagnostic)])
}

/** Returns whether a file was installed. */
function printConfirmed(session: Session, id: string, installed: Installation | null): boolean {
  printResult(session, 'Confirmed: the changes stay.', 'confirmed', { id })
  if (installed === null) return false
  printInstalled(session, installed)
  return true
}

function detachedEnding(session: Session, target: Target, milliseconds: number, install: Installation | null): Ending {
  const id = makeWindowId()
  let window: OpenWindow | null = null
  const fail = (failed: unknown) => {
    if (window !== null) recordEvent(window, { failed })
  }
  return {
    begin: async (view) => {
      const begun = makeWindow(id, milliseconds, target, view, session.files, install)
      await during(session, 'Starting the unit that waits', startWindow(begun, windowProgram(id)))
      window = begun
      return view
    },
    failed: fail,
    end: async (result, { progress, lock }) => {
      const { first } = result
      if (window === null) return false
      warnOfFailures(session, result)
      try {
        await during(session, 'Handing over to the unit that waits', handOver(window))
      } catch (error) {
        fail(error)
        return rollBackApply(target, first, progress, diagnosticOf(error), Exit.rolledBack)
      }
      lock.release()
      const until = await awaitOpenWindow(id)
      if (until === null) return printConfirmed(session, id, window.install)
      const time = localTime(until.toISOString())
      const text = `The changes will be rolled back at ${time} unless you confirm them: spanplan confirm ${id} (to roll back now: spanplan rollback ${id})`
      printResult(session, text, 'window', { id, until: until.toISOString(), unit: unitOf(id) })
      return false
    }
  }
}
