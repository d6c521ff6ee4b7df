import { type Diagnostic, diagnostic } from '../errors.ts'
import { groupBy, type HostIndex } from '../host/host-index.ts'
import type { Link, TcHook } from '../host/snapshot.ts'
import { markOf } from '../resources/copied-mark.ts'
import type { CopyPoint, DesiredSpan } from '../resources/desired-state.ts'
import { isInScope } from '../resources/ownership.ts'
import { livePoint } from '../resources/sources/host-source-kind.ts'
import { identifySource } from '../resources/sources/registry.ts'
import type { Scope } from '../spec/scope.ts'

/** A source through which a span would feed itself, directly or over other spans. */
export interface Loop {
  readonly span: string
  readonly mirrors: readonly CopyPoint[]
  readonly diagnostic: Diagnostic
}

/**
 * Finds the loops in which a frame would go round for ever, and leaves the sources that close them out of the spans.
 *
 * A frame that a bridge sends is followed through everything that forwards frames unchanged: ports, other bridges, both ends of
 * a cable, bonds, VLANs, macvlans. Paths through another network namespace (a container that bridges two sensors' interfaces)
 * cannot be seen. A frame that leaves through a tunnel or a physical interface is not followed.
 */
export function breakLoops(
  spans: readonly DesiredSpan[],
  scope: Scope,
  host: HostIndex
): { readonly spans: readonly DesiredSpan[]; readonly loops: readonly Loop[] } {
  const all = [...spans, ...findOtherSpans(spans, scope, host)]
  const reachers = groupBy(
    all.flatMap(({ name }) => [...followFrom(name, host)].map(([key, place]) => ({ key, name, place }))),
    ({ key }) => key
  )
  const open = new Map(spans.map((span) => [span.name, span]))
  const others = new Map(all.map((span) => [span.name, span]))
  const circling = withoutEnds(all, reachers)
  const feeds: Feeds = (span) =>
    span.mirrors.flatMap((via) =>
      reachers(keyOf(via.device.name, via.tcHook)).flatMap(({ name, place }) => {
        const from = circling.has(name) ? (open.get(name) ?? others.get(name)) : undefined
        return from === undefined ? [] : [{ from, via, nodes: [...wayTo(place, host), name] }]
      })
    )
  const loops: Loop[] = []
  for (const { name } of spans.filter((span) => circling.has(span.name))) {
    for (let span = open.get(name); span !== undefined; ) {
      const loop = findLoop(span, feeds)
      if (loop === null) break
      loops.push(loop)
      span = { ...span, mirrors: span.mirrors.filter((mirror) => !loop.mirrors.includes(mirror)) }
      open.set(name, span)
    }
  }
  return { spans: [...open.values()], loops }
}

/** What feeds a span. */
type Fed = Pick<DesiredSpan, 'name' | 'mirrors'>

/** The live spans that this plan leaves as they are, with their live mirrors: of other names, or out of scope. */
function findOtherSpans(spans: readonly Fed[], scope: Scope, host: HostIndex): Fed[] {
  const names = new Set(spans.map(({ name }) => name))
  const filters = groupBy(host.filters, ({ mirror }) => mirror?.target)
  return host.links.flatMap((link): Fed[] => {
    const mark = markOf(host, link)
    if (mark === null || names.has(link.name) || isInScope({ scope }, mark.owner, link.name)) return []
    const mirrors = filters(link.name).map((filter) => livePoint(filter, identifySource(filter, host), host))
    return [{ name: link.name, mirrors }]
  })
}

/** The spans whose frames reach a hook, each with the last place on the way there; null: it is a hook of the span's bridge, which is not there yet. */
type Reachers = (key: string) => readonly { readonly name: string; readonly place: Place | null }[]

function findLoop(start: Fed, feeds: Feeds): Loop | null {
  const trail = walk(start, start, feeds, new Set())
  const [first] = trail ?? []
  if (trail === null || first === undefined) return null
  const circle = [start.name, ...trail.flatMap(({ nodes }) => nodes)].reverse()
  const { item, origin, device } = first.via
  return {
    span: start.name,
    mirrors: start.mirrors.filter((mirror) => mirror.item === item && mirror.device.name === device.name),
    diagnostic: diagnostic(
      'LOOP',
      `span ${start.name} would copy its own frames in a loop: ${circle.join(' → ')}`,
      'remove one of these sources from the file',
      origin
    )
  }
}

/**
 * The names of the spans that may be in a loop: one that no span feeds is in none, nor one that only such spans feed, and so on; nor
 * one that feeds no span. So spans that feed each other in a row cost no search.
 */
function withoutEnds(spans: readonly Fed[], reachers: Reachers): ReadonlySet<string> {
  const feeds = spans.flatMap(({ name: to, mirrors }) =>
    mirrors.flatMap(({ device, tcHook }) =>
      reachers(keyOf(device.name, tcHook)).map(({ name: from }) => ({ from, to }))
    )
  )
  const fed = withoutStarts(new Set(spans.map(({ name }) => name)), feeds)
  return withoutStarts(
    fed,
    feeds.map(({ from, to }) => ({ from: to, to: from }))
  )
}

/** The names less those to which no edge leads from another of them, again and again. */
function withoutStarts(
  names: ReadonlySet<string>,
  edges: readonly { readonly from: string; readonly to: string }[]
): ReadonlySet<string> {
  const inside = edges.filter(({ from, to }) => names.has(from) && names.has(to))
  const edgesFrom = groupBy(inside, ({ from }) => from)
  const edgesTo = groupBy(inside, ({ to }) => to)
  const left = new Map([...names].map((name) => [name, edgesTo(name).length]))
  const starts = [...left].flatMap(([name, count]) => (count === 0 ? [name] : []))
  for (const start of starts) {
    left.delete(start)
    for (const { to } of edgesFrom(start)) {
      const count = (left.get(to) ?? 0) - 1
      left.set(to, count)
      if (count === 0) starts.push(to)
    }
  }
  return new Set(left.keys())
}

