import type { Diagnostic } from '../../errors.ts'
import { shellLine } from '../../host/quote-command.ts'
import { readManager } from '../../host/read-snapshot.ts'
import { renderChange } from '../../plan/output/text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'

/** Who else changes resources of a kind, and what shows who it is. */
interface Likely {
  readonly who: string
  readonly show: string
}

const links: Likely = { who: 'a tool of network configuration, or a script', show: 'ip monitor link' }
const filters: Likely = { who: 'a tool that sets filters or shapers with tc, or a script', show: 'tc monitor' }
const docker: Likely = { who: 'somebody who uses Docker: Compose, or a script', show: 'docker events' }

/** By kind; a link, where it is none of these. */
const likely: ReadonlyMap<string, Likely> = new Map([
  ...(['mirror', 'qdisc'] as const).map((kind) => [kind, filters] as const),
  ...(['network', 'sensor', 'address'] as const).map((kind) => [kind, docker] as const)
])

/** What is put back again and again, and who may be undoing it. */
export function explainContention(change: PlannedChange, { host }: PlanView): Diagnostic {
  const { who, show } = likely.get(change.kind) ?? links
  const link = host.linkOf(change.device)
  const manager = link && readManager(link)
  const rival = manager ? `${manager}, which has ${link.name} set up` : who
  const pause = shellLine(['spanplan', 'pause', ...(change.span === null ? [] : [change.span]), '--for', '30m'])
  return {
    code: 'CONTESTED',
    message: `something undoes this again and again: ${renderChange(change)}; likely ${rival}`,
    hint: `${show} shows when, and who runs then; meanwhile: ${pause}`,
    address: change.address,
    ...(change.origin && { origin: change.origin })
  }
}
