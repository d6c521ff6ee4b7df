import type { HostIndex } from '../../host/host-index.ts'
import type { Filter, Link, Program } from '../../host/snapshot.ts'
import { everyFrame, mirrorPref } from '../../host/tc-conventions.ts'
import type { CopyPoint, DesiredFeed, DesiredSpan, FeedId } from '../desired-state.ts'
import { memoized } from '../kind.ts'
import { hashOf, mirrorHandle, readCookie } from '../marks.ts'
import { firstTunnelName, isOwnTunnel, markOf, tunnelOwner } from '../ownership.ts'
import { readPortMark } from '../port-role.ts'
import { joinPrograms } from '../programs/join-programs.ts'
import { writeSample } from '../programs/sample-program.ts'
import { writeShare } from '../programs/share-program.ts'

/** A mirror of a span, as the file asks for it. */
export interface SpanMirror {
  readonly point: CopyPoint
  /** What it feeds; null: the span's bridge. */
  readonly feed: DesiredFeed | null
}

/**
 * All mirrors of a span. The bridge hands all its frames to all its ports, so mirrors of their own feed the receivers that get a part.
 * They also feed tunnels: if a tunnel is a port, the kernel drops the frames that are too large for its route.
 */
export function mirrorsOf(span: Pick<DesiredSpan, 'mirrors' | 'feeds' | 'feedsBridge'>): SpanMirror[] {
  return [...(span.feedsBridge ? [null] : []), ...span.feeds].flatMap((feed) =>
    span.mirrors.map((point) => ({ point, feed }))
  )
}

/** The program of a mirror; null: it is not known yet. */
export function programOf({
  point,
  feed
}: Pick<SpanMirror, 'point'> & { readonly feed: Pick<DesiredFeed, 'part'> | null }): Program | null {
  const { program, share } = feed?.part ?? { program: everyFrame, share: null }
  if (point.program === null || program === null) return null
  return joinPrograms([
    point.program,
    program,
    ...(point.sample === null ? [] : [writeSample(point.sample)]),
    ...(share === null ? [] : [writeShare(share)])
  ])
}

/** The name from which the handle of a mirror is made. It is unique: no link and no container has a name with a space. */
export function mirrorName(bridge: string, feed: FeedId | null): string {
  return feed === null ? bridge : `${bridge} ${feed.kind} ${feed.name}`
}

/** The bridge and the receiver in a name of {@link mirrorName}. */
export function readMirrorName(text: string): { readonly bridge: string; readonly feed: FeedId | null } {
  const [bridge = '', kind, name = ''] = text.split(' ')
  return { bridge, feed: kind === 'tunnel' || kind === 'sensor' || kind === 'output' ? { kind, name } : null }
}

/** The receiver that a live mirror to this link feeds, and the bridge of its span where that is known; null: the link is a bridge, or no receiver's. */
export function readFeed(
  host: HostIndex,
  target: string
): { readonly bridge: string | null; readonly feed: FeedId } | null {
  const link = host.linkOf(target)
  const owner = link === undefined ? null : tunnelOwner(host, link, '')
  if (link === undefined) return null
  if (owner !== null) return { bridge: null, feed: { kind: 'tunnel', name: firstTunnelName(host, link, owner) } }
  if (link.master === null) return null
  const container = host.attachmentOf(link)?.container.name
  if (container !== undefined) return { bridge: link.master, feed: { kind: 'sensor', name: container } }
  const isOutput = readPortMark(host, link)?.wasPort === false
  // While Docker is not read, the name of the port's container is not known.
  return { bridge: link.master, feed: isOutput ? { kind: 'output', name: link.name } : { kind: 'sensor', name: '' } }
}

/** The links of tunnels that mirrors feed, each with the bridge of the span. */
const fedTunnels = memoized((host: HostIndex) => {
  const tunnels = host.links.filter((link) => isOwnTunnel(host, link))
  const bridges = tunnels.length === 0 ? [] : host.links.filter(({ bridge }) => bridge !== null)
  return tunnels.flatMap((link) => {
    const fed = host.filtersInto(link.name).flatMap(({ filter }) => {
      if ('parent' in filter || filter.pref !== mirrorPref || filter.chain !== 0) return []
      return bridges.find(({ name }) => isFed(host, link, name, filter))?.name ?? bridgeFedAt(host, filter) ?? []
    })
    return [...new Set(fed)].map((bridge) => ({ bridge, link }))
  })
})

/** The links of tunnels that mirrors of the span with this bridge feed. */
export function fedLinks(host: HostIndex, bridge: string): Link[] {
  return fedTunnels(host).flatMap((fed) => (fed.bridge === bridge ? fed.link : []))
}

/** The bridge of the span whose frames leave by a link, as its mark or the mirrors that feed it tell; null: it is no output. */
export function servedBridge(host: HostIndex, link: Link): string | null {
  if (link.master !== null && readPortMark(host, link)?.wasPort === false) return link.master
  return fedTunnels(host).find((fed) => fed.link.index === link.index)?.bridge ?? null
}

/** The links that frames of the span with this bridge leave by, as their marks and mirrors tell. */
export function liveOutputs(host: HostIndex, bridge: string): Link[] {
  const ports = host.portsOf(bridge).filter((port) => readPortMark(host, port)?.wasPort === false)
  return [...new Set([...ports, ...fedLinks(host, bridge)])]
}

function isFed(host: HostIndex, link: Link, bridge: string, { device, tcHook, handle }: Filter): boolean {
  const owner = tunnelOwner(host, link, '') ?? ''
  const name = mirrorName(bridge, { kind: 'tunnel', name: firstTunnelName(host, link, owner) })
  return handle === mirrorHandle({ owner, name, device, tcHook })
}

/**
 * The bridge of the span whose frames a mirror hands to the link of a tunnel, where its handle does not tell, as of one that was made under
 * another name of its file: the only bridge with the name in its mark that takes frames from the same hook, or remembers the interface.
 * null: several do, or none.
 */
export function bridgeFedAt(host: HostIndex, { device, tcHook, mirror }: Filter): string | null {
  const owner = readCookie(mirror?.cookie ?? null)?.owner
  const index = host.linkOf(device)?.index ?? 0
  const bridges = host.links.filter((link) => {
    const mark = markOf(host, link)
    if (mark === null || hashOf(mark.owner) !== owner) return false
    return (
      mark.interfaces.has(index) || host.filtersAt(device, tcHook).some((other) => other.mirror?.target === link.name)
    )
  })
  return bridges.length === 1 ? (bridges[0]?.name ?? null) : null
}
