import { Exit, type Notice, SpanplanError } from '../errors.ts'
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
  let done = 0
  for (let round = 0; round < rounds; round++) {
    if (view.plan.changes.length === 0) return view
    done += await runPlan(view.plan, done, progress, signal)
    view = await look(aim)
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

async function runPlan(plan: Plan, before: number, progress: Progress, signal: AbortSignal): Promise<number> {
  const batches = makeBatches(orderStages(plan.changes))
  const needsDocker = batches.some(({ tool }) => tool === 'docker')
  const daemon = needsDocker ? await findDaemon() : null
  if (daemon !== null && 'reason' in daemon) throw new SpanplanError(daemon.reason)
  const finished: Task[] = []
  for (const batch of batches) {
    if (signal.aborted) throw interrupted(plan, finished, before)
    progress.start(batch.tasks)
    try {
      await runBatch(batch, daemon?.docker ?? null)
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error
      finished.push(...error.done)
      if (signal.aborted) throw interrupted(plan, finished, before)
      progress.done(error.done)
      progress.failed(error.task, error.error.notices)
      throw stopped(plan, finished, before, error)
    }
    progress.done(batch.tasks)
    finished.push(...batch.tasks)
  }
  return finished.length
}

function stopped(plan: Plan, finished: readonly Task[], before: number, failure: StepFailed): SpanplanError {
  const { step, change } = failure.task
  const [cause] = failure.error.notices
  return new SpanplanError(
    {
      code: cause?.code ?? 'STEP_FAILED',
      message: `could not ${step.summary}: ${cause?.message ?? failure.message}${remains(plan, finished, before)}`,
      hint: cause?.hint ?? 'see what is left with: spanplan plan; nothing is lost by running it again',
      address: change.address,
      ...(change.origin && { origin: change.origin })
    },
    finished.length + before === 0 ? failure.error.exit : Exit.partial,
    { cause: failure }
  )
}

function interrupted(plan: Plan, finished: readonly Task[], before: number): SpanplanError {
  const nothing = finished.length + before === 0
  const code = { code: 'INTERRUPTED', message: `interrupted${remains(plan, finished, before)}` }
  return new SpanplanError(code, nothing ? Exit.interrupted : Exit.partial)
}

function remains(plan: Plan, finished: readonly Task[], before: number): string {
  if (finished.length + before === 0) return '\nNothing was changed.'
  const steps = new Set(finished.map(({ step }) => step))
  const left = plan.changes.filter((change) =>
    change.stages.some((stage) => stage.steps.some((step) => !steps.has(step)))
  )
  return `\nWhat was done before that stays. Not done, or not whole:${list(left)}`
}

function list(changes: readonly PlannedChange[]): string {
  return changes.map((change) => `\n  ${renderChange(change)}`).join('')
}
