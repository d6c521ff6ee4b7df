import { isDeepStrictEqual } from 'node:util'
import { checkEmpty } from '../../apply/empty.ts'
import { apply } from '../../apply/executor.ts'
import { checkRights } from '../../apply/preflight.ts'
import { refresh, refreshAndCheckSpans } from '../../apply/refresh.ts'
import { type Diagnostic, Exit, type ExitCode, interruptedExit, SpanplanError } from '../../errors.ts'
import { planDocument } from '../../plan/output/json.ts'
import { countActions, renderPlan } from '../../plan/output/text.ts'
import { isDestructive, type Plan } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { type Lock, takeLock } from '../../run-dir/lock.ts'
import { type Selection, type SpecSelection, targetOfNothing, targetOfSpec } from '../input/target.ts'
import { openProgress, printEvent } from '../output/progress.ts'
import { ask, choosePaint } from '../output/terminal.ts'
import { type Session, warn } from '../session.ts'

interface ApplyOptions extends Selection {
  readonly yes: boolean
  /** Milliseconds. */
  readonly lockTimeout: number
  readonly detailedExitcode: boolean
}

/** What only an apply of a file knows. */
interface FileOptions extends ApplyOptions, SpecSelection {
  /** A file that holds a saved plan. */
  readonly plan: string | undefined
  readonly allowEmpty: boolean
  /** Milliseconds after which it is taken back, unless somebody confirms it; null: it stays. */
  readonly rollbackAfter: number | null
  /** Milliseconds to wait for sensors that are not there; null: not at all. */
  readonly wait: number | null
}

/** What is to be done, and how. */
interface Errand {
  readonly target: Target
  /** What is to be carried out is what this look finds. */
  readonly refresh: () => Promise<PlanView>
  readonly options: ApplyOptions & Pick<FileOptions, 'allowEmpty' | 'rollbackAfter' | 'wait'>
}

/** What came of an apply, with the last look. */
interface Outcome {
  readonly changed: boolean
  readonly view: PlanView
}

/**
 * `spanplan apply`: prints the plan, asks where something is taken away, and does it. Whoever saved a plan has looked at it,
 * and is not asked.
 */
export async function applyCommand(session: Session, options: FileOptions): Promise<ExitCode> {
  if (options.plan !== undefined) {
    const { openSaved } = await import('../input/saved-plan.ts')
    const saved = await openSaved(session, options.plan, options)
    return watchAndApply(session, { ...saved, options: { ...options, yes: true, allowEmpty: true } })
  }
  const target = await targetOfSpec(session, options)
  return watchAndApply(session, { target, refresh: () => refreshAndCheckSpans(target), options })
}

/** `spanplan destroy`: the same towards nothing at all. */
export async function destroyCommand(
  session: Session,
  options: ApplyOptions & { readonly name: string | undefined; readonly all: boolean }
): Promise<ExitCode> {
  const target = await targetOfNothing(session, options)
  const more = { allowEmpty: true, rollbackAfter: null, wait: null }
  return watchAndApply(session, {
    target,
    refresh: () => refreshAndCheckSpans(target),
    options: { ...options, ...more }
  })
}

async function watchAndApply(session: Session, errand: Errand): Promise<ExitCode> {
  const signals = watchSignals()
  const { wait, detailedExitcode } = errand.options
  try {
    const first = await lockAndApply(session, errand, signals.signal)
    const more = wait === null ? false : await applyWhatComes(session, errand, first.view, wait, signals.signal)
    return detailedExitcode && (first.changed || more) ? Exit.changes : Exit.done
  } finally {
    signals.stop()
  }
}

/** Whether there was a change. Whoever holds the lock meanwhile is waited for as long as the sensors are. */
async function applyWhatComes(
  session: Session,
  errand: Errand,
  view: PlanView,
  milliseconds: number,
  signal: AbortSignal
): Promise<boolean> {
  const { awaitSensors } = await import('./wait.ts')
  let changed = false
  const act = async (left: number): Promise<PlanView> => {
    const lockTimeout = Math.max(left, errand.options.lockTimeout)
    const outcome = await lockAndApply(session, { ...errand, options: { ...errand.options, lockTimeout } }, signal)
    changed ||= outcome.changed
    return outcome.view
  }
  await awaitSensors(session, { target: errand.target, view, act }, milliseconds, signal)
  return changed
}

async function lockAndApply(
  session: Session,
  { target, refresh, options }: Errand,
  signal: AbortSignal
): Promise<Outcome> {
  const command = ['spanplan', ...process.argv.slice(2)].join(' ')
  const take = () => takeLock({ command, timeout: options.lockTimeout, signal })
  const first = await allowing(['RIGHT_MISSING'], take)
  let lock: Lock | null = first.result
  try {
    const { result: view, missing } = await allowing(['DOCKER_FORBIDDEN'], refresh)
    // The rest of the plan can be shown all the same.
    const shown = view ?? (await refreshAndCheckSpans({ ...target, deferDocker: true }))
    showPlan(session, target, shown)
    checkRights(shown.plan, first.missing, missing)
    if (shown.plan.changes.length === 0) return { changed: false, view: shown }
    checkEmpty(target, shown.plan, options.allowEmpty)
    let start = shown
    if (asks(shown.plan, options.yes)) {
      // A person takes time to answer, and others need not wait for that.
      lock?.release()
      await confirmRemovals(shown.plan, signal)
      lock = await take()
      start = await lookAgain(target, shown.plan)
    }
    return { changed: true, view: await carryOut(session, target, start, lock, options.rollbackAfter, signal) }
  } finally {
    lock?.release()
  }
}

