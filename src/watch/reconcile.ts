import { apply } from '../apply/apply.ts'
import { checkEmpty } from '../apply/empty.ts'
import { look, planFor, readFor, type View } from '../apply/look.ts'
import { checkRights } from '../apply/rights.ts'
import { silent } from '../apply/steps.ts'
import { asForeseen, type Notice, SpanplanError } from '../errors.ts'
import type { Snapshot } from '../host/host.ts'
import type { PlannedChange } from '../plan/plan.ts'
import { chooses, leaveOut } from '../resources/wanted.ts'
import type { FileAim } from './aim.ts'

/** One span, or all of them (null), that could not be made true. */
interface Failure {
  readonly span: string | null
  readonly notice: Notice
  /** It only stands in the way of the plan: to find out whether it still does costs nothing. */
  readonly planned: boolean
}

/** What came of a run. */
export interface Outcome {
  /** The first look at what is possible; null: the host could not be read. */
  readonly view: View | null
  /** What was done, and is as wanted now. */
  readonly done: readonly PlannedChange[]
  readonly failures: readonly Failure[]
}

/** How far a run goes. */
interface Limits {
  /** It only looks. */
  readonly dryRun: boolean
  readonly allowEmpty: boolean
}

/**
 * Makes the aim true as far as that is possible. A span that cannot be made true stands in the way of no other.
 */
export async function reconcile(aim: FileAim, limits: Limits): Promise<Outcome> {
  let view: View | null = null
  try {
    const read = await readPatiently(aim)
    const possible = planPossible(read.aim, read.host)
    view = possible.view
    const failures = [...read.failures, ...possible.failures]
    checkEmpty(aim, view.plan, limits.allowEmpty)
    if (limits.dryRun || view.plan.changes.length === 0) return { view, done: [], failures }
    const none: readonly Notice[] = []
    checkRights(view.plan, none, none)
    const { done, failures: more } = await makeTrue(possible.aim, view)
    return { view, done, failures: [...failures, ...more] }
  } catch (error) {
    return { view, done: [], failures: [{ span: null, notice: noticeOf(error), planned: false }] }
  }
}

/** Docker that is there and fails, as while it ends, is no reason to leave all else alone. */
async function readPatiently(
  aim: FileAim
): Promise<{ readonly aim: FileAim; readonly host: Snapshot; readonly failures: readonly Failure[] }> {
  try {
    return { aim, host: await readFor(aim), failures: [] }
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.notices[0]?.code !== 'DOCKER_FAILED') throw error
    // What is to go may hang on Docker too.
    const scope = { ...aim.scope, spans: { only: new Set(spansOf(aim)) } }
    const without = { ...aim, scope, deferDocker: true }
    const failures = [{ span: null, notice: noticeOf(error), planned: true }]
    return { aim: without, host: await readFor(without), failures }
  }
}

/**
 * Looks at what of an aim is possible, and changes nothing.
 *
 * @throws SpanplanError if the host cannot be read.
 */
export async function lookAtPossible(aim: FileAim): Promise<View> {
  const { aim: readable, host } = await readPatiently(aim)
  return planPossible(readable, host).view
}

/** What is wanted less the spans in whose way something stands. */
interface Possible {
  readonly aim: FileAim
  readonly view: View
  readonly failures: readonly Failure[]
}

function planPossible(aim: FileAim, host: Snapshot): Possible {
  const whole = tryToPlan(aim, host)
  if ('view' in whole) return { aim, view: whole.view, failures: [] }
  const kept = new Set<string>()
  const failures: Failure[] = []
  // One after the other, for two of them may stand in each other's way.
  for (const name of spansOf(aim)) {
    const tried = tryToPlan(leaving(aim, kept, name), host)
    if ('view' in tried) kept.add(name)
    else failures.push({ span: name, notice: tried.notice, planned: true })
  }
  const possible = leaving(aim, kept, null)
  return { aim: possible, view: planFor(possible, host), failures }
}

function tryToPlan(aim: FileAim, host: Snapshot): { readonly view: View } | { readonly notice: Notice } {
  try {
    return { view: planFor(aim, host) }
  } catch (error) {
    return { notice: noticeOf(error) }
  }
}

/** The same without the spans of the file that are not kept, and are not this one either. */
function leaving(aim: FileAim, kept: ReadonlySet<string>, name: string | null): FileAim {
  const others = spansOf(aim).filter((span) => !kept.has(span) && span !== name)
  return { ...aim, scope: { ...aim.scope, spans: leaveOut(aim.scope.spans, others) } }
}

/** The names of the spans of the file that it is about. */
export function spansOf({ spec, scope }: FileAim): string[] {
  return spec.spans.map(({ name }) => name).filter((name) => chooses(scope.spans, name))
}

/** All at once; where that fails, and has been taken back, span by span. */
async function makeTrue(aim: FileAim, view: View): Promise<Pick<Outcome, 'done' | 'failures'>> {
  // What has begun is finished, whatever signal comes.
  const { signal } = new AbortController()
  const { changes } = view.plan
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

/** All that an error says, in one: the first says where. */
export function noticeOf(error: unknown): Notice {
  const [first, ...others] = asForeseen(error).notices
  if (first === undefined) return { code: 'BUG', message: String(error) }
  return { ...first, message: [first, ...others].map(({ message }) => message).join('\n') }
}
