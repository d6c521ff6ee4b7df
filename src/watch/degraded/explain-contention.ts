import type { Diagnostic } from '../../errors.ts'
import { shellLine } from '../../host/quote-command.ts'
import { readManager } from '../../host/read-snapshot.ts'
import { renderChange } from '../../plan/output/text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'

/** Who else may change resources of a kind, and the command that shows it. */
interface Suspect {
  readonly who: string
  readonly show: string
}

const links: Suspect = { who: 'a tool of network configuration, or a script', show: 'ip monitor link' }
const filters: Suspect = { who: 'a tool that sets filters or shapers with tc, or a script', show: 'tc monitor' }
const docker: Suspect = { who: 'somebody who uses Docker: Compose, or a script', show: 'docker events' }

/** By kind; for all other kinds, it is `links`. */
const suspects: ReadonlyMap<string, Suspect> = new Map([
  ...(['mirror', 'qdisc'] as const).map((kind) => [kind, filters] as const),
  ...(['network', 'sensor', 'address'] as const).map((kind) => [kind, docker] as const)
])

/** Says which change is undone again and again, and who may be doing so. */
export function explainContention(change: PlannedChange, { host }: PlanView): Diagnostic {
  const { who, show } = suspects.get(change.kind) ?? links
  const link = host.linkOf(change.device)
  const manager = link && readManager(link)
  const suspect = manager ? `${manager}, which has ${link.name} set up` : who
  const pause = shellLine(['spanplan', 'pause', ...(change.span === null ? [] : [change.span]), '--for', '30m'])
  return {
    code: 'CONTESTED',
    message: `something undoes this again and again: ${renderChange(change)}; likely ${suspect}`,
    hint: `${show} shows when, and who runs then; meanwhile: ${pause}`,
    address: change.address,
    ...(change.origin && { origin: change.origin })
  }
}
