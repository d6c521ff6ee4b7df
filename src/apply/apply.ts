import { Exit, type ExitCode, type Notice, SpanplanError } from '../errors.ts'
import { findDaemon } from '../host/daemon.ts'
import { orderStages, type Plan, type PlannedChange } from '../plan/plan.ts'
import { renderChange } from '../plan/render.ts'
import { makeBatches, runBatch, StepFailed, type Task } from './batch.ts'
import { type Aim, look, type View } from './look.ts'

/** What a person or a program may follow an apply by. */
export interface Progress {
  start(tasks: readonly Task[]): void
  done(tasks: readonly Task[]): void
  failed(task: Task, notices: readonly Notice[]): void
}

/** Docker gives a port its name in the first round, so it is sealed in the second; the third is for what others did meanwhile. */
const rounds = 3

/** What has been done so far, over all rounds. */
interface Log {
  readonly done: Task[]
  /** Something was changed, or may have been: a program that was ended does not say. */
  touched: boolean
}

/**
 * Carries out a plan, looks again, and goes on until nothing is left to do.
 *
 * @returns the last look, whose plan is empty.
 * @throws SpanplanError that names the step that failed, or what did not become true, and what is left.
 */
export async function apply(aim: Aim, first: View, progress: Progress, signal: AbortSignal): Promise<View> {
  let view = first
  const log: Log = { done: [], touched: false }
  for (let round = 0; round < rounds; round++) {
    if (view.plan.changes.length === 0) return view
    const { plan } = view
    const failure = await runPlan(plan, log, progress, signal)
    view = await lookAgain(aim, plan, log, failure)
    // What the step was for may have gone meanwhile, as the port of a sensor that was stopped: then nothing is amiss.
    if (failure !== null && !hasGone(failure.task.change, view.plan)) throw stopped(plan, log, failure)
  }
  if (view.plan.changes.length === 0) return view
  throw new SpanplanError(
    {
      code: 'NOT_CONVERGED',
      message: `done, but this is still not as wanted:${list(view.plan.changes)}`,
      hint: 'something else may be changing it: see ip monitor, tc monitor and docker events'
    },
    Exit.partial
  )
}

/**
 * The thing is not there any more: a device, and what was on it, that the new plan does not know; a container that it
 * waits for. Of a container that it does not know, that cannot be told: others may have connected it, before it was
 * taken off.
 */
function hasGone({ kind, address }: PlannedChange, { changes, waiting }: Plan): boolean {
  const waits = waiting.some((wait) => wait.notice.address === address)
  return waits || (kind !== 'sensor' && !changes.some((change) => change.address === address))
}

/** A look that fails after something was changed does not hide that. */
async function lookAgain(aim: Aim, plan: Plan, log: Log, failure: StepFailed | null): Promise<View> {
  try {
    return await look(aim)
  } catch (error) {
    if (failure !== null) throw stopped(plan, log, failure)
    if (!(error instanceof SpanplanError) || !log.touched) throw error
    throw new SpanplanError(error.notices, Exit.partial, { cause: error })
  }
}

/** Adds to the log what is done; gives back the failure that stopped it. */
async function runPlan(plan: Plan, log: Log, progress: Progress, signal: AbortSignal): Promise<StepFailed | null> {
  const batches = makeBatches(orderStages(plan.changes))
  const needsDocker = batches.some(({ tool }) => tool === 'docker')
  const daemon = needsDocker ? await findDaemon() : null
  if (daemon !== null && 'reason' in daemon) throw dockerGone(plan, log, daemon.reason)
  for (const batch of batches) {
    if (signal.aborted) throw interrupted(plan, log, signal)
    progress.start(batch.tasks)
    const failure = await tryBatch(batch, daemon?.docker ?? null)
    const done = failure === null ? batch.tasks : (failure.done ?? [])
    log.done.push(...done)
    log.touched ||= done.length > 0 || failure?.done === null
    progress.done(done)
    if (failure === null) continue
    if (signal.aborted) throw interrupted(plan, log, signal)
    progress.failed(failure.task, failure.error.notices)
    return failure
  }
  return null
}

async function tryBatch(...args: Parameters<typeof runBatch>): Promise<StepFailed | null> {
  try {
    await runBatch(...args)
    return null
  } catch (error) {
    if (error instanceof StepFailed) return error
    throw error
  }
}

function stopped(plan: Plan, log: Log, failure: StepFailed): SpanplanError {
  const { step, change } = failure.task
  const [cause] = failure.error.notices
  return new SpanplanError(
    {
      code: cause?.code ?? 'STEP_FAILED',
      message: `could not ${step.summary}: ${cause?.message ?? failure.message}${remains(plan, log)}`,
      hint: cause?.hint ?? 'see what is left with: spanplan plan; nothing is lost by running it again',
      address: change.address,
      ...(change.origin && { origin: change.origin })
    },
    log.touched ? Exit.partial : failure.error.exit,
    { cause: failure }
  )
}

function dockerGone(plan: Plan, log: Log, reason: Notice): SpanplanError {
  const message = `${reason.message}${remains(plan, log)}`
  return new SpanplanError({ ...reason, message }, log.touched ? Exit.partial : undefined)
}

function interrupted(plan: Plan, log: Log, signal: AbortSignal): SpanplanError {
  return new SpanplanError(
    { code: 'INTERRUPTED', message: `interrupted${remains(plan, log)}` },
    log.touched ? Exit.partial : interruptedExit(signal)
  )
}

/** The status for the signal that the abort's reason names. */
export function interruptedExit(signal: AbortSignal): ExitCode {
  return signal.reason === 'SIGTERM' ? Exit.terminated : Exit.interrupted
}

function remains(plan: Plan, { done, touched }: Log): string {
  if (!touched) return '\nNothing was changed.'
  const steps = new Set(done.map(({ step }) => step))
  const left = plan.changes.filter((change) =>
    change.stages.some((stage) => stage.steps.some((step) => !steps.has(step)))
  )
  return `\nWhat was done before that stays. Not done, or not whole:${list(left)}`
}

function list(changes: readonly PlannedChange[]): string {
  return changes.map((change) => `\n  ${renderChange(change)}`).join('')
}
