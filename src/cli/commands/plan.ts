import { refreshAndCheckSpans } from '../../apply/refresh.ts'
import { Exit, type ExitCode } from '../../errors.ts'
import { planDocument } from '../../plan/output/json.ts'
import { renderCommands, renderPlan } from '../../plan/output/text.ts'
import { printableJson } from '../../printable.ts'
import { describeSelection } from '../input/saved-plan.ts'
import { loadSpecTarget, type SpecSelection } from '../input/target.ts'
import { savePlan } from '../output/save-plan.ts'
import { choosePaint } from '../output/terminal.ts'
import { type Session, warn } from '../session.ts'

interface PlanOptions extends SpecSelection {
  readonly diff: boolean
  readonly commands: boolean
  readonly detailedExitcode: boolean
  /** The file to save the plan to, for `spanplan apply`. */
  readonly out: string | undefined
}

/** `spanplan plan`: prints what apply would do, and changes nothing. */
export async function planCommand(session: Session, options: PlanOptions): Promise<ExitCode> {
  const target = await loadSpecTarget(session, options)
  const view = await refreshAndCheckSpans(target)
  warn(session, view.plan.warnings)
  const context = {
    spec: target.spec,
    host: view.host,
    filters: view.filters,
    version: SPANPLAN_VERSION,
    created: new Date().toISOString()
  }
  const document = planDocument(view.plan, context)
  if (options.out !== undefined) savePlan(options.out, document, describeSelection(options, session.files))
  if (session.json) process.stdout.write(`${printableJson(document)}\n`)
  else if (options.diff) {
    const { renderDiff } = await import('../../plan/output/diff.ts')
    process.stdout.write(renderDiff(view.plan))
  } else if (options.commands) process.stdout.write(renderCommands(view.plan))
  else process.stdout.write(renderPlan(view.plan, target.spec.files, choosePaint(session.color, process.stdout)))
  return options.detailedExitcode && view.plan.changes.length > 0 ? Exit.changes : Exit.done
}
