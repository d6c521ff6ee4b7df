import { apply } from '../apply/apply.ts'
import { checkEmpty } from '../apply/empty.ts'
import { look, type View } from '../apply/look.ts'
import { checkRights } from '../apply/rights.ts'
import { silent } from '../apply/steps.ts'
import { type Notice, noticeOf } from '../errors.ts'
import type { PlannedChange } from '../plan/plan.ts'
import { leaveOut } from '../resources/wanted.ts'
import type { FileAim } from './aim.ts'
import { type Failure, type Possible, planPossible } from './possible.ts'
import { type Meanwhile, onlyWait, readPatiently } from './reading.ts'

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

/** Until something fails: it does so again for who knows all, and tells of it. */
function mendEarly({ dryRun, fresh, news }: Limits, done: PlannedChange[]): Meanwhile {
  if (dryRun) return onlyWait
  let goesWell = true
  const mend: Meanwhile['mend'] = async (aim, host) => {
    if (!goesWell) return false
    goesWell = false
    try {
      const possible = planPossible(aim, host)
      const made = await makeTrue(possible)
      done.push(...made.done)
      goesWell = made.failures.length === 0
      return possible.view.plan.changes.length > 0
    } catch {
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
    const { done } = await apply(aim, view, silent, signal)
    return { done, failures: [] }
  } catch (error) {
    const [only = null] = spans
    if (spans.length === 1) return { done: [], failures: [{ span: only, notice: noticeOf(error), planned: false }] }
  }
  const done: PlannedChange[] = []
  const failures: Failure[] = []
  for (const span of spans) {
    const part = aimAtOne(aim, span)
    try {
      done.push(...(await apply(part, await look(part), silent, signal)).done)
    } catch (error) {
      failures.push({ span, notice: noticeOf(error), planned: false })
    }
  }
  return { done, failures }
}

/** null: what belongs to none that is known any more. */
function aimAtOne(aim: FileAim, span: string | null): FileAim {
  const spans =
    span === null
      ? leaveOut(
          aim.scope.spans,
          aim.spec.spans.map(({ name }) => name)
        )
      : { only: new Set([span]) }
  return { ...aim, scope: { ...aim.scope, spans } }
}