/** What is missing is told later, with the rest, if the errors have no other codes than these. */
async function allowing<T>(
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

async function carryOut(
  session: Session,
  target: Target,
  first: PlanView,
  lock: Lock | null,
  rollbackAfter: number | null,
  signal: AbortSignal
): Promise<PlanView> {
  const progress = openProgress(session, first.plan)
  try {
    const { last, unverified } = await apply(target, first, progress, signal)
    progress.close()
    if (unverified === null) tellSummary(session, target, first.plan)
    if (rollbackAfter !== null && lock !== null) {
      if (unverified !== null) warn(session, unverified.diagnostics)
      const { awaitConfirmation } = await import('./confirm.ts')
      await awaitConfirmation(session, { target, first, progress, lock }, rollbackAfter, signal)
    }
    if (unverified !== null) throw unverified
    return last
  } finally {
    progress.close()
  }
}

function tellSummary(session: Session, target: Target, plan: Plan): void {
  const summary = countActions(plan)
  if (session.json) printEvent('summary', summary)
  else process.stdout.write(`${sumUp(target, summary)}\n`)
}

function showPlan(session: Session, target: Target, view: PlanView): void {
  const spec = target.want === 'spec' ? target.spec : null
  warn(session, view.plan.warnings)
  if (session.json) {
    printEvent('version', { spanplan_version: SPANPLAN_VERSION })
    const context = { spec, host: view.host, version: SPANPLAN_VERSION, created: new Date().toISOString() }
    printEvent('plan', planDocument(view.plan, context))
    if (view.plan.changes.length === 0) printEvent('summary', countActions(view.plan))
    return
  }
  process.stdout.write(renderPlan(view.plan, spec?.files ?? [], choosePaint(session.color, process.stdout)))
}

/**
 * A person takes time to answer, and says yes to what was shown; whatever else has changed meanwhile is how the host is
 * when the apply begins, and what it would be taken back to.
 */
async function lookAgain(target: Target, shown: Plan): Promise<PlanView> {
  const view = await refresh(target)
  const facts = ({ changes }: Plan) =>
    changes.map(({ address, action, before, after }) => ({ address, action, before, after }))
  if (isDeepStrictEqual(facts(view.plan), facts(shown))) return view
  throw new SpanplanError({
    code: 'HOST_CHANGED',
    message: 'the host has changed since the plan was shown. Nothing was changed.',
    hint: 'run it again, and look at the new plan'
  })
}

/** Where something is taken away. Creating, changing and mending never ask. */
function asks(plan: Plan, yes: boolean): boolean {
  return !yes && plan.changes.some(isDestructive)
}

async function confirmRemovals(plan: Plan, signal: AbortSignal): Promise<void> {
  const { replace, remove, adopt } = countActions(plan)
  const parts = { remove, replace, 'take over': adopt }
  const what = Object.entries(parts)
    .flatMap(([verb, count]) => (count > 0 ? [`${verb} ${count}`] : []))
    .join(' and ')
  if (process.stdin.isTTY !== true) {
    throw new SpanplanError({
      code: 'CONFIRMATION_NEEDED',
      message: `this would ${what}, and there is no terminal to ask on. Nothing was changed.`,
      hint: 'look at the plan, then run it again with --yes'
    })
  }
  if ((await ask(`Do it: ${what}?`, signal, 'no')) !== 'yes') {
    throw new SpanplanError(
      { code: 'NOT_CONFIRMED', message: 'not confirmed. Nothing was changed.' },
      signal.aborted ? interruptedExit(signal) : Exit.error
    )
  }
}

function sumUp(
  target: Target,
  { create, update, replace, remove, adopt, wait }: ReturnType<typeof countActions>
): string {
  const adopted = adopt === 0 ? '' : `, ${adopt} adopted`
  const waits = wait === 0 ? '' : `; ${wait} ${wait === 1 ? 'waits' : 'wait'}`
  return target.want === 'spec'
    ? `Applied: ${create} created, ${update} changed, ${replace} replaced, ${remove} removed${adopted}${waits}. Checked: all is as wanted.`
    : `Destroyed: ${remove} removed${update > 0 ? `, ${update} changed` : ''}. Checked: nothing of it is left${target.deferDocker ? ', but in Docker: run it again without --defer-docker' : ''}.`
}

/**
 * The first signal stops after the batch that runs; the second one at once, as if nobody listened. A terminal that goes
 * away stops nothing: what was confirmed is finished, and what waits for a word is taken back in time.
 */
export function watchSignals(): { readonly signal: AbortSignal; stop(): void } {
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
