import type { ApplyResult } from '../../apply/executor.ts'
import type { Diagnostic } from '../../errors.ts'
import { planDocument } from '../../plan/output/plan-json.ts'
import { countActions, renderPlan } from '../../plan/output/plan-text.ts'
import { signs } from '../../plan/output/signs.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import { diagnosticDocument, type Wait } from '../../resources/kind.ts'
import { type Session, warn } from '../session.ts'
import { choosePaint, lineWidth } from './colours.ts'
import { printEvent, printResult } from './progress.ts'

/**
 * Prints the plan before it is applied.
 *
 * @param more warnings that are not of the plan itself.
 */
export function printPlan(
  session: Session,
  { spec, isDestroy }: Target,
  view: PlanView,
  more: readonly Diagnostic[]
): void {
  const plan = { ...view.plan, warnings: [...view.plan.warnings, ...more] }
  warn(session, plan.warnings)
  if (session.json) {
    printEvent('version', { spanplan_version: SPANPLAN_VERSION })
    const about = { spec: isDestroy ? null : spec, version: SPANPLAN_VERSION, created: new Date().toISOString() }
    printEvent('plan', planDocument(plan, { ...view, ...about }))
    if (plan.changes.length === 0) printEvent('summary', countActions(plan))
    return
  }
  const paint = choosePaint(session.color, process.stdout)
  process.stdout.write(renderPlan(plan, spec.files, paint, lineWidth(process.stdout)))
}

/** Prints what was done, once all of it is verified. */
export function printSummary(session: Session, target: Target, { first, last, leftOut }: ApplyResult): void {
  const failed = new Set(leftOut.map(({ change }) => change.address))
  const { plan } = first
  // What depends on a failed change was not made either.
  const left = new Set([...failed, ...last.plan.changes.map(({ address }) => address)])
  const changes = plan.changes.filter(({ address }) => !left.has(address))
  const summary = countActions({ ...plan, changes })
  const more = failed.size === 0 ? {} : { failed: failed.size }
  printResult(session, renderSummary(target, summary, failed.size), 'summary', { ...summary, ...more })
}

function renderSummary({ isDestroy }: Target, counts: ReturnType<typeof countActions>, failed: number): string {
  const done = (['create', 'update', 'replace', 'remove', 'adopt'] as const)
    .filter((action) => counts[action] > 0)
    .map((action) => `${counts[action]} ${signs[action].done}`)
    .join(', ')
  const { wait } = counts
  const waits = [
    ...(failed === 0 ? [] : [`; ${failed} failed`]),
    ...(wait === 0 ? [] : [`; ${wait} ${wait === 1 ? 'waits' : 'wait'}`])
  ].join('')
  if (!isDestroy) return `Applied and verified: ${done || 'nothing'}${waits}.`
  const rest = wait === 0 ? '' : ' for Docker. To remove the rest, run it again without --defer-docker'
  return `Destroyed and verified: ${done}${waits}${rest}.`
}

/** Prints which sensors have to be restarted. */
export function printRestarts(session: Session, restarts: readonly Diagnostic[]): void {
  if (session.json) for (const one of restarts) printEvent('restart', diagnosticDocument(one))
  else warn(session, restarts)
}

/** Prints which sensors `--wait` waits for. */
export function printWait(session: Session, missing: readonly Wait[], until: Date): void {
  const text = `Waiting until ${until.toLocaleTimeString('sv-SE')} for ${listTitles(missing)}`
  printResult(session, text, 'wait', { until: until.toISOString(), waiting: diagnosticsOf(missing) })
}

/** Prints which sensors are missing when `--wait` is over. */
export function printWaitOver(session: Session, missing: readonly Wait[]): void {
  const text = missing.length === 0 ? 'All sensors are connected.' : `Still missing: ${listTitles(missing)}`
  printResult(session, text, 'wait_over', { waiting: diagnosticsOf(missing) })
}

function diagnosticsOf(waits: readonly Wait[]) {
  return waits.map(({ diagnostic }) => diagnosticDocument(diagnostic))
}

function listTitles(waits: readonly Wait[]): string {
  return waits.map(({ title }) => printable(title)).join(', ')
}
