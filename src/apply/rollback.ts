import { type Diagnostic, SpanplanError } from '../errors.ts'
import { findBlockers, type PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { printable } from '../printable.ts'
import { refreshForRollback } from './refresh.ts'
import { type Log, type Progress, runSteps } from './run-steps.ts'

/** What came of a rollback. */
export interface RollbackResult {
  /** The host is as it was, and that was looked at. */
  readonly whole: boolean
  /** What would still have to be done. */
  readonly left: readonly PlannedChange[]
  /** Why that could not be done. */
  readonly causes: readonly Diagnostic[]
  /** Something had to be taken back. */
  readonly changed: boolean
}

/** Of a rollback that had nothing to do. */
export const nothingLeft: RollbackResult = { whole: true, left: [], causes: [], changed: false }

/**
 * Leads the host back to what it was like at the first look, looks, and goes on until it is. A step that fails does not
 * keep the others from being done.
 */
export async function rollBack(target: Target, first: PlanView, progress: Progress): Promise<RollbackResult> {
  const log: Log = { done: [], begun: false }
  const failures = new Map<string, Diagnostic>()
  let left: readonly PlannedChange[] = []
  // A round ends with a step that fails, and does not try it again, or with none; Docker names ports after a first one.
  for (let round = 0, most = 3; ; round++) {
    const view = await tryLook(target, first)
    if ('code' in view) return remain(log, progress, left, view, failures)
    const away = missesDocker(first, view)
    // What is not seen may be there.
    left = away ? view.plan.changes.filter((change) => !asksDocker(change)) : view.plan.changes
    for (const blocker of findBlockers(left, { wanted: view.desired.wanted, host: view.host })) {
      failures.set(blocker.address ?? '', blocker)
    }
    const possible = left.filter((change) => !failures.has(change.address) && !isNeeded(change, left))
    if (possible.length === 0 || round === most) return remain(log, progress, left, away, failures)
    const ending = await runSteps(possible, log, progress)
    if (ending.ended !== 'failed') continue
    const { task, error } = ending.failure
    failures.set(task.change.address, {
      code: 'STEP_FAILED',
      message: `could not ${printable(task.step.summary)}: ${error.message}`
    })
    most++
  }
}

/** `blind`: what could not be looked at, in which case more may be left. */
function remain(
  { begun }: Log,
  progress: Progress,
  left: readonly PlannedChange[],
  blind: Diagnostic | null,
  failures: ReadonlyMap<string, Diagnostic>
): RollbackResult {
  const whole = left.length === 0 && blind === null
  const changed = begun || !whole
  if (changed) progress.rolledBack(whole, left)
  return { whole, left, causes: [...failures.values(), ...(blind ? [blind] : [])], changed }
}

async function tryLook(target: Target, first: PlanView): Promise<PlanView | Diagnostic> {
  try {
    return await refreshForRollback(target, first)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return { code: 'ROLLBACK_BLIND', message: `the host cannot be read: ${error.message}` }
  }
}

/** A card or a container that is not yet as it was: what remembers how it was is kept until it is. */
function isNeeded({ remembers }: PlannedChange, left: readonly PlannedChange[]): boolean {
  const isAbout = ({ device, container }: PlannedChange) =>
    remembers.some((one) => ('device' in one ? one.device === device : one.container === container))
  return left.some((other) => other.remembers.length === 0 && isAbout(other))
}

/** Docker was there at first; without it, what was done in it is not seen. */
function missesDocker({ host: then }: PlanView, { host: now }: PlanView): Diagnostic | null {
  return then.docker.state === 'read' && now.docker.state === 'unreachable' ? now.docker.reason : null
}

/** Docker is asked to do it, or a part of it. */
export function asksDocker({ stages }: PlannedChange): boolean {
  return stages.some(({ steps }) => steps.some((step) => 'docker' in step))
}
