import { type Diagnostic, diagnostic, ifForeseen, SpanplanError } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import { findReconnected, findRestarts, type ListenedInterface, readListened } from '../look/listening.ts'
import { refreshForRollback } from '../look/refresh.ts'
import { nameContainer } from '../plan/output/plan-text.ts'
import { breaksLoop, findBlockers, isTolerated, type PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { printable } from '../printable.ts'
import { type Progress, runSteps, type StepLog } from './run-steps.ts'

/** What a rollback has done. */
export interface RollbackResult {
  /** The host was read again, and is as it was. */
  readonly complete: boolean
  /** The changes that are still to be made. */
  readonly left: readonly PlannedChange[]
  /** Why they could not be made. */
  readonly causes: readonly Diagnostic[]
  /** There was something to roll back. */
  readonly changed: boolean
  /** The sensors that have lost their interface meanwhile. */
  readonly restarts: readonly Diagnostic[]
  /** The containers that mirrors fed straight before, and that have ended meanwhile. */
  readonly ended: readonly string[]
}

/**
 * Plans and applies the way back to the host of a plan view, until nothing is left to do. A step that fails does not keep
 * the other changes from being rolled back.
 *
 * @param listened the interfaces of sensors before an apply; by default, those that the rollback itself takes away.
 */
export async function rollBack(
  target: Target,
  first: PlanView,
  progress: Progress,
  listened?: readonly ListenedInterface[]
): Promise<RollbackResult> {
  progress.rollingBack()
  let before = listened
  const log: StepLog = { done: [], begun: false }
  const failures = new Map<string, Diagnostic>()
  let left: readonly PlannedChange[] = []
  // Where the host or Docker could not be read, more may be left.
  const conclude = (
    unread: Diagnostic | null,
    restarts: readonly Diagnostic[],
    ended: readonly string[] = []
  ): RollbackResult => {
    // What others may undo is no part of the host that was there before; what has failed, nobody has undone.
    const complete = left.every((change) => isTolerated(change) && !failures.has(change.address)) && unread === null
    const changed = log.begun || !complete
    if (changed) progress.rolledBack(complete, left)
    // One thing may be in the way of several changes.
    const causes = new Map([...failures.values(), ...(unread ? [unread] : [])].map((cause) => [cause.message, cause]))
    return { complete, left, causes: [...causes.values()], changed, restarts, ended }
  }
  // Three rounds, for Docker creates ports in the first one; and one more for each step that fails, which is not tried again.
  for (let round = 0, rounds = 3; ; round++) {
    const view = await refreshForRollback(target, first).catch(ifForeseen)
    if (view instanceof SpanplanError) {
      return conclude(diagnostic('ROLLBACK_BLIND', `the host cannot be read: ${view.message}`), [])
    }
    before ??= await readListened(view.host, findReconnected(view.plan.changes))
    const unread = dockerUnread(first, view)
    // What Docker has is not known, so it is not called missing.
    left = unread ? view.plan.changes.filter((change) => !needsDocker(change)) : view.plan.changes
    for (const change of left) for (const blocker of findBlockers([change], view)) failures.set(change.address, blocker)
    const possible = left.filter((change) => !failures.has(change.address) && !isStillNeeded(change, left))
    if (possible.length === 0 || round === rounds) {
      return conclude(unread, await findRestarts(before, view.host), findEnded(first, view))
    }
    const result = await runSteps(possible, log, progress)
    if (result.ended !== 'failed') continue
    const { task, error } = result.failure
    failures.set(task.change.address, {
      code: 'STEP_FAILED',
      message: `could not ${printable(nameContainer(task.step.summary, task.change))}: ${error.message}`
    })
    rounds++
  }
}

/**
 * Whether a change removes a mark that remembers the earlier state of an interface or container that is not restored yet. A mirror
 * that would be on a loop does not stay: the bridge that it feeds remembers the same, or nothing has to be remembered of the interface.
 */
function isStillNeeded(change: PlannedChange, left: readonly PlannedChange[]): boolean {
  if (breaksLoop(change)) return false
  const isAbout = ({ device, container }: PlannedChange) =>
    change.remembers.some((one) => ('device' in one ? one.device === device : one.container === container))
  return left.some((other) => other.remembers.length === 0 && isAbout(other))
}

/** Why Docker's part cannot be compared, where Docker was read before the apply and cannot be reached now. */
function dockerUnread({ host: before }: PlanView, { host: now }: PlanView): Diagnostic | null {
  return before.docker.state === 'read' && now.docker.state === 'unreachable' ? now.docker.reason : null
}

/** A part of the frames is handed to these alone. */
function findEnded({ marks, host: then }: PlanView, { host: now }: PlanView): string[] {
  if (now.docker.state !== 'read') return []
  const fed = [...marks.mirrors.values()].flatMap(({ feed, inScope }) =>
    inScope && feed?.kind === 'sensor' ? [feed.name] : []
  )
  const runs = (host: HostIndex, name: string) => host.containerOf(name)?.running === true
  return [...new Set(fed)].filter((name) => runs(then, name) && !runs(now, name))
}

/** Whether Docker has to carry out a step of the change. */
export function needsDocker({ stages }: PlannedChange): boolean {
  return stages.some(({ steps }) => steps.some((step) => 'docker' in step))
}
