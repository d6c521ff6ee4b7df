import { type ApplyResult, applyPlan } from '../../apply/executor.ts'
import { findInstallFaults, type Installation, isNewFile } from '../../apply/install-file.ts'
import { awaitSensors, missingSensors, refusedParts } from '../../apply/sensors/await-sensors.ts'
import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic, Exit, type ExitCode, interruptedExit, SpanplanError } from '../../errors.ts'
import { type CallLimits, defaultLimits } from '../../host/docker/call-limits.ts'
import { refreshAndCheckSpans, refreshUnchanged } from '../../look/refresh.ts'
import { isDestructive } from '../../plan/plan.ts'
import { type PlanView, usedInterfaces, warnOfHost } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { forgetGoingDown } from '../../run-dir/hook-records.ts'
import { type Lock, takeLock } from '../../run-dir/lock.ts'
import { matchesName, type Scope } from '../../spec/scope.ts'
import { askWatch, watchNames } from '../../watch/serve/ask-watch.ts'
import { findWatchPid } from '../../watch/serve/claim-name.ts'
import { endWatch } from '../../watch/serve/other-files.ts'
import { askForApproval } from '../input/approve.ts'
import { type DestroySelection, loadDestroyTarget, loadSpecTarget, type SpecSelection } from '../input/load-target.ts'
import { awaitingLock, during, readingHost } from '../output/activity.ts'
import { printPlan, printRestarts, printSummary, printWait, printWaitOver } from '../output/apply-output.ts'
import { openProgress } from '../output/progress.ts'
import type { Session } from '../session.ts'
import { catchSignals, rollingBack } from '../signals.ts'
import { lockAfterWindow } from '../window/earlier-window.ts'
import { chooseEnding, type EndingOptions, installNow } from '../window/ending.ts'
import {
  findInstallation,
  type InstallOptions,
  selectWithInstall,
  warnOfOtherFiles
} from '../window/install-selection.ts'

interface ApplyOptions extends EndingOptions, InstallOptions {
  readonly yes: boolean
  /** Milliseconds. */
  readonly lockTimeout: number
  readonly detailedExitcode: boolean
  readonly allowEmpty: boolean
  /** Milliseconds to wait for missing sensors; undefined: not at all. */
  readonly wait?: number
}

/** What is applied. */
interface Loaded {
  readonly target: Target
  /** Reads the host, and gives the plan view to apply. */
  readonly refresh: (limits: CallLimits) => Promise<PlanView>
}

/** What is applied, and how. */
interface ApplyRequest {
  /**
   * Reads the files: before the lock is waited for, for what is wrong with them, and again with the lock. Whoever had the lock may
   * have installed a file.
   */
  readonly load: () => Promise<Loaded>
  readonly options: ApplyOptions
  /** What else to warn of before it is applied, such as a watch that undoes it. */
  readonly warnings: (target: Target, view: PlanView) => Promise<readonly Diagnostic[]>
}

const asLoaded = (target: Target): Loaded => ({ target, refresh: (limits) => refreshAndCheckSpans(target, limits) })

/**
 * `spanplan apply`: prints the plan, asks before anything is removed, and applies it. Whoever saved a plan has seen it, and
 * is not asked.
 *
 * @param options `plan`: the path of a saved plan.
 */
export async function applyCommand(
  session: Session,
  options: SpecSelection & ApplyOptions & { readonly plan: string | undefined }
): Promise<ExitCode> {
  const { plan } = options
  if (plan !== undefined) {
    const { openSavedPlan } = await import('../input/check-saved-plan.ts')
    const load = () => openSavedPlan(session, plan, options)
    const all = { ...options, yes: true, allowEmpty: true }
    return applyAndWait(session, { load, options: all, warnings: (target, view) => warnAtApply(target, view) })
  }
  const load = async () => asLoaded(await loadSpecTarget(session, selectWithInstall(options)))
  const warnings = (target: Target, view: PlanView) => warnAtApply(target, view, options.install)
  return applyAndWait(session, { load, options, warnings })
}

async function warnAtApply(target: Target, view: PlanView, install?: string): Promise<Diagnostic[]> {
  return [...warnOfHost(view), ...(await warnOfOtherFiles(target, install))]
}

/** `spanplan destroy`: the same, with nothing as the target. */
export async function destroyCommand(
  session: Session,
  selection: DestroySelection & Omit<ApplyOptions, 'allowEmpty'>
): Promise<ExitCode> {
  const load = async () => asLoaded(await loadDestroyTarget(session, selection))
  const warnings = ({ scope }: Target) => findRebuilders(scope)
  return applyAndWait(session, { load, options: { ...selection, allowEmpty: true }, warnings })
}

/** Warns of the watches that make again what a destroy removes. */
async function findRebuilders(scope: Scope): Promise<Diagnostic[]> {
  const names = watchNames().filter((name) => matchesName(scope, name))
  const watches = await Promise.all(names.map(async (name) => ({ name, state: await askWatch(name, 'state') })))
  return watches.flatMap(({ name, state }) => {
    // One that does not answer now may go on.
    const pid = state === null ? findWatchPid(name) : state.pid
    if (pid === null || state?.dryRun === true) return []
    const message = `a watch of the name ${name} runs (pid ${pid}): it makes again what is removed here and is in its files`
    return [diagnostic('WATCH_REBUILDS', message, endWatch)]
  })
}