/** A step from a span back to a span that feeds it. */
interface Hop {
  readonly from: Fed
  readonly via: CopyPoint
  readonly nodes: readonly string[]
}

type Feeds = (span: Fed) => readonly Hop[]

function walk(start: Fed, at: Fed, feeds: Feeds, seen: Set<string>): Hop[] | null {
  for (const hop of feeds(at)) {
    const { from } = hop
    if (from.name === start.name) return [hop]
    if (seen.has(from.name)) continue
    seen.add(from.name)
    const rest = walk(start, from, feeds, seen)
    if (rest !== null) return [hop, ...rest]
  }
  return null
}

/** A hook that frames pass, and the hook that they passed just before. */
interface Place {
  readonly link: Link
  readonly tcHook: TcHook
  readonly before: Place | null
}

/** The same for the same hook of the same device. */
export const keyOf = (device: string, tcHook: TcHook) => `${device} ${tcHook}`

/** The names of the links on the way back to the bridge, without the bridge; of a cable, only the far end. */
function wayTo(place: Place | null, host: HostIndex): string[] {
  const links: Link[] = []
  for (let at: Place | null = place; at !== null; at = at.before) if (links.at(-1) !== at.link) links.push(at.link)
  const far = links.filter((link, index) => index === 0 || peerOf(link, host) !== links[index - 1])
  return far.map(({ name }) => name).slice(0, -1)
}

/** Kinds of tunnels: a frame that enters one leaves the host inside another packet, and is not followed. */
const tunnels: ReadonlySet<string | null> = new Set([
  ...['vxlan', 'geneve', 'gre', 'gretap', 'erspan', 'ip6gre', 'ip6gretap', 'ip6erspan', 'ipip', 'sit', 'ip6tnl'],
  ...['vti', 'vti6', 'xfrm', 'wireguard', 'bareudp', 'gtp']
])

/** The other end of a cable, in this network namespace. */
export function peerOf({ peer, foreignPeer }: Link, host: HostIndex): Link | undefined {
  return peer === null || foreignPeer ? undefined : host.linkAt(peer)
}

/** A VRF does not forward frames between its interfaces: they share routes only. */
export function masterOf({ master }: Link, host: HostIndex): Link | undefined {
  const found = host.linkOf(master)
  return found?.kind === 'vrf' ? undefined : found
}

/** The links that frames of a bridge or a bond pass. */
export function membersOf({ name, kind }: Link, host: HostIndex): readonly Link[] {
  return kind === 'vrf' ? [] : host.membersOf(name)
}

/** The link that a VLAN or a macvlan sends through. */
export function lowerOf({ lower, kind }: Link, host: HostIndex): Link | undefined {
  return lower === null || tunnels.has(kind) ? undefined : host.linkAt(lower)
}

/** The links that get a part of what a link receives. */
export function uppersOf(link: Link, host: HostIndex): readonly Link[] {
  return host.uppersOf(link).filter(({ kind }) => !tunnels.has(kind))
}

const tcHooks: readonly TcHook[] = ['ingress', 'egress']

/** The hooks that a frame in a span's bridge can reach. A port may send the frame back, so its ingress counts too. */
function followFrom(bridge: string, host: HostIndex): ReadonlyMap<string, Place | null> {
  const link = host.linkOf(bridge)
  if (link === undefined) return new Map(tcHooks.map((tcHook) => [keyOf(bridge, tcHook), null]))
  const reached = new Map<string, Place>()
  if (link.bridge === null) return reached
  const start: Place = { link, tcHook: 'egress', before: null }
  const queue: Place[] = [
    start,
    { ...start, tcHook: 'ingress' },
    ...membersOf(link, host).map((port): Place => ({ link: port, tcHook: 'ingress', before: start }))
  ]
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    if (reached.has(keyOf(at.link.name, at.tcHook))) continue
    reached.set(keyOf(at.link.name, at.tcHook), at)
    const before = at
    queue.push(...next(at, host).map(([tcHook, to]): Place => ({ link: to, tcHook, before })))
  }
  return reached
}

type Step = readonly [TcHook, Link]

function next({ link, tcHook }: Place, host: HostIndex): Step[] {
  const to = (side: TcHook, links: readonly (Link | undefined)[]): Step[] =>
    links.flatMap((one): Step[] => (one === undefined || one === link ? [] : [[side, one]]))
  if (tcHook === 'egress') {
    const lower = lowerOf(link, host)
    // In bridge mode, macvlans of one interface reach each other.
    const beside = lower && /^(macvlan|macvtap)$/.test(link.kind ?? '') ? uppersOf(lower, host) : []
    return [
      ...to('ingress', [peerOf(link, host)]),
      ...to('egress', [lower]),
      ...to(
        'ingress',
        beside.filter(({ kind }) => kind === link.kind)
      ),
      ...to('egress', membersOf(link, host))
    ]
  }
  const master = masterOf(link, host)
  const isBond = /^(bond|team)$/.test(master?.kind ?? '')
  return [
    ...to('ingress', uppersOf(link, host)),
    ...to('ingress', [master]),
    ...(master === undefined || isBond ? [] : to('egress', membersOf(master, host)))
  ]
}
