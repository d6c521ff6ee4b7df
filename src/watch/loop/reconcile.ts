import { setTimeout as sleep } from 'node:timers/promises'
import { applyPlan } from '../../apply/executor.ts'
import { checkEmptyFile, PreflightError } from '../../apply/preflight.ts'
import type { LeftOut } from '../../apply/sensors/left-out.ts'
import type { Diagnostic } from '../../errors.ts'
import { linksRenamed } from '../../host/process/program-pool.ts'
import { keepNames } from '../../look/listening.ts'
import { readHostFor } from '../../look/read-host.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import { type PlanView, planTarget } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import type { Trigger } from '../../status/watch-state.ts'
import { failureOf, type Problem } from '../degraded/backoff.ts'
import { makePartialPlan, type PartialPlan } from './partial-plan.ts'
import { dockerPatience, type KernelPass, noKernelPass, planHost } from './plan-host.ts'
import { Overtaken } from './run-lock.ts'
import { withoutSpans } from './targets.ts'

/** What came of a run. */
export interface RunOutcome {
  /** The partial plan after Docker's answer; null: the host could not be read, or the run was cut short. */
  readonly view: PlanView | null
  /** The changes that were needed. */
  readonly needed: readonly PlannedChange[]
  /** The changes that were applied. */
  readonly done: readonly PlannedChange[]
  /** Those of them that `onEarlyChanges` has got. Missing: none. */
  readonly told?: ReadonlySet<PlannedChange>
  /** The changes that cost nothing else, but could not be made, or did not last. */
  readonly leftOut: readonly LeftOut[]
  /** The sensors that have to be restarted since. */
  readonly restarts: readonly Diagnostic[]
  readonly failures: readonly Problem[]
  /** The lock could not be had again, or what was planned with is too old. It is no failure: another run has to follow. */
  readonly isCutShort?: true
}

/** The changes that were applied, and have not been told yet. */
export function untoldOf({ done, told = new Set() }: Pick<RunOutcome, 'done' | 'told'>): readonly PlannedChange[] {
  return done.filter((change) => !told.has(change))
}

/** What a run may do. */
export interface RunOptions {
  /** It changes nothing. */
  readonly dryRun: boolean
  readonly allowEmpty: boolean
  /** Ends a run that goes on span by span, before the next span. */
  readonly signal: AbortSignal
  readonly eager: KernelPass['eager']
  readonly patience: KernelPass['patience']
  readonly settledPart: KernelPass['settledPart']
  /** Whether a run is cut short where something fails while interfaces are renamed. Else the failure counts. */
  readonly mayBeRenamed: boolean
  /** The target without the spans that are paused by now, and with the interfaces that go down by now. */
  readonly leavePaused: (target: Target) => Target
  readonly lastAnswer: KernelPass['lastAnswer']
  readonly nextWake: KernelPass['nextWake']
  readonly wait: KernelPass['wait']
  /** Gets what failed before Docker answered. */
  readonly onEarlyFailures: (failures: readonly Problem[]) => void
  /** Gets what a pass has changed, its event, and its duration in milliseconds, where Docker takes long. */
  readonly onEarlyChanges: (changes: readonly PlannedChange[], trigger: Trigger | null, milliseconds: number) => void
}

/**
 * Brings the spans of a target in sync. A span that fails stops no other. A plan goes by names: where something fails while interfaces
 * are renamed, the run is cut short.
 */
export async function reconcile(target: Target, options: RunOptions): Promise<RunOutcome> {
  let view: PlanView | null = null
  const done: PlannedChange[] = []
  const told = new Set<PlannedChange>()
  const ended = new AbortController()
  const names = linksRenamed()
  const isRenamed = () => linksRenamed() !== names
  try {
    const kernelPass = makeKernelPass(options, { done, told, isRenamed, ended: ended.signal })
    const partial = await planHost(target, options.leavePaused, kernelPass)
    view = partial.view
    if (!options.allowEmpty) checkEmptyFile(target, view.plan)
    const needed = [...done, ...view.plan.changes]
    if (options.dryRun) return { view, needed, ...nothingApplied, failures: partial.failures }
    const applied = await applyPartially(partial, { ...options, isRenamed })
    done.push(...applied.done)
    if (applied.failures.length > 0 && options.mayBeRenamed && isRenamed()) throw new Overtaken()
    return { ...applied, view, needed, done, told, failures: [...partial.failures, ...applied.failures] }
  } catch (error) {
    const outcome = { view, needed: done, ...nothingApplied, done, told }
    const failure = failureOf(null, error)
    const isCutShort = error instanceof Overtaken || (view === null && cutShortBy.has(failure.diagnostic.code))
    return isCutShort ? { ...outcome, view: null, isCutShort } : { ...outcome, failures: [failure] }
  } finally {
    ended.abort()
  }
}

