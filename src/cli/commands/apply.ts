import { awaitSensors, missingSensors } from '../../apply/await-sensors.ts'
import { type ApplyResult, applyPlan } from '../../apply/executor.ts'
import { refreshAndCheckSpans, refreshUnchanged } from '../../apply/refresh.ts'
import { type Diagnostic, Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { type Lock, takeLock } from '../../run-dir/lock.ts'
import { askForApproval, askToConfirm, needsApproval } from '../input/approve.ts'
import { loadDestroyTarget, loadSpecTarget, type Selection, type SpecSelection } from '../input/target.ts'
import { printConfirmed, printPlan, printSummary, printWait, printWaitOver } from '../output/apply-output.ts'
import { openProgress } from '../output/progress.ts'
import { commandLine, type Session, warn } from '../session.ts'
import { catchSignals } from '../signals.ts'

interface ApplyOptions extends Selection {
  readonly yes: boolean
  /** Milliseconds. */
  readonly lockTimeout: number
  readonly detailedExitcode: boolean
}

interface SpecOptions extends ApplyOptions, SpecSelection {
  /** The path of a saved plan. */
  readonly plan: string | undefined
  readonly allowEmpty: boolean
  /** Milliseconds until the apply is rolled back, unless it is confirmed; null: it is not. */
  readonly rollbackAfter: number | null
  /** Milliseconds to wait for missing sensors; null: not at all. */
  readonly wait: number | null
}

/** What is applied, and how. */
interface ApplyRequest {
  readonly target: Target
  /** Reads the host, and gives the plan view to apply. */
  readonly refresh: () => Promise<PlanView>
  readonly options: ApplyOptions & Pick<SpecOptions, 'allowEmpty' | 'rollbackAfter' | 'wait'>
}

/**
 * `spanplan apply`: prints the plan, asks before anything is removed, and applies it. Whoever saved a plan has seen it, and
 * is not asked.
 */
export async function applyCommand(session: Session, options: SpecOptions): Promise<ExitCode> {
  if (options.plan !== undefined) {
    const { openSavedPlan } = await import('../input/saved-plan.ts')
    const saved = await openSavedPlan(session, options.plan, options)
    return applyAndWait(session, { ...saved, options: { ...options, yes: true, allowEmpty: true } })
  }
  const target = await loadSpecTarget(session, options)
  return applyAndWait(session, { target, refresh: () => refreshAndCheckSpans(target), options })
}

/** `spanplan destroy`: the same, with nothing as the target. */
export async function destroyCommand(
  session: Session,
  options: ApplyOptions & { readonly name: string | undefined; readonly all: boolean }
): Promise<ExitCode> {
  const target = await loadDestroyTarget(session, options)
  const more = { allowEmpty: true, rollbackAfter: null, wait: null }
  return applyAndWait(session, {
    target,
    refresh: () => refreshAndCheckSpans(target),
    options: { ...options, ...more }
  })
}

async function applyAndWait(session: Session, request: ApplyRequest): Promise<ExitCode> {
  const { signal, stop } = catchSignals()
  try {
    const { first, last } = await lockAndApply(session, request, signal)
    const changed = hasChanges(first)
    const changedLater = await applyAsSensorsCome(session, request, last, signal)
    return request.options.detailedExitcode && (changed || changedLater) ? Exit.changes : Exit.done
  } finally {
    stop()
  }
}

const hasChanges = ({ plan }: PlanView): boolean => plan.changes.length > 0

/** Gives whether there were changes. Another process that has the lock meanwhile is waited for as long as the sensors are. */
async function applyAsSensorsCome(
  session: Session,
  { target, refresh, options }: ApplyRequest,
  view: PlanView,
  signal: AbortSignal
): Promise<boolean> {
  const missing = missingSensors(view)
  if (options.wait === null || missing.length === 0) return false
  let changed = false
  const apply = async (left: number): Promise<PlanView> => {
    const lockTimeout = Math.max(left, options.lockTimeout)
    const { first, last } = await lockAndApply(
      session,
      { target, refresh, options: { ...options, lockTimeout } },
      signal
    )
    changed ||= hasChanges(first)
    return last
  }
  const end = Date.now() + options.wait
  printWait(session, missing, new Date(end))
  printWaitOver(session, await awaitSensors(target, view, apply, end, signal))
  return changed
}

async function lockAndApply(
  session: Session,
  { target, refresh, options }: ApplyRequest,
  signal: AbortSignal
): Promise<ApplyResult> {
  const take = () => takeLock({ command: commandLine(), timeout: options.lockTimeout, signal })
  const locking = await tryUnless(['RIGHT_MISSING'], take)
  let lock: Lock | null = locking.result
  try {
    const reading = await tryUnless(['DOCKER_FORBIDDEN'], refresh)
    // Without the right to ask Docker, the rest of the plan can be shown all the same.
    const view = reading.result ?? (await refreshAndCheckSpans({ ...target, deferDocker: true }))
    printPlan(session, target, view)
    const approve = async (): Promise<PlanView> => {
      if (!needsApproval(view.plan, options.yes)) return view
      // A person takes time to answer. Other processes need not wait for that.
      lock?.release()
      await askForApproval(view.plan, signal)
      lock = await take()
      return refreshUnchanged(target, view.plan)
    }
    const progress = openProgress(session, view.plan)
    const checks = { allowEmpty: options.allowEmpty, lock: locking.missing, docker: reading.missing }
    const result = await applyPlan(target, view, { ...checks, progress, signal, approve }).finally(progress.close)
    if (!hasChanges(result.first)) return result
    if (result.unverified === null) printSummary(session, target, result.first.plan)
    if (options.rollbackAfter !== null && lock !== null) {
      if (result.unverified !== null) warn(session, result.unverified.diagnostics)
      const { confirmOrRollBack } = await import('../../apply/commit-confirm.ts')
      const applied = { target, first: result.first, progress, lock }
      const prompt = (until: Date, withdrawn: AbortSignal) => askToConfirm(session, until, withdrawn)
      await confirmOrRollBack(applied, options.rollbackAfter, prompt, signal)
      printConfirmed(session)
    }
    if (result.unverified !== null) throw result.unverified
    return result
  } finally {
    lock?.release()
  }
}

/** Errors that have only these codes are reported later, with the other rights that are missing. */
async function tryUnless<T>(
  codes: readonly string[],
  action: () => Promise<T>
): Promise<{ readonly result: T | null; readonly missing: readonly Diagnostic[] }> {
  try {
    return { result: await action(), missing: [] }
  } catch (error) {
    if (!(error instanceof SpanplanError) || !error.diagnostics.every(({ code }) => codes.includes(code))) throw error
    return { result: null, missing: error.diagnostics }
  }
}
