import { type ApplyResult, applyPlan } from '../../apply/executor.ts'
import { checkEmptyFile, PreflightError } from '../../apply/preflight.ts'
import { refresh } from '../../apply/refresh.ts'
import { diagnosticOf } from '../../errors.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { exceptSpans } from '../../spec/scope.ts'
import type { FileTarget } from './file-target.ts'
import { type KernelPass, onlyWait, readInPasses } from './host-reading.ts'
import { type Failure, type PartialPlan, planPartially } from './partial-plan.ts'

/** What came of a run. */
export interface Outcome {
  /** The first look at all of what is possible; null: the host could not be read. */
  readonly view: PlanView | null
  /** What was not as wanted. */
  readonly found: readonly PlannedChange[]
  /** What was done, and is as wanted now. */
  readonly done: readonly PlannedChange[]
  readonly failures: readonly Failure[]
}

/** How far a run goes. */
export interface Limits {
  /** It only looks. */
  readonly dryRun: boolean
  readonly allowEmpty: boolean
  /** The file is new: nothing is done before all is known, but where that takes long. */
  readonly fresh: boolean
  /** Settles when something changes from now on. */
  readonly news: KernelPass['news']
  /** Gets what has failed already while Docker has not answered yet. */
  readonly failed: (failures: readonly Failure[]) => void
}

/**
 * Makes the aim true as far as that is possible. A span that cannot be made true stands in the way of no other.
 */
export async function reconcile(target: FileTarget, limits: Limits): Promise<Outcome> {
  let view: PlanView | null = null
  const early: PlannedChange[] = []
  try {
    const read = await readInPasses(target, repairEarly(limits, early))
    const possible = planPartially(read.target, read.facts)
    view = possible.view
    const failures = [...read.failures, ...possible.failures]
    if (!limits.allowEmpty) checkEmptyFile(target, view.plan)
    const found = [...early, ...view.plan.changes]
    if (limits.dryRun) return { view, found, done: [], failures }
    const { done, failures: more } = await makeTrue(possible)
    return { view, found, done: [...early, ...done], failures: [...failures, ...more] }
  } catch (error) {
    return {
      view,
      found: early,
      done: early,
      failures: [{ span: null, diagnostic: diagnosticOf(error), planned: false }]
    }
  }
}

/**
 * A span that fails is reported, and left for the run that knows all; the others go on. What only stands in the way of the plan is no
 * failure yet: with what Docker knows, it may not.
 */
function repairEarly({ dryRun, fresh, news, failed }: Limits, done: PlannedChange[]): KernelPass {
  if (dryRun) return onlyWait
  const left = new Set<string | null>()
  const note = (failures: readonly Failure[]) => {
    for (const { span } of failures) left.add(span)
    if (failures.length > 0) failed(failures)
  }
  const mend: KernelPass['mend'] = async (target, facts) => {
    if (left.has(null)) return false
    try {
      const possible = planPartially(leavingOut(target, [...left]), facts)
      const made = await makeTrue(possible)
      done.push(...made.done)
      note(made.failures)
      return possible.view.plan.changes.length > 0
    } catch (error) {
      note([{ span: null, diagnostic: diagnosticOf(error), planned: false }])
      return false
    }
  }
  return { eager: !fresh, news, mend }
}

/**
 * Looks at what of an aim is possible, and changes nothing.
 *
 * @throws SpanplanError if the host cannot be read.
 */
export async function refreshPartially(target: FileTarget): Promise<PlanView> {
  const { target: readable, facts } = await readInPasses(target, onlyWait)
  return planPartially(readable, facts).view
}

/** All at once; where that fails, and has been taken back, span by span. */
async function makeTrue({ target, view }: PartialPlan): Promise<Pick<Outcome, 'done' | 'failures'>> {
  const { changes } = view.plan
  if (changes.length === 0) return { done: [], failures: [] }
  const spans = [...new Set(changes.map(({ span }) => span))]
  try {
    return madeOf(await applyPlan(target, view, { allowEmpty: true }))
  } catch (error) {
    if (error instanceof PreflightError) throw error
    const [only = null] = spans
    if (spans.length === 1)
      return { done: [], failures: [{ span: only, diagnostic: diagnosticOf(error), planned: false }] }
  }
  const done: PlannedChange[] = []
  const failures: Failure[] = []
  for (const span of spans) {
    const part = targetOfSpan(target, span)
    try {
      const made = madeOf(await applyPlan(part, await refresh(part), { allowEmpty: true }))
      done.push(...made.done)
      failures.push(...made.failures)
    } catch (error) {
      failures.push({ span, diagnostic: diagnosticOf(error), planned: false })
    }
  }
  return { done, failures }
}

/** What could not be looked at afterwards stays, and is looked at again. */
function madeOf({ done, unverified }: ApplyResult): Pick<Outcome, 'done' | 'failures'> {
  return {
    done,
    failures: unverified === null ? [] : [{ span: null, diagnostic: diagnosticOf(unverified), planned: true }]
  }
}

/** null: what belongs to none that is known any more. */
function targetOfSpan(target: FileTarget, span: string | null): FileTarget {
  if (span !== null) return { ...target, scope: { ...target.scope, spans: { only: new Set([span]) } } }
  return leavingOut(
    target,
    target.spec.spans.map(({ name }) => name)
  )
}

function leavingOut(target: FileTarget, spans: readonly (string | null)[]): FileTarget {
  const names = spans.filter((span) => span !== null)
  return { ...target, scope: { ...target.scope, spans: exceptSpans(target.scope.spans, names) } }
}
