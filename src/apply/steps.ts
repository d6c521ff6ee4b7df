import { findDaemon } from '../host/daemon.ts'
import { orderStages, type PlannedChange } from '../plan/plan.ts'
import { makeBatches, runBatch, StepFailed, type Task } from './batch.ts'

/** What a person or a program may follow an apply by. */
export interface Progress {
  start(tasks: readonly Task[]): void
  done(tasks: readonly Task[]): void
  failed(failure: StepFailed): void
  /** What had been done was taken back: all of it, or all but for these and what could not be looked at. */
  rolledBack(whole: boolean, left: readonly PlannedChange[]): void
}

/** Nobody follows it. */
export const silent: Progress = { start() {}, done() {}, failed() {}, rolledBack() {} }

/** What has been done so far. */
export interface Log {
  readonly done: Task[]
  /** A step was begun: one that failed may have done a part of what it should. */
  begun: boolean
}

/** How the steps of a plan went. */
export type Ending =
  | { readonly ended: 'whole' | 'interrupted' }
  | { readonly ended: 'failed'; readonly failure: StepFailed }

/** Carries out the steps of some changes that are not done yet, in their order, until one fails or the signal says stop. */
export async function runSteps(
  changes: readonly PlannedChange[],
  log: Log,
  progress: Progress,
  signal?: AbortSignal
): Promise<Ending> {
  const done = new Set(log.done.map(({ step }) => step))
  const batches = makeBatches(orderStages(changes), done)
  const daemon = batches.some(({ tool }) => tool === 'docker') ? await findDaemon() : null
  for (const batch of batches) {
    if (signal?.aborted) return { ended: 'interrupted' }
    log.begun = true
    progress.start(batch.tasks)
    const failure = await tryBatch(batch, daemon)
    const tasks = failure === null ? batch.tasks : (failure.done ?? [])
    log.done.push(...tasks)
    progress.done(tasks)
    if (failure === null) continue
    if (signal?.aborted) return { ended: 'interrupted' }
    progress.failed(failure)
    return { ended: 'failed', failure }
  }
  return { ended: 'whole' }
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
