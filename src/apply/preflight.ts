import { meaningOf } from '../codes/meanings.ts'
import { type Diagnostic, SpanplanError } from '../errors.ts'
import { findMissingRights, rightMissing } from '../host/process/process-rights.ts'
import type { Plan } from '../plan/plan.ts'
import { countEmptyFileRemovals, ifEmptyIsMeant, writeEmptied } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'

/** What the caller knows, and what the user has allowed. */
export interface PreflightOptions {
  /** A file without spans may remove all that is live. Default: no. */
  readonly allowEmpty?: boolean
  /** Why the lock could not be taken. Ignored where there is nothing to change. */
  readonly lock?: readonly Diagnostic[]
  /** Why Docker could not be asked. */
  readonly docker?: readonly Diagnostic[]
  /** Why the file could not be installed. Ignored where there is nothing to change: then installing the file says so. */
  readonly install?: readonly Diagnostic[]
}

/** A plan may not be applied. Nothing was changed. */
export class PreflightError extends SpanplanError {}

/**
 * Checks that a plan may be applied, before anything is changed.
 *
 * @throws PreflightError with every right that is missing, and why the file cannot be installed; or EMPTY_REFUSED.
 */
export function preflight(
  target: Target,
  plan: Plan,
  { allowEmpty = false, lock = [], docker = [], install = [] }: PreflightOptions
): void {
  const changesNetwork = plan.changes.some(({ stages }) =>
    stages.some(({ steps }) => steps.some((step) => 'argv' in step))
  )
  const filters = plan.waiting.filter((wait) => meaningOf(wait.diagnostic).lacksRight)
  const network = changesNetwork ? findMissingRights('changing the network') : null
  const missing = [
    ...(network === null ? [] : [network]),
    ...filters.slice(0, 1).map(({ title, diagnostic }) => rightMissing(`${title} ${diagnostic.message}`)),
    ...docker,
    ...(plan.changes.length > 0 || docker.length > 0 ? [...lock, ...install] : [])
  ]
  const last = missing.at(-1)
  if (last !== undefined)
    throw new PreflightError([...missing.slice(0, -1), { ...last, message: `${last.message}. Nothing was changed.` }])
  if (!allowEmpty) checkEmptyFile(target, plan)
}

/**
 * Checks that a file that lost its content by accident does not remove every span.
 *
 * @throws PreflightError EMPTY_REFUSED.
 */
export function checkEmptyFile(target: Target, plan: Plan): void {
  const removals = countEmptyFileRemovals(target, plan)
  if (removals === 0) return
  throw new PreflightError({
    code: 'EMPTY_REFUSED',
    message: `the file has no spans: this would remove ${writeEmptied(target)} (${removals}). Nothing was changed.`,
    hint: ifEmptyIsMeant(target)
  })
}
