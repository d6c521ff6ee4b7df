import type { Kind, Resource, Step, Transition } from './resource.ts'
import { notice } from './wanted.ts'

/** The clsact qdisc of a card: the two hooks at which its mirrors hang, beside the root qdisc, which is left alone. */
export interface HookPoint extends Resource {
  readonly kind: 'hook'
  readonly qdisc: string
  readonly block: number | null
}

/** How clsact qdiscs are wanted, found, added and removed. */
export const hook: Kind<HookPoint> = {
  kind: 'hook',
  rank: { create: 20, remove: 82 },
  fields: { qdisc: { label: 'qdisc', words: String } },
  desire: (wanted) =>
    wanted.cards
      .filter((card) => card.wanted.has('clsact'))
      .map((card) => ({
        kind: 'hook',
        id: card.link.name,
        spans: card.spans,
        owner: 'ours',
        qdisc: 'clsact',
        block: null
      })),
  observe: (wanted, host) =>
    wanted.cards.flatMap(({ link, spans, ours, live, before }): HookPoint[] => {
      const qdisc = host.qdiscs.find(
        ({ device, kind }) => device === link.name && (kind === 'clsact' || kind === 'ingress')
      )
      if (qdisc === undefined) return []
      // Removed with the qdisc, a filter that is none of our mirrors would be lost.
      const others = host.filters.some(
        (filter) =>
          filter.device === link.name &&
          !wanted.mirrors.some((mirror) => mirror.inScope && sameFilter(mirror.filter, filter))
      )
      const made = ours && live.has('clsact') && !before.has('clsact') && !others
      const usable = qdisc.kind === 'clsact' && qdisc.block === null
      return [
        {
          ...{ kind: 'hook', id: link.name, spans, qdisc: qdisc.kind, block: qdisc.block },
          owner: !usable ? 'foreign' : made ? 'ours' : 'shared'
        }
      ]
    }),
  // What others brought, and took away meanwhile, is theirs.
  recall: (hooks, _, { host }) =>
    hooks.filter(({ id, owner }) => owner === 'ours' && host.links.some(({ name }) => name === id)),
  steps: hookSteps,
  title: (resource) => resource.id,
  summary: () => 'clsact, beside the root qdisc',
  address: (resource) => [resource.id],
  conflict: (live) =>
    live.block !== null
      ? notice(
          'HOOK_SHARED',
          `the ${live.qdisc} qdisc of ${live.id} takes its filters from the shared block ${live.block}, which other devices use too`,
          `take ${live.id} out of the block, or mirror another card`
        )
      : notice(
          'HOOK_FOREIGN',
          `${live.id} has an ${live.qdisc} qdisc, which excludes the clsact that its mirrors need`,
          `see what it does with: tc filter show dev ${live.id} ingress; if nothing needs it: tc qdisc del dev ${live.id} ingress`
        )
}

function sameFilter(a: { hook: string; pref: number; handle: number | null }, b: typeof a): boolean {
  return a.hook === b.hook && a.pref === b.pref && a.handle === b.handle
}

function hookSteps(transition: Transition<HookPoint>): Step[] {
  switch (transition.action) {
    case 'create':
      return [
        {
          summary: `add clsact to ${transition.after.id}`,
          argv: ['tc', 'qdisc', 'replace', 'dev', transition.after.id, 'clsact']
        }
      ]
    case 'remove':
      return [
        {
          summary: `remove clsact from ${transition.before.id}`,
          argv: ['tc', 'qdisc', 'del', 'dev', transition.before.id, 'clsact']
        }
      ]
    case 'update':
      return []
  }
}
