import { type Inside, type Places, readSample, type Sample } from '../../host/read-counters.ts'
import type { Link } from '../../host/snapshot.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { containersOf, type DesiredSpan } from '../../resources/mark-inventory.ts'
import { mirrorHandle } from '../../resources/marks.ts'
import type { TcHook } from '../../spec/spec.ts'

/** A mirror of a span, whether its filter is there or not. */
export interface PathMirror {
  readonly device: string
  /** The card's index: another card of that name is another card. */
  readonly index: number
  readonly tcHook: TcHook
  readonly handle: number
  /** In the user's words; null: it copies every frame. */
  readonly expression: string | null
}

/** A port of a span's bridge. */
export interface PathPort {
  readonly device: string
  readonly index: number
  /** The container behind it, and the interface there; null where none is known. */
  readonly sensor: { readonly container: string; readonly inside: Inside } | null
}

/** The way of a span's frames: from its cards to its bridge, and on to each port. */
export interface FramePath {
  readonly span: string
  /** What is merged on the way is taken apart before it is counted on the bridge. */
  readonly wire: boolean
  readonly mirrors: readonly PathMirror[]
  /** The bridge's index; null while it is not there. */
  readonly bridge: number | null
  readonly ports: readonly PathPort[]
}

/** The ways of the spans that were looked at, in the file's order. */
export function framePathsOf({ host, desired: { wanted } }: PlanView): FramePath[] {
  return wanted.spans.map((span) => {
    const bridge = host.links.find((link) => link.name === span.name && link.bridge !== null)
    const ports = host.links.filter((link) => link.master === span.name && link.port !== null)
    return {
      span: span.name,
      wire: span.wire,
      mirrors: span.mirrors.map(({ link, tcHook, expression }) => ({
        ...{ device: link.name, index: link.index, tcHook, expression },
        handle: mirrorHandle(wanted.owner, span.name, link.name, tcHook)
      })),
      bridge: bridge?.index ?? null,
      ports: ports.map((link) => ({ device: link.name, index: link.index, sensor: findSensor(host, span, link) }))
    }
  })
}

function findSensor(host: PlanView['host'], span: DesiredSpan, link: Link): PathPort['sensor'] {
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
export function takeSample(paths: readonly FramePath[]): Promise<Sample> {
  return readSample(placesOf(paths))
}

function placesOf(paths: readonly FramePath[]): Places {
  const tcHooks = paths.flatMap(({ mirrors }) => mirrors.map(({ device, tcHook }) => ({ device, tcHook })))
  return {
    // Several spans may copy from one hook.
    tcHooks: [...new Map(tcHooks.map((one) => [`${one.device} ${one.tcHook}`, one])).values()],
    insides: paths.flatMap(({ ports }) => ports.flatMap(({ sensor }) => sensor?.inside ?? []))
  }
}
