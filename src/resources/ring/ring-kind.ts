import { diagnostic } from '../../errors.ts'
import { linkOf, type MarkedInterface } from '../desired-state.ts'
import type { Kind, ObservedState, Resource } from '../kind.ts'

/** The receive ring of an interface that traffic is copied from: the frames that it holds until the kernel takes them. */
export interface Ring extends Resource {
  readonly kind: 'ring'
  readonly size: number
  /** No span asks for a size any more: the interface gets that which it had before. */
  readonly isGivenBack: boolean
  /** To set the size may reset the hardware. */
  readonly resets: boolean
}

/** The drivers that change the size of a ring and lose no frame (measured, Linux 6.12). For it, e1000e, igb and vmxnet3 reset the hardware. */
const resetless: ReadonlySet<string | null> = new Set(['virtio_net'])

/** How a ring is observed, set and given back. What an interface had before is in the marks of its mirrors. */
export const ring: Kind<Ring> = {
  kind: 'ring',
  fields: { size: { label: 'receive ring', words: String } },
  desire: (state) =>
    [...state.marks.interfaces.values()].flatMap((marked) => {
      const { now, desired } = marked.ring
      return build(marked, staysRemembered(state, marked) ? now : desired)
    }),
  observe: ({ marks }) => [...marks.interfaces.values()].flatMap((marked) => build(marked, marked.ring.now)),
  rollbackTarget: (rings, _, { host }) => rings.filter(({ id }) => host.linkOf(id) !== undefined),
  update: (_, { id, size }) => [
    { summary: `set the receive ring of ${id}`, argv: ['ethtool', '-G', id, 'rx', String(size)] }
  ],
  updateNote: ({ resets }) => (resets ? 'it may lose all frames for seconds' : undefined),
  // Its mark goes after it is given back: where that fails, the mark has to stay.
  undone: ({ id, isGivenBack }, reason) =>
    isGivenBack ? undefined : diagnostic('RING_FAILED', `the receive ring of ${id} stays as it is: ${reason}`),
  summary: ({ size }) => `receive ring: ${size}`,
  device: ({ id }) => id
}

function build(marked: MarkedInterface, size: number | null): Ring | [] {
  const { live, own } = marked.ring
  const link = linkOf(marked.device)
  if (size === null || link === undefined || !(live || own)) return []
  return {
    kind: 'ring',
    id: link.name,
    spans: marked.spans,
    owner: 'shared',
    size,
    isGivenBack: !own,
    resets: link.up && !resetless.has(link.ring?.driver ?? null)
  }
}

/** Whether an interface is left as it is that no span copies from: a source that was not read may be on it. */
function staysRemembered({ desired }: ObservedState, { own, spans }: MarkedInterface): boolean {
  return own.size === 0 && spans.some((span) => desired.spanOf(span)?.isUnread === true)
}