async function applyAndWait(session: Session, request: ApplyRequest): Promise<ExitCode> {
  const { wait, lockTimeout, detailedExitcode } = request.options
  await request.load()
  const signal = catchSignals(rollingBack)
  const { target, first, last: view, installed } = await lockAndApply(session, request, lockTimeout, signal)
  let changed = installed || first.plan.changes.length > 0
  let missing = missingSensors(view)
  if (wait !== undefined && missing.length > 0) {
    const end = Date.now() + wait
    printWait(session, missing, new Date(end))
    // Another process that has the lock meanwhile is waited for as long as the sensors are.
    const applyAgain = async (left: number): Promise<PlanView> => {
      const again = await lockAndApply(session, request, Math.max(left, lockTimeout), signal, target)
      changed ||= again.first.plan.changes.length > 0
      return again.last
    }
    missing = await awaitSensors(target, view, applyAgain, end, signal)
    printWaitOver(session, missing)
  }
  if (!detailedExitcode) return Exit.done
  if (wait !== undefined && missing.length > 0) return Exit.incomplete
  return changed ? Exit.changes : Exit.done
}

/** @param before what was applied already, and has to be what the files still say; null: nothing was. */
async function lockAndApply(
  session: Session,
  { load, options, warnings }: ApplyRequest,
  lockTimeout: number,
  signal: AbortSignal,
  before: Target | null = null
): Promise<ApplyResult & { readonly target: Target; readonly installed: boolean }> {
  const take = (patience = 0) =>
    during(session, awaitingLock, takeLock({ timeout: Math.max(patience, lockTimeout), signal }))
  const takeFirst = () => (options.install === undefined ? take() : lockAfterWindow(session, take))
  const locking = await tryUnless('RIGHT_MISSING', takeFirst)
  let lock: Lock | null = locking.result
  try {
    const { target, refresh } = await load()
    const install = findInstallation(session, options)
    if (before !== null) checkUnchanged(before, target, install)
    // Whoever interrupts does not wait until Docker answers.
    const read = () => during(session, readingHost, refresh({ ...defaultLimits, signal }))
    const reading = await tryUnless('DOCKER_FORBIDDEN', read).finally(() => checkInterrupted(signal))
    // Without the right to ask Docker, the rest of the plan can be shown all the same.
    const view = reading.result ?? (await refreshAndCheckSpans({ ...target, deferDocker: true }))
    printPlan(session, target, view, before === null ? await warnings(target, view) : [])
    const ending = chooseEnding(session, target, options, install)
    const approve = async (): Promise<PlanView> => {
      // Creating, changing and repairing needs no approval.
      if (options.yes || !view.plan.changes.some(isDestructive)) return ending.begin(view)
      // A person takes time to answer. Other processes need not wait for that.
      lock?.release()
      await askForApproval(view.plan, signal)
      lock = await take()
      return ending.begin(await during(session, readingHost, refreshUnchanged(target, view)))
    }
    const progress = openProgress(session, view.plan)
    const missing = {
      lock: locking.missing,
      docker: reading.missing,
      install: install ? findInstallFaults(install) : []
    }
    const checks = { allowEmpty: options.allowEmpty, undoBlocked: options.rollbackAfter !== undefined, ...missing }
    const applying = applyPlan(target, view, { ...checks, progress, signal, approve }).finally(progress.close)
    const result = await applying.catch((error: unknown) => {
      ending.failed(error)
      throw error
    })
    const { changes } = result.first.plan
    if (changes.length > 0 && result.unverified === null) printSummary(session, target, result)
    printRestarts(session, result.restarts)
    if (lock === null) {
      // Without the lock, there was nothing to change, and nothing may be installed.
      if (install !== null && isNewFile(install)) throw new SpanplanError(locking.missing)
      return { ...result, target, installed: false }
    }
    const installed =
      changes.length > 0 ? await ending.end(result, { progress, lock, signal }) : installNow(session, install)
    // A window forgets them once it is confirmed.
    if (changes.length === 0 || options.rollbackAfter === undefined) {
      forgetGoingDown(Date.now(), usedInterfaces(result.last))
    }
    if (result.unverified !== null) throw result.unverified
    const failed = [...result.leftOut.map((one) => one.diagnostic), ...refusedParts(result)]
    if (failed.length > 0) throw new SpanplanError(failed, Exit.partial)
    return { ...result, target, installed }
  } finally {
    lock?.release()
  }
}

/** @throws SpanplanError INTERRUPTED. */
function checkInterrupted(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new SpanplanError(diagnostic('INTERRUPTED', 'interrupted\nNothing was changed.'), interruptedExit(signal))
}

/** Somebody may change the files while sensors are waited for: nobody has seen a plan of these. */
function checkUnchanged(before: Target, now: Target, install: Installation | null): void {
  if (now.spec.digest === before.spec.digest && (install === null || !isNewFile(install))) return
  const message = 'the files have changed while sensors were waited for. What was applied stays'
  throw new SpanplanError(diagnostic('FILE_CHANGED', message, 'run apply again'))
}

/** An error that has only this code is reported later, with the other rights that are missing. */
async function tryUnless<T>(
  code: Code,
  action: () => Promise<T>
): Promise<{ readonly result: T | null; readonly missing: readonly Diagnostic[] }> {
  try {
    return { result: await action(), missing: [] }
  } catch (error) {
    if (!(error instanceof SpanplanError) || !error.diagnostics.every((missing) => missing.code === code)) throw error
    return { result: null, missing: error.diagnostics }
  }
}
