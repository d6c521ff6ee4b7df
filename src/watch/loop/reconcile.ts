import { checkEmpty } from '../../apply/empty.ts'
import { type Applied, apply } from '../../apply/executor.ts'
import { checkRights } from '../../apply/preflight.ts'
import { look, type View } from '../../apply/refresh.ts'
import { silent } from '../../apply/run-steps.ts'
import { type Notice, noticeOf } from '../../errors.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import { leaveOut } from '../../resources/mark-inventory.ts'
import { type Meanwhile, onlyWait, readPatiently } from './host-reading.ts'
import { type Failure, type Possible, planPossible } from './partial-plan.ts'
import type { FileAim } from './target.ts'

/** What came of a run. */
export interface Outcome {
  /** The first look at all of what is possible; null: the host could not be read. */
  readonly view: View | null
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
  readonly news: Meanwhile['news']
  /** Gets what has failed already while Docker has not answered yet. */
  readonly failed: (failures: readonly Failure[]) => void
}

/**
 * Makes the aim true as far as that is possible. A span that cannot be made true stands in the way of no other.
 */
export async function reconcile(aim: FileAim, limits: Limits): Promise<Outcome> {
  let view: View | null = null
  const early: PlannedChange[] = []
  try {
    const read = await readPatiently(aim, mendEarly(limits, early))
    const possible = planPossible(read.aim, read.host)
    view = possible.view
    const failures = [...read.failures, ...possible.failures]
    checkEmpty(aim, view.plan, limits.allowEmpty)
    const found = [...early, ...view.plan.changes]
    if (limits.dryRun) return { view, found, done: [], failures }
    const { done, failures: more } = await makeTrue(possible)
    return { view, found, done: [...early, ...done], failures: [...failures, ...more] }
  } catch (error) {
    return { view, found: early, done: early, failures: [{ span: null, notice: noticeOf(error), planned: false }] }
  }
}

/**
 * A span that fails is reported, and left for the run that knows all; the others go on. What only stands in the way of the plan is no
 * failure yet: with what Docker knows, it may not.
 */
function mendEarly({ dryRun, fresh, news, failed }: Limits, done: PlannedChange[]): Meanwhile {
  if (dryRun) return onlyWait
  const left = new Set<string | null>()
  const note = (failures: readonly Failure[]) => {
    for (const { span } of failures) left.add(span)
    if (failures.length > 0) failed(failures)
  }
  const mend: Meanwhile['mend'] = async (aim, host) => {
    if (left.has(null)) return false
    try {
      const possible = planPossible(leavingOut(aim, [...left]), host)
      const made = await makeTrue(possible)
      done.push(...made.done)
      note(made.failures)
      return possible.view.plan.changes.length > 0
    } catch (error) {
      note([{ span: null, notice: noticeOf(error), planned: false }])
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
export async function lookAtPossible(aim: FileAim): Promise<View> {
  const { aim: readable, host } = await readPatiently(aim, onlyWait)
  return planPossible(readable, host).view
}

/** All at once; where that fails, and has been taken back, span by span. */
async function makeTrue({ aim, view }: Possible): Promise<Pick<Outcome, 'done' | 'failures'>> {
  const { changes } = view.plan
  if (changes.length === 0) return { done: [], failures: [] }
  const none: readonly Notice[] = []
  checkRights(view.plan, none, none)
  // What has begun is finished, whatever signal comes.
  const { signal } = new AbortController()
  const spans = [...new Set(changes.map(({ span }) => span))]
  try {
    return madeOf(await apply(aim, view, silent, signal))
  } catch (error) {
    const [only = null] = spans
    if (spans.length === 1) return { done: [], failures: [{ span: only, notice: noticeOf(error), planned: false }] }
  }
  const done: PlannedChange[] = []
  const failures: Failure[] = []
  for (const span of spans) {
    const part = aimAtOne(aim, span)
    try {
      const made = madeOf(await apply(part, await look(part), silent, signal))
      done.push(...made.done)
      failures.push(...made.failures)
    } catch (error) {
      failures.push({ span, notice: noticeOf(error), planned: false })
    }
  }
  return { done, failures }
}

/** What could not be looked at afterwards stays, and is looked at again. */
function madeOf({ done, unverified }: Applied): Pick<Outcome, 'done' | 'failures'> {
  return { done, failures: unverified === null ? [] : [{ span: null, notice: noticeOf(unverified), planned: true }] }
}

/** null: what belongs to none that is known any more. */
function aimAtOne(aim: FileAim, span: string | null): FileAim {
  if (span !== null) return { ...aim, scope: { ...aim.scope, spans: { only: new Set([span]) } } }
  return leavingOut(
    aim,
    aim.spec.spans.map(({ name }) => name)
  )
}

function leavingOut(aim: FileAim, spans: readonly (string | null)[]): FileAim {
  const names = spans.filter((span) => span !== null)
  return { ...aim, scope: { ...aim.scope, spans: leaveOut(aim.scope.spans, names) } }
}