/** What a run shares with its passes. */
interface PassRecord {
  /** Gets the changes that were applied. */
  readonly done: PlannedChange[]
  /** Gets those of them that were told. */
  readonly told: Set<PlannedChange>
  /** Whether an interface was renamed since the run began. */
  isRenamed(): boolean
  /** The run has ended: it tells its changes itself. */
  readonly ended: AbortSignal
}

/** What ends the waiting for the lock. */
const cutShortBy: ReadonlySet<string> = new Set(['LOCKED', 'INTERRUPTED'])

/**
 * A span that fails in this pass is reported, and left to the plan after Docker's answer. A span that cannot be planned has
 * not failed yet: with what Docker knows, it may be planned.
 */
function makeKernelPass(
  { dryRun, allowEmpty, mayBeRenamed, leavePaused, signal, onEarlyFailures, onEarlyChanges, ...options }: RunOptions,
  { done, told, isRenamed, ended }: PassRecord
): KernelPass {
  if (dryRun) return noKernelPass
  const failed = new Set<string | null>()
  const report = (failures: readonly Problem[]) => {
    if (failures.length > 0 && mayBeRenamed && isRenamed()) throw new Overtaken()
    for (const { span } of failures) failed.add(span)
    if (failures.length > 0) onEarlyFailures(failures)
  }
  const late = sleep(dockerPatience, null, { ref: false, signal: ended })
  late.catch(() => undefined)
  const tellIfLate = (changes: readonly PlannedChange[], trigger: Trigger | null, milliseconds: number) => {
    if (changes.length === 0) return
    const tell = () => {
      for (const change of changes) told.add(change)
      onEarlyChanges(changes, trigger, milliseconds)
    }
    late.then(tell, () => undefined)
  }
  const repair: KernelPass['repair'] = async (target, reading, { trigger, began }) => {
    if (failed.has(null)) return
    try {
      const partial = makePartialPlan(withoutSpans(target, [...failed]), reading)
      if (!allowEmpty) checkEmptyFile(target, partial.view.plan)
      const applied = await applyPartially(partial, { leavePaused, signal, isRenamed })
      done.push(...applied.done)
      tellIfLate(applied.done, trigger, performance.now() - began)
      report(applied.failures)
    } catch (error) {
      if (error instanceof Overtaken) throw error
      report([failureOf(null, error)])
    }
  }
  return { ...options, repair }
}

type PartialResult = Pick<RunOutcome, 'done' | 'leftOut' | 'restarts' | 'failures'>

/** The result where nothing was applied. */
export const nothingApplied: PartialResult = { done: [], leftOut: [], restarts: [], failures: [] }

/** Applies all spans at once; where that fails, and is rolled back, span by span. */
async function applyPartially(
  { target, view }: PartialPlan,
  { leavePaused, signal, isRenamed }: Pick<RunOptions, 'leavePaused' | 'signal'> & Pick<PassRecord, 'isRenamed'>
): Promise<PartialResult> {
  const { changes } = view.plan
  if (changes.length === 0) return nothingApplied
  const spans = [...new Set(changes.map(({ span }) => span))]
  try {
    return await applyView(target, view, isRenamed)
  } catch (error) {
    if (error instanceof PreflightError) throw error
    const [only = null] = spans
    if (spans.length === 1) return { ...nothingApplied, failures: [failureOf(only, error)] }
  }
  const results: PartialResult[] = []
  for (const span of spans) {
    if (signal.aborted) break
    const part = targetOfSpan(target, span)
    try {
      const reading = await readHostFor(part)
      results.push(await applyView(part, planTarget(leavePaused(part), reading), isRenamed))
    } catch (error) {
      results.push({ ...nothingApplied, failures: [failureOf(span, error)] })
    }
  }
  return {
    done: results.flatMap(({ done }) => done),
    leftOut: results.flatMap(({ leftOut }) => leftOut),
    restarts: results.flatMap(({ restarts }) => restarts),
    failures: results.flatMap(({ failures }) => failures)
  }
}

/** Where the result of an apply could not be verified, the next run does so. */
async function applyView(target: Target, view: PlanView, isRenamed: () => boolean): Promise<PartialResult> {
  const options = { allowEmpty: true, goesOn: true, isRenamed }
  const { done, leftOut, restarts, unverified } = await applyPlan(target, await keepNames(target, view), options)
  return { done, leftOut, restarts, failures: unverified === null ? [] : [failureOf(null, unverified, false)] }
}

/** @param span null: the changes that belong to no span of the file. */
function targetOfSpan(target: Target, span: string | null): Target {
  const names = target.spec.spans.map(({ name }) => name)
  return span === null
    ? withoutSpans(target, names)
    : { ...target, scope: { ...target.scope, spans: { only: new Set([span]) } } }
}
