import { isDeepStrictEqual } from 'node:util'
import type { Diagnostic } from '../errors.ts'
import { connectDocker } from '../host/docker/docker-client.ts'
import { findBlockers, isBlockable, orderStages, type PlannedChange } from '../plan/plan.ts'
import type { ObservedState } from '../resources/kind.ts'
import { recordDockerChange } from '../run-dir/docker-changes.ts'
import { makeBatches, runBatch, type StepFailed, type Task } from './batch.ts'

/** Is called as an apply goes on. */
export interface Progress {
  start(tasks: readonly Task[]): void
  done(tasks: readonly Task[]): void
  failed(failure: StepFailed): void
  /** Before a rollback: the steps that follow are those of the way back. */
  rollingBack(): void
  /** After a rollback. `left`: the changes that it could not make; more may be left where it could not read the host. */
  rolledBack(complete: boolean, left: readonly PlannedChange[]): void
}

/** Reports nothing. */
export const silent: Progress = { start() {}, done() {}, failed() {}, rollingBack() {}, rolledBack() {} }

/** What has been done so far. */
export interface StepLog {
  readonly done: Task[]
  /** A step was begun. A step that failed may have done a part of its work. */
  begun: boolean
}

/** How the steps of a plan ended. */
export type StepsResult =
  | { readonly ended: 'completed' }
  | { readonly ended: 'interrupted' }
  | { readonly ended: 'failed'; readonly failure: StepFailed }
  /** All was done but some removals: others use these things by now. Each blocker has the subject of its change. */
  | { readonly ended: 'blocked'; readonly blockers: readonly Diagnostic[] }

/** What an apply checks before each batch; a rollback does not. */
export interface BatchChecks {
  readonly signal: AbortSignal
  /** The host as it was when the plan was made. */
  readonly planned: ObservedState
  /** Reads the host as it is now. */
  readonly observe: () => Promise<ObservedState>
}

/** Carries out the steps of some changes that are not done yet, in their order, until a step fails or the signal aborts. */
export async function runSteps(
  changes: readonly PlannedChange[],
  log: StepLog,
  progress: Progress,
  checks?: BatchChecks
): Promise<StepsResult> {
  const batches = makeBatches(orderStages(changes), new Set(log.done.map(({ step }) => step)))
  const docker = batches.some(({ tool }) => tool === 'docker') ? await connectDocker() : null
  if (docker !== null) recordDockerChange()
  const blockers: Diagnostic[] = []
  for (const planned of batches) {
    if (checks?.signal.aborted) return { ended: 'interrupted' }
    // Since the plan was made, others may have attached something to a bridge that is removed: the kernel would remove that too.
    const removals = [...new Set(planned.tasks.map(({ change }) => change))].filter(isBlockable)
    if (checks !== undefined && removals.length > 0)
      blockers.push(...findBlockers(removals, await checks.observe(), checks.planned))
    const tasks = planned.tasks.filter(({ change }) => !isBlocked(change, blockers))
    if (tasks.length === 0) continue
    log.begun = true
    progress.start(tasks)
    const failure = await runBatch({ ...planned, tasks }, docker)
    const done = failure === null ? tasks : failure.done
    log.done.push(...done)
    progress.done(done)
    if (failure === null) continue
    if (checks?.signal.aborted) return { ended: 'interrupted' }
    progress.failed(failure)
    return { ended: 'failed', failure }
  }
  return blockers.length === 0 ? { ended: 'completed' } : { ended: 'blocked', blockers }
}

/** Whether a change has a blocker. */
export function isBlocked({ subject }: PlannedChange, blockers: readonly Diagnostic[]): boolean {
  return blockers.some((blocker) => isDeepStrictEqual(blocker.subject, subject))
}
