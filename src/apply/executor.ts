import { type Diagnostic, diagnosticOf, Exit, type ExitCode, interruptedExit, SpanplanError } from '../errors.ts'
import { renderChange } from '../plan/output/text.ts'
import type { PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { printable } from '../printable.ts'
import { containersOf } from '../resources/mark-inventory.ts'
import type { StepFailed } from './batch.ts'
import { observeDuringApply, refresh } from './refresh.ts'
import { asksDocker, nothingLeft, type RollbackResult, rollBack } from './rollback.ts'
import { isBlocked, type Log, type Progress, runSteps } from './run-steps.ts'

/**
 * Docker gives a port its name in the first round, so it is sealed in the second; the others are for what others do meanwhile:
 * the port of a container that Docker starts just then takes two, for its other end is not in the container at first.
 */
const rounds = 5

/** What an apply came to. */
export interface Applied {
  /** Its plan is empty. */
  readonly last: PlanView
  /** What was done, whether the first look or a later one found it; less the ports that came with a sensor, which stands for them. */
  readonly done: readonly PlannedChange[]
  /** Docker could not be looked at afterwards: what was done stays, and this says what of it is open. null: all was looked at. */
  readonly unverified: SpanplanError | null
}

/** A look after what was done. */
interface Sight {
  readonly view: PlanView
  /** Why it is one at the kernel alone; null: it is not. */
  readonly blind: Diagnostic | null
}

/**
 * Carries out a plan, looks again, and goes on until nothing is left to do. What fails, is interrupted or does not become
 * true is taken back: the host is then as it was at the first look. Docker that fails while it is looked at, once all is
 * done, is no such failure.
 *
 * @throws SpanplanError that names the step that failed, or what did not become true, and what came of taking it back.
 */
export async function apply(
  target: Target,
  first: PlanView,
  progress: Progress,
  signal: AbortSignal
): Promise<Applied> {
  const log: Log = { done: [], begun: false }
  try {
    const { view: last, blind } = await goForward(target, first, log, progress, signal)
    const done = changesOf(log)
    return {
      last,
      done: done.filter((change) => !hasComeWithSensor(change, first, done)),
      unverified: blind && unverified(blind, done, last)
    }
  } catch (error) {
    if (error instanceof Stopped) throw error
    const remainder = log.begun ? await rollBack(target, first, progress) : nothingLeft
    const untouched = remainder.whole && !remainder.changed && log.done.length === 0
    throw untouched
      ? withNote(error, '\nNothing was changed.')
      : withNote(error, describeRemainder(remainder), exitOf(remainder, signal))
  }
}

/**
 * Takes an apply back that is done.
 *
 * @param exit the status for one that is taken back whole.
 * @throws SpanplanError in any case: with what is left, or that nothing is.
 */
export async function rollBackApplied(
  target: Target,
  first: PlanView,
  progress: Progress,
  reason: Diagnostic,
  exit: ExitCode
): Promise<never> {
  const remainder = await rollBack(target, first, progress)
  const message = `${reason.message}${describeRemainder(remainder)}`
  throw new SpanplanError({ ...reason, message }, remainder.whole ? exit : Exit.partial)
}

async function goForward(
  target: Target,
  first: PlanView,
  log: Log,
  progress: Progress,
  signal: AbortSignal
): Promise<Sight> {
  let sight: Sight = { view: first, blind: null }
  for (let round = 0; round < rounds; round++) {
    const { view, blind } = sight
    if (view.plan.changes.length === 0) return sight
    const visible = blind === null ? target : { ...target, deferDocker: true }
    const next = await runRound(visible, view, view.plan.changes, log, progress, signal)
    sight = { view: next.view, blind: blind ?? next.blind }
  }
  const { view } = sight
  if (view.plan.changes.length === 0) return sight
  throw new SpanplanError({
    code: 'NOT_CONVERGED',
    message: `all was done, but this was still not as wanted:${list(view.plan.changes)}`,
    hint: 'something else may be changing it: see ip monitor, tc monitor and docker events'
  })
}

/** Others have come to use something since the plan was made: its removal is left out, and nothing is rolled back. */
class Stopped extends SpanplanError {
  constructor(blockers: readonly Diagnostic[], changes: readonly PlannedChange[]) {
    const left = changes.filter((change) => isBlocked(change, blockers))
    const message = `${blockers.at(-1)?.message}\nAll else was done. This is left, and can be removed as soon as nobody uses it:${list(left)}`
    super([...blockers.slice(0, -1), { code: 'BRIDGE_IN_USE', ...blockers.at(-1), message }], Exit.partial)
  }
}

/** In the order in which they were begun. */
function changesOf({ done }: Log): PlannedChange[] {
  return [...new Set(done.map(({ change }) => change))]
}

/** A port that was not there at the first look, of a span that a sensor was connected to since. */
function hasComeWithSensor(
  { kind, span, device }: PlannedChange,
  { host }: PlanView,
  done: readonly PlannedChange[]
): boolean {
  const isNew = kind === 'port' && !host.links.some(({ name }) => name === device)
  return isNew && done.some((other) => other.kind === 'sensor' && other.span === span)
}

/** Does all that is to be done, and looks again; of what a step fails for because the thing has gone, the rest is left. */
async function runRound(
  target: Target,
  before: PlanView,
  changes: readonly PlannedChange[],
  log: Log,
  progress: Progress,
  signal: AbortSignal
): Promise<Sight> {
  const planned = { wanted: before.desired.wanted, host: before.host }
  const ending = await runSteps(changes, log, progress, {
    signal,
    planned,
    observeDuringApply: () => observeDuringApply(target, before)
  })
  if (ending.ended === 'interrupted') throw interrupted(signal)
  if (ending.ended === 'blocked') throw new Stopped(ending.blockers, changes)
  const failure = ending.ended === 'failed' ? ending.failure : null
  if (failure === null) return lookAfter(target)
  const view = await refresh(target).catch(() => {
    throw stopped(failure)
  })
  const { change } = failure.task
  if (!hasGone(change, before, view)) throw stopped(failure)
  return runRound(
    target,
    before,
    changes.filter((other) => other !== change),
    log,
    progress,
    signal
  )
}

/** What tells that Docker could not be looked at. */
const ofDocker: ReadonlySet<string> = new Set(['DOCKER_FAILED', 'DOCKER_FORBIDDEN', 'DOCKER_UNREACHABLE'])

async function lookAfter(target: Target): Promise<Sight> {
  try {
    return { view: await refresh(target), blind: null }
  } catch (error) {
    if (!(error instanceof SpanplanError && error.diagnostics.every(({ code }) => ofDocker.has(code)))) throw error
    return { view: await refresh({ ...target, deferDocker: true }), blind: diagnosticOf(error) }
  }
}

function unverified({ message }: Diagnostic, done: readonly PlannedChange[], { plan }: PlanView): SpanplanError {
  const asked = done.filter(asksDocker)
  const waiting = plan.waiting.filter(({ diagnostic }) => diagnostic.code === 'DOCKER_DEFERRED')
  const others = waiting.filter(({ title }) => !asked.some((change) => change.title === title))
  const open = [...others.map(({ kind, title }) => `\n  ${kind} ${printable(title)}`), list(asked)].join('')
  return new SpanplanError(
    {
      code: 'UNVERIFIED',
      message: `all was done, and the kernel is in sync; but Docker could not be looked at afterwards: ${message}${open && `\nNot checked:${open}`}`,
      hint: 'nothing was taken back; once Docker answers, run it again: that checks it, and does what is left'
    },
    Exit.partial
  )
}

/** The thing was there, and is not any more: the device that it is on, the container; or that is waited for by now. */
function hasGone({ device, container, address }: PlannedChange, before: PlanView, now: PlanView): boolean {
  const waits = now.plan.waiting.some(({ diagnostic }) => diagnostic.address === address)
  const isThere = ({ host }: PlanView) =>
    host.links.some(({ name }) => name === device) || containersOf(host).some(({ name }) => name === container)
  return waits || (isThere(before) && !isThere(now))
}

function stopped({ task: { step, change }, error }: StepFailed): SpanplanError {
  const [cause] = error.diagnostics
  return new SpanplanError(
    {
      code: cause?.code ?? 'STEP_FAILED',
      message: `could not ${printable(step.summary)}: ${cause?.message ?? error.message}`,
      ...(cause?.hint !== undefined && { hint: cause.hint }),
      address: change.address,
      ...(change.origin && { origin: change.origin })
    },
    error.exit,
    { cause: error }
  )
}

function interrupted(signal: AbortSignal): SpanplanError {
  return new SpanplanError({ code: 'INTERRUPTED', message: 'interrupted' }, interruptedExit(signal))
}

function exitOf({ whole }: RollbackResult, signal: AbortSignal): ExitCode {
  if (!whole) return Exit.partial
  return signal.aborted ? interruptedExit(signal) : Exit.rolledBack
}

/** What was foreseen is reported with the note; a bug stays what it is. */
function withNote(error: unknown, note: string, exit?: ExitCode): unknown {
  if (!(error instanceof SpanplanError)) return error
  const [first, ...others] = error.diagnostics
  if (first === undefined) return error
  return new SpanplanError([{ ...first, message: `${first.message}${note}` }, ...others], exit ?? error.exit, {
    cause: error
  })
}

function describeRemainder({ whole, left, causes }: RollbackResult): string {
  if (whole) return '\nAll that had been done was taken back: the host is as it was.'
  const reasons = causes.map(({ message }) => `\n  ${message}`).join('')
  return `\nIt could not all be taken back:${reasons}${left.length > 0 ? `\nStill to be done for the host to be as it was:${list(left)}` : ''}`
}

function list(changes: readonly PlannedChange[]): string {
  return changes.map((change) => `\n  ${renderChange(change)}`).join('')
}
