import { planDocument } from '../../plan/output/json.ts'
import { countActions, renderPlan } from '../../plan/output/text.ts'
import type { Plan } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import type { Wait } from '../../resources/kind.ts'
import { type Session, warn } from '../session.ts'
import { printEvent } from './progress.ts'
import { choosePaint } from './terminal.ts'

/** Prints the plan before it is applied. */
export function printPlan(session: Session, target: Target, { host, filters, plan }: PlanView): void {
  const spec = target.isDestroy ? null : target.spec
  warn(session, plan.warnings)
  if (session.json) {
    printEvent('version', { spanplan_version: SPANPLAN_VERSION })
    const context = { spec, host, filters, version: SPANPLAN_VERSION, created: new Date().toISOString() }
    printEvent('plan', planDocument(plan, context))
    if (plan.changes.length === 0) printEvent('summary', countActions(plan))
    return
  }
  process.stdout.write(renderPlan(plan, spec?.files ?? [], choosePaint(session.color, process.stdout)))
}

/** Prints what was done, once all of it is verified. */
export function printSummary(session: Session, target: Target, plan: Plan): void {
  const summary = countActions(plan)
  if (session.json) printEvent('summary', summary)
  else process.stdout.write(`${renderSummary(target, summary)}\n`)
}

function renderSummary(
  target: Target,
  { create, update, replace, remove, adopt, wait }: ReturnType<typeof countActions>
): string {
  const adopted = adopt === 0 ? '' : `, ${adopt} adopted`
  const waits = wait === 0 ? '' : `; ${wait} ${wait === 1 ? 'waits' : 'wait'}`
  if (!target.isDestroy) {
    return `Applied: ${create} created, ${update} changed, ${replace} replaced, ${remove} removed${adopted}${waits}. Checked: all is in sync.`
  }
  const rest =
    wait === 0 ? 'Checked: nothing of it is left.' : 'The rest waits for Docker: run it again without --defer-docker.'
  return `Destroyed: ${remove} removed${update > 0 ? `, ${update} changed` : ''}${waits}. ${rest}`
}

/** Prints that an apply with `--rollback-after` was confirmed. */
export function printConfirmed(session: Session): void {
  if (session.json) printEvent('confirmed', {})
  else process.stdout.write('Confirmed: it stays.\n')
}

/** Prints which sensors `--wait` waits for. */
export function printWait(session: Session, missing: readonly Wait[], until: Date): void {
  if (session.json)
    printEvent('wait', { until: until.toISOString(), waiting: missing.map(({ diagnostic }) => diagnostic) })
  else process.stdout.write(`Waits until ${until.toLocaleTimeString('sv-SE')} for ${listTitles(missing)}\n`)
}

/** Prints which sensors are missing when `--wait` is over. */
export function printWaitOver(session: Session, missing: readonly Wait[]): void {
  if (session.json) printEvent('wait_over', { waiting: missing.map(({ diagnostic }) => diagnostic) })
  else
    process.stdout.write(missing.length === 0 ? 'All sensors are there.\n' : `Still missing: ${listTitles(missing)}\n`)
}

function listTitles(waits: readonly Wait[]): string {
  return waits.map(({ title }) => printable(title)).join(', ')
}
