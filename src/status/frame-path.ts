import type { View } from '../apply/refresh.ts'
import { type Inside, type Places, readSample, type Sample } from '../host/read-counters.ts'
import type { Link } from '../host/snapshot.ts'
import { containersOf, type WantedSpan } from '../resources/mark-inventory.ts'
import { mirrorHandle } from '../resources/marks.ts'
import type { Hook } from '../spec/spec.ts'

/** A mirror of a span, whether its filter is there or not. */
export interface ChainMirror {
  readonly device: string
  /** The card's index: another card of that name is another card. */
  readonly index: number
  readonly hook: Hook
  readonly handle: number
  /** In the user's words; null: it copies every frame. */
  readonly expression: string | null
}

/** A port of a span's bridge. */
export interface ChainPort {
  readonly device: string
  readonly index: number
  /** The container behind it, and the interface there; null where none is known. */
  readonly sensor: { readonly container: string; readonly inside: Inside } | null
}

/** The way of a span's frames: from its cards to its bridge, and on to each port. */
export interface Chain {
  readonly span: string
  /** What is merged on the way is taken apart before it is counted on the bridge. */
  readonly wire: boolean
  readonly mirrors: readonly ChainMirror[]
  /** The bridge's index; null while it is not there. */
  readonly bridge: number | null
  readonly ports: readonly ChainPort[]
}

/** The ways of the spans that were looked at, in the file's order. */
export function chainsOf({ host, desired: { wanted } }: View): Chain[] {
  return wanted.spans.map((span) => {
    const bridge = host.links.find((link) => link.name === span.name && link.bridge !== null)
    const ports = host.links.filter((link) => link.master === span.name && link.port !== null)
    return {
      span: span.name,
      wire: span.wire,
      mirrors: span.mirrors.map(({ link, hook, expression }) => ({
        ...{ device: link.name, index: link.index, hook, expression },
        handle: mirrorHandle(wanted.owner, span.name, link.name, hook)
      })),
      bridge: bridge?.index ?? null,
      ports: ports.map((link) => ({ device: link.name, index: link.index, sensor: findSensor(host, span, link) }))
    }
  })
}

function findSensor(host: View['host'], span: WantedSpan, link: Link): ChainPort['sensor'] {
  const found = containersOf(host).flatMap(({ name, sandbox, endpoints }) =>
    endpoints.flatMap(({ network, port }) => {
      const here = network === span.network?.name && typeof port !== 'string' && link.foreignPeer
      const same = here && port.host === link.index && port.inside === link.peer
      return same && sandbox !== null ? [{ container: name, inside: { sandbox, index: port.inside } }] : []
    })
  )
  return found[0] ?? null
}

/**
 * Counts along the ways of spans.
 *
 * @throws SpanplanError as readSample() does.
 */
export function takeSample(chains: readonly Chain[]): Promise<Sample> {
  return readSample(placesOf(chains))
}

function placesOf(chains: readonly Chain[]): Places {
  const hooks = chains.flatMap(({ mirrors }) => mirrors.map(({ device, hook }) => ({ device, hook })))
  return {
    // Several spans may copy from one hook.
    hooks: [...new Map(hooks.map((one) => [`${one.device} ${one.hook}`, one])).values()],
    insides: chains.flatMap(({ ports }) => ports.flatMap(({ sensor }) => sensor?.inside ?? []))
  }
}
