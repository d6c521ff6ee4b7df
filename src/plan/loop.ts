import type { Notice } from '../errors.ts'
import type { Link, Snapshot } from '../host/host.ts'
import { notice, type WantedSpan } from '../resources/wanted.ts'

/**
 * The circles in which a frame would go round for ever: a span whose source is its own bridge, a port of it, a vlan on
 * either, or another span that leads back. The file shows the circles between spans; ports only the host.
 */
export function findLoop(spans: readonly WantedSpan[], host: Snapshot): Notice[] {
  const feeds = (span: WantedSpan) =>
    span.mirrors.flatMap((mirror) =>
      bridgesUnder(mirror.link, host).flatMap((bridge) => {
        const from = spans.find(({ name }) => name === bridge)
        return from ? [{ from, via: mirror }] : []
      })
    )
  for (const start of spans) {
    const trail = walk(start, start, feeds, new Set())
    if (trail === null) continue
    const [first] = trail
    const circle = [start.name, ...trail.flatMap((hop) => hop.nodes)].reverse()
    return [
      notice(
        'LOOP',
        `span ${start.name} would feed itself: ${circle.join(' → ')}`,
        'take one of these sources out',
        first?.origin
      )
    ]
  }
  return []
}

/** From a span back to one that feeds it. */
interface Hop {
  readonly nodes: readonly string[]
  readonly origin: Notice['origin']
}

type Feeds = (span: WantedSpan) => { from: WantedSpan; via: WantedSpan['mirrors'][number] }[]

function walk(start: WantedSpan, at: WantedSpan, feeds: Feeds, seen: Set<string>): Hop[] | null {
  for (const { from, via } of feeds(at)) {
    const nodes = via.link.name === from.name ? [from.name] : [via.link.name, from.name]
    const hop = { nodes, origin: via.origin }
    if (from.name === start.name) return [hop]
    if (seen.has(from.name)) continue
    seen.add(from.name)
    const rest = walk(start, from, feeds, seen)
    if (rest !== null) return [hop, ...rest]
  }
  return null
}

/** The bridges that a link is, is a port of, is built on, or is the other end of a port of. */
function bridgesUnder(link: Link, host: Snapshot): string[] {
  const find = (index: number | null) => host.links.find((other) => other.index === index)
  const lower = find(link.lower)
  const peer = link.foreignPeer ? undefined : find(link.peer)
  return [
    ...(link.bridge ? [link.name] : []),
    ...(link.master ? [link.master] : []),
    ...(peer?.master ? [peer.master] : []),
    ...(lower ? bridgesUnder(lower, host) : [])
  ]
}
