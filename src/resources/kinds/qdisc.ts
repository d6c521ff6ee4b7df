import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Qdisc } from '../../host/snapshot.ts'
import { countFilters, isOfScripts } from '../foreign/filter-words.ts'
import { findForeignMirrors, judgeForeignMirrors } from '../foreign/mirrors.ts'
import { type Adoption, adoptUnless, type Kind, type ObservedState, type Resource, type Step } from '../kind.ts'
import { isClosing } from '../settings.ts'

/** The clsact qdisc of an interface: it has the two hooks for mirrors, and leaves the root qdisc alone. */
export interface Clsact extends Resource {
  readonly kind: 'qdisc'
  readonly qdisc: string
  readonly block: number | null
}

/** How clsact qdiscs are desired, observed, added and removed. */
export const qdisc: Kind<Clsact> = {
  kind: 'qdisc',
  fields: { qdisc: { label: 'qdisc', words: String } },
  desire: ({ marks }) =>
    [...marks.interfaces.values()]
      .filter((marked) => marked.desired.has('clsact'))
      .map((marked) => ({
        kind: 'qdisc',
        id: marked.device.name,
        spans: marked.spans,
        owner: 'ours',
        qdisc: 'clsact',
        block: null
      })),
  observe: (state) => {
    const { marks, host } = state
    return [...marks.interfaces.values()].flatMap(({ device, spans, ours, now, live, before }): Clsact | [] => {
      const id = device.name
      const isPlanned = 'planned' in device && now.has('clsact')
      if (isPlanned) return { kind: 'qdisc', id, spans, qdisc: 'clsact', block: null, owner: 'shared' }
      const qdisc = host.qdiscsOf(id).find(({ kind }) => kind === 'clsact' || kind === 'ingress')
      if (qdisc === undefined) return []
      // A foreign filter would be lost with the qdisc.
      const others = host.filtersOf(id).some((filter) => !marks.mirrors.get(filter)?.inScope && !isClosing(filter))
      const made = ours && live.has('clsact') && !before.has('clsact') && !others
      const usable = qdisc.kind === 'clsact' && qdisc.block === null
      return {
        kind: 'qdisc',
        id,
        spans,
        qdisc: qdisc.kind,
        block: qdisc.block,
        owner: !usable ? 'foreign' : made ? 'ours' : 'shared',
        ...(!usable && { adoption: judgeQdisc(state, qdisc) })
      }
    })
  },
  rollbackTarget: rollbackQdiscs,
  create: (after) => [addStep(after)],
  // They exclude each other. Each stops what the interface sends for about a millisecond: net/sched/sch_api.c takes a device's
  // queues away while a qdisc is grafted, also one that has none.
  update: (before, after) => [removeStep(before), addStep(after)],
  remove: (before) => [removeStep(before)],
  summary: () => 'clsact, beside the root qdisc',
  device: ({ id }) => id,
  conflict: explainConflict,
  conflictCosts: () => 'dependants',
  adoptNote: 'a later destroy removes it'
}

function explainConflict({ id, qdisc, block }: Clsact, _: Clsact, host: HostIndex): Diagnostic {
  if (block !== null) {
    const others = [
      ...new Set(host.qdiscs.flatMap((other) => (other.block === block && other.device !== id ? [other.device] : [])))
    ]
    const use =
      others.length === 0 ? 'no other interface uses' : `${others.join(', ')} use${others.length === 1 ? 's' : ''} too`
    return diagnostic(
      'QDISC_SHARED',
      `the ${qdisc} qdisc of ${id} takes its filters from the shared block ${block}, which ${use}`,
      `see what is in it with: ${shellLine(['tc', 'filter', 'show', 'block', String(block)])}; take ${id} out of the block, or mirror another interface`
    )
  }
  const filters = host.filtersOf(id)
  const scripts = filters.length > 0 && filters.every(isOfScripts) ? ', as old scripts make' : ''
  return diagnostic(
    'QDISC_FOREIGN',
    `${id} has an ${qdisc} qdisc, which excludes the clsact qdisc that its mirrors need; it holds ${countFilters(filters)}${scripts}`,
    `see what it does with: ${shellLine(['tc', 'filter', 'show', 'dev', id, 'ingress'])}; if nothing needs it: ${shellLine(['tc', 'qdisc', 'del', 'dev', id, 'ingress'])}`
  )
}

/** An old ingress qdisc may be replaced with clsact if all filters on it can be adopted. */
function judgeQdisc(state: ObservedState, { device, block }: Qdisc): Adoption {
  if (block !== null) return adoptUnless('other interfaces use its filters too')
  const foreignMirrors = state.desired.spans.flatMap((span) =>
    span.mirrors.flatMap((mirror) => findForeignMirrors(state, new Set([span.bridge]), mirror).copying)
  )
  const [other] = state.host.filtersOf(device).filter((filter) => !foreignMirrors.includes(filter))
  return other
    ? adoptUnless(`it holds a ${other.kind} filter at preference ${other.pref} that no span takes over`)
    : judgeForeignMirrors(foreignMirrors)
}

/** Where clsact holds foreign filters by now, it stays: the old ingress qdisc does not come back. */
function rollbackQdiscs(hooks: readonly Clsact[], _: ObservedState, { marks, host }: ObservedState): Clsact[] {
  return hooks.filter(({ id, qdisc }) => {
    const marked = marks.interfaces.get(id)
    const occupied = marked?.now.has('clsact') && marked.needed.has('clsact')
    return host.mayExist(id) && !(qdisc === 'ingress' && occupied)
  })
}

function addStep({ id, qdisc }: Clsact): Step {
  return { summary: `add ${qdisc} to ${id}`, argv: ['tc', 'qdisc', 'replace', 'dev', id, qdisc] }
}

function removeStep({ id, qdisc }: Clsact): Step {
  return { summary: `remove ${qdisc} from ${id}`, argv: ['tc', 'qdisc', 'del', 'dev', id, qdisc] }
}
