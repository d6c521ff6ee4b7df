import { findInstallFaults, isNewFile } from '../../apply/install-file.ts'
import { Exit, type ExitCode } from '../../errors.ts'
import { refreshAndCheckSpans } from '../../look/refresh.ts'
import { planDocument } from '../../plan/output/plan-json.ts'
import { renderCommands, renderPlan } from '../../plan/output/plan-text.ts'
import type { Plan } from '../../plan/plan.ts'
import { warnOfEmptyFile, warnOfHost } from '../../plan/plan-view.ts'
import { printable, printableJson } from '../../printable.ts'
import type { Spec } from '../../spec/spec.ts'
import { wrap } from '../../text-lines.ts'
import { loadSpecTarget, type SpecSelection } from '../input/load-target.ts'
import { during, readingHost } from '../output/activity.ts'
import { choosePaint, lineWidth } from '../output/colours.ts'
import { type Session, warn } from '../session.ts'
import {
  findInstallation,
  type InstallOptions,
  selectWithInstall,
  warnOfOtherFiles
} from '../window/install-selection.ts'

interface PlanOptions extends SpecSelection, InstallOptions {
  readonly diff: boolean
  readonly commands: boolean
  readonly detailedExitcode: boolean
  /** The file to save the plan to, for `spanplan apply`. */
  readonly out?: string
}

/** `spanplan plan`: prints what apply would do, and changes nothing. */
export async function planCommand(session: Session, options: PlanOptions): Promise<ExitCode> {
  const target = await loadSpecTarget(session, selectWithInstall(options))
  const view = await during(session, readingHost, refreshAndCheckSpans(target))
  const { spec } = target
  const installation = findInstallation(session, options)
  const more = [
    ...warnOfEmptyFile(target, view.plan),
    ...warnOfHost(view),
    ...(await warnOfOtherFiles(target, options.install)),
    ...(installation ? findInstallFaults(installation) : [])
  ]
  const plan = { ...view.plan, warnings: [...view.plan.warnings, ...more] }
  warn(session, plan.warnings)
  const install = installation && { file: installation.path, changed: isNewFile(installation) }
  const about = { spec, version: SPANPLAN_VERSION, created: new Date().toISOString(), install }
  const document = planDocument(plan, { ...view, ...about })
  if (options.out !== undefined) {
    const { savePlan } = await import('../output/save-plan.ts')
    savePlan(options.out, document, options, target, session.files)
  }
  if (session.json) process.stdout.write(`${printableJson(document)}\n`)
  else if (options.diff) {
    const { renderDiff } = await import('../../plan/output/unified-diff.ts')
    process.stdout.write(renderDiff(plan))
  } else if (options.commands) process.stdout.write(renderCommands(plan))
  else {
    const paint = choosePaint(session.color, process.stdout)
    process.stdout.write(renderPlan(plan, spec.files, paint, lineWidth(process.stdout)))
    const note = options.out === undefined ? redrawnSubnets(plan, spec) : ''
    if (note !== '') process.stdout.write(`${wrap(note, lineWidth(process.stdout)).join('\n')}\n`)
    if (install?.changed) process.stdout.write(`The file would be installed: ${printable(install.file)}.\n`)
  }
  const changed = plan.changes.length > 0 || install?.changed === true
  return options.detailedExitcode && changed ? Exit.changes : Exit.done
}

/** Which subnets the apply that follows chooses again, in a line; empty: none. */
function redrawnSubnets({ changes }: Plan, { spans }: Spec): string {
  const isChosen = (name: string | null) => spans.some((span) => span.name === name && span.network?.subnet === null)
  const names = changes.flatMap(({ kind, action, span }) =>
    kind === 'network' && action === 'create' && span !== null && isChosen(span) ? [span] : []
  )
  if (names.length === 0) return ''
  const of = names.length === 1 ? `The subnet of ${names[0]} is` : `The subnets of ${names.join(', ')} are`
  return `${of} random: an apply draws again. To apply this plan, save it (--out FILE).`
}
