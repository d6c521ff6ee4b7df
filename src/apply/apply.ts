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

/**
 * Carries out a plan, looks again, and goes on until nothing is left to do.
 *
 * @returns the last look, whose plan is empty.
 * @throws SpanplanError that names the step that failed, or what did not become true, and what is left.
 */
export async function apply(aim: Aim, first: View, progress: Progress, signal: AbortSignal): Promise<View> {
  let view = first
  const finished: Task[] = []
  for (let round = 0; round < rounds; round++) {
    if (view.plan.changes.length === 0) return view
    const { plan } = view
    const failure = await runPlan(plan, finished, progress, signal)
    view = await lookAgain(aim, plan, finished, failure)
    // What the step was for may have gone meanwhile, as the port of a sensor that was stopped: then nothing is amiss.
    const stays = view.plan.changes.some(({ address }) => address === failure?.task.change.address)
    if (failure !== null && stays) throw stopped(plan, finished, failure)
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

/** A look that fails after something was changed does not hide that. */
async function lookAgain(aim: Aim, plan: Plan, finished: readonly Task[], failure: StepFailed | null): Promise<View> {
  try {
    return await look(aim)
  } catch (error) {
    if (failure !== null) throw stopped(plan, finished, failure)
    if (!(error instanceof SpanplanError) || finished.length === 0) throw error
    throw new SpanplanError(error.notices, Exit.partial, { cause: error })
  }
}

/** Adds to `finished` what is done; gives back the failure that stopped it. */
async function runPlan(
  plan: Plan,
  finished: Task[],
  progress: Progress,
  signal: AbortSignal
): Promise<StepFailed | null> {
  const batches = makeBatches(orderStages(plan.changes))
  const needsDocker = batches.some(({ tool }) => tool === 'docker')
  const daemon = needsDocker ? await findDaemon() : null
  if (daemon !== null && 'reason' in daemon) throw new SpanplanError(daemon.reason)
  for (const batch of batches) {
    if (signal.aborted) throw interrupted(plan, finished, signal)
    progress.start(batch.tasks)
    try {
      await runBatch(batch, daemon?.docker ?? null)
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error
      finished.push(...error.done)
      if (signal.aborted) throw interrupted(plan, finished, signal)
      progress.done(error.done)
      progress.failed(error.task, error.error.notices)
      return error
    }
    progress.done(batch.tasks)
    finished.push(...batch.tasks)
  }
  return null
}

function stopped(plan: Plan, finished: readonly Task[], failure: StepFailed): SpanplanError {
  const { step, change } = failure.task
  const [cause] = failure.error.notices
  return new SpanplanError(
    {
      code: cause?.code ?? 'STEP_FAILED',
      message: `could not ${step.summary}: ${cause?.message ?? failure.message}${remains(plan, finished)}`,
      hint: cause?.hint ?? 'see what is left with: spanplan plan; nothing is lost by running it again',
      address: change.address,
      ...(change.origin && { origin: change.origin })
    },
    finished.length === 0 ? failure.error.exit : Exit.partial,
    { cause: failure }
  )
}

function interrupted(plan: Plan, finished: readonly Task[], signal: AbortSignal): SpanplanError {
  return new SpanplanError(
    { code: 'INTERRUPTED', message: `interrupted${remains(plan, finished)}` },
    finished.length === 0 ? interruptedExit(signal) : Exit.partial
  )
}

/** The status for the signal that the abort's reason names. */
export function interruptedExit(signal: AbortSignal): ExitCode {
  return signal.reason === 'SIGTERM' ? Exit.terminated : Exit.interrupted
}

function remains(plan: Plan, finished: readonly Task[]): string {
  if (finished.length === 0) return '\nNothing was changed.'
  const steps = new Set(finished.map(({ step }) => step))
  const left = plan.changes.filter((change) =>
    change.stages.some((stage) => stage.steps.some((step) => !steps.has(step)))
  )
  return `\nWhat was done before that stays. Not done, or not whole:${list(left)}`
}

function list(changes: readonly PlannedChange[]): string {
  return changes.map((change) => `\n  ${renderChange(change)}`).join('')
}
