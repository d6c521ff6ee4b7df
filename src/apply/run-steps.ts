import type { Diagnostic } from '../errors.ts'
import { connectDocker } from '../host/docker/docker-client.ts'
import { findBlockers, isBlockable, orderStages, type PlannedChange } from '../plan/plan.ts'
import type { ObservedState } from '../resources/kind.ts'
import { type Batch, makeBatches, runBatch, StepFailed, type Task } from './batch.ts'

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
  /** All was done but the removal of what others have come to use since; each blocker has the address of its change. */
  | { readonly ended: 'blocked'; readonly blockers: readonly Diagnostic[] }

/** What an apply that goes forward minds between its batches. */
export interface Care {
  readonly signal: AbortSignal
  /** The host as it was when the plan was made. */
  readonly planned: ObservedState
  /** Looks at the host as it is now. */
  readonly observeDuringApply: () => Promise<ObservedState>
}

/** Carries out the steps of some changes that are not done yet, in their order, until one fails or the signal says stop. */
export async function runSteps(
  changes: readonly PlannedChange[],
  log: Log,
  progress: Progress,
  care?: Care
): Promise<Ending> {
  const { signal } = care ?? {}
  const done = new Set(log.done.map(({ step }) => step))
  const batches = makeBatches(orderStages(changes), done)
  const docker = batches.some(({ tool }) => tool === 'docker') ? await connectDocker() : null
  const blockers: Diagnostic[] = []
  for (const planned of batches) {
    if (signal?.aborted) return { ended: 'interrupted' }
    blockers.push(...(care === undefined ? [] : await findBlockersNow(planned, care)))
    const batch = { ...planned, tasks: planned.tasks.filter(({ change }) => !isBlocked(change, blockers)) }
    if (batch.tasks.length === 0) continue
    log.begun = true
    progress.start(batch.tasks)
    const failure = await tryBatch(batch, docker)
    const tasks = failure === null ? batch.tasks : (failure.done ?? [])
    log.done.push(...tasks)
    progress.done(tasks)
    if (failure === null) continue
    if (signal?.aborted) return { ended: 'interrupted' }
    progress.failed(failure)
    return { ended: 'failed', failure }
  }
  return blockers.length === 0 ? { ended: 'whole' } : { ended: 'blocked', blockers }
}

/** Since the plan was made, others may have hung something on what is about to go: the kernel would take it along. */
async function findBlockersNow({ tasks }: Batch, { planned, observeDuringApply }: Care): Promise<Diagnostic[]> {
  const going = [...new Set(tasks.map(({ change }) => change))].filter(isBlockable)
  return going.length === 0 ? [] : findBlockers(going, await observeDuringApply(), planned)
}

/** Whether something foreign keeps a change from being done. */
export function isBlocked({ address }: PlannedChange, blockers: readonly Diagnostic[]): boolean {
  return blockers.some((blocker) => blocker.address === address)
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
