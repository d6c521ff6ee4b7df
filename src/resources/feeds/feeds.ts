import type { HostIndex } from '../../host/host-index.ts'
import type { Filter, Link } from '../../host/snapshot.ts'
import { mirrorPref } from '../../host/tc-conventions.ts'
import type { CopyPoint, DesiredSpan } from '../desired-state.ts'
import { memoized } from '../kind.ts'
import { mirrorHandle } from '../marks.ts'
import { firstTunnelName, isOwnTunnel, tunnelOwner } from '../ownership.ts'
import { readPortMark } from '../port-role.ts'

/** A mirror of a span, as the file asks for it. */
export interface SpanMirror {
  readonly point: CopyPoint
  /** The link of a tunnel that it feeds; null: it feeds the span's bridge. */
  readonly output: string | null
}

/**
 * All mirrors of a span. The bridge does not hand its frames to tunnels: it has no carrier once its last port has left, and for a port that
 * is a tunnel, the kernel drops what is too large for the way. So each source has a mirror for each tunnel.
 */
export function mirrorsOf(span: Pick<DesiredSpan, 'mirrors' | 'outputs'>): SpanMirror[] {
  return [null, ...tunnelsOf(span)].flatMap((output) => span.mirrors.map((point) => ({ point, output })))
}

/** The names of the links of tunnels that the frames of a span leave by. */
export function tunnelsOf(span: Pick<DesiredSpan, 'outputs'> | undefined): string[] {
  return (span?.outputs ?? []).flatMap(({ isPort, device }) => (isPort ? [] : device))
}

/** What the handle of a mirror is made of, in the place of a span: no span has a name with a space. */
export function mirrorName(span: string, output: string | null): string {
  return output === null ? span : `${span} ${output}`
}

/** The span and the output in a name of {@link mirrorName}. */
export function readMirrorName(name: string) {
  const [span = '', output = null] = name.split(' ')
  return { span, output }
}

/** The links of tunnels that mirrors feed, each with the name of the span. */
const feedsOf = memoized((host: HostIndex) => {
  const tunnels = host.links.filter((link) => isOwnTunnel(host, link))
  const bridges = tunnels.length === 0 ? [] : host.links.filter(({ bridge }) => bridge !== null)
  return tunnels.flatMap((link) =>
    bridges.filter(({ name }) => isFed(host, link, name)).map(({ name: span }) => ({ span, link }))
  )
})

/** The links of tunnels that mirrors of a span feed. */
export function fedLinks(host: HostIndex, span: string): Link[] {
  return feedsOf(host).flatMap((feed) => (feed.span === span ? feed.link : []))
}

/** The span whose frames leave by a link, as its mark or the mirrors that feed it tell; null: it is no output. */
export function servedSpan(host: HostIndex, link: Link): string | null {
  if (link.master !== null && readPortMark(host, link)?.wasPort === false) return link.master
  return feedsOf(host).find((feed) => feed.link.index === link.index)?.span ?? null
}

/** The links that frames of a span leave by, as their marks and mirrors tell. */
export function liveOutputs(host: HostIndex, span: string): Link[] {
  const ports = host.portsOf(span).filter((port) => readPortMark(host, port)?.wasPort === false)
  return [...new Set([...ports, ...fedLinks(host, span)])]
}

function isFed(host: HostIndex, link: Link, span: string): boolean {
  const owner = tunnelOwner(host, link, '') ?? ''
  const name = mirrorName(span, firstTunnelName(host, link, owner))
  const isFeed = ({ device, tcHook, pref, chain, handle }: Filter) =>
    pref === mirrorPref && chain === 0 && handle === mirrorHandle({ owner, span: name, device, tcHook })
  return host.filtersInto(link.name).some(({ filter }) => !('parent' in filter) && isFeed(filter))
}
