import { type Diagnostic, diagnostic } from '../errors.ts'
import { groupBy, type HostIndex, peerHere } from '../host/host-index.ts'
import { type HookPlace, hookKey, type Link, type TcHook } from '../host/snapshot.ts'
import { type CopyPoint, type DesiredSpan, placeOf } from '../resources/desired-state.ts'
import { tunnelKinds } from '../resources/interface-use.ts'
import type { Mirror } from '../resources/mirrors/mirror-resource.ts'
import { isInScope, isOwnTunnel, markOf, type Scoped } from '../resources/ownership.ts'
import { livePoint } from '../resources/sources/host-source-kind.ts'
import { identifySource } from '../resources/sources/registry.ts'

/** A source through which a span would feed itself, directly or over other spans. */
export interface Loop {
  readonly span: string
  readonly mirrors: readonly CopyPoint[]
  readonly diagnostic: Diagnostic
}

/** A span, and what it copies from. */
export type Feeding = Pick<DesiredSpan, 'name' | 'bridge' | 'mirrors'>

/** The live spans that a plan leaves as they are, with their live mirrors: of other names, or out of scope. */
export function findOtherSpans(spans: readonly Feeding[], scoped: Scoped, host: HostIndex): Feeding[] {
  const bridges = new Set(spans.map(({ bridge }) => bridge))
  const filters = groupBy(host.filters, ({ mirror }) => mirror?.target)
  return host.links.flatMap((link): Feeding[] => {
    const mark = markOf(host, link)
    if (mark === null || bridges.has(link.name) || isInScope(scoped, mark.owner, link.name)) return []
    // Some of its receivers may be fed by mirrors of their own.
    const targets = [link, ...host.portsOf(link.name)]
    const mirrors = targets
      .flatMap((target) => filters(target.name))
      .map((filter) => livePoint(filter, identifySource(filter, host), host))
    return [{ name: scoped.names.nameOf(link.name), bridge: link.name, mirrors }]
  })
}

/**
 * Finds the loops in which a frame would go round for ever, and leaves the sources that close them out of the spans.
 *
 * A frame that a bridge sends is followed through everything that forwards frames unchanged: ports, other bridges, both ends of
 * a cable, bonds, VLANs, macvlans. Paths through another network namespace (a container that bridges two sensors' interfaces)
 * cannot be seen. A frame that leaves through a tunnel or a physical interface is not followed.
 *
 * @param others the live spans beside these, which stay as they are.
 */
export function breakLoops(spans: readonly DesiredSpan[], others: readonly Feeding[], host: HostIndex) {
  const open = new Map([...spans, ...others].map(({ bridge, mirrors }) => [bridge, mirrors]))
  const reachers = reachersOf(open.keys(), host)
  const feeds = [...open].flatMap(([target, mirrors]) => mirrors.map((point) => ({ ...placeOf(point), target })))
  const isOnLoop = findCircles(feeds, reachers)
  const hopsTo = (bridge: string) =>
    (open.get(bridge) ?? []).flatMap((via) =>
      reachers(hookKey(placeOf(via))).flatMap(({ name: from, place }) =>
        isOnLoop(from, bridge) ? [{ from, via, nodes: [...wayTo(place, host), from] }] : []
      )
    )
  const loops: Loop[] = []
  for (const span of spans) {
    for (;;) {
      const mirrors = open.get(span.bridge) ?? []
      const loop = findLoop({ ...span, mirrors }, hopsTo)
      if (loop === null) break
      loops.push(loop)
      const left = mirrors.filter((mirror) => !loop.mirrors.includes(mirror))
      open.set(span.bridge, left)
    }
  }
  return { spans: spans.map((span) => ({ ...span, mirrors: open.get(span.bridge) ?? [] })), loops }
}

/** Those of some live mirrors that are on a loop while there are also mirrors that a plan makes. */
export function findOnLoops(live: readonly Mirror[], made: readonly Mirror[], host: HostIndex): Mirror[] {
  if (live.length === 0 || made.length === 0) return []
  const feedOf = ({ point, target }: Mirror): Feed => ({ ...placeOf(point), target })
  const others = host.filters.flatMap(({ device, tcHook, mirror }) =>
    mirror ? [{ device, tcHook, target: mirror.target }] : []
  )
  const feeds = [...others, ...made.map(feedOf)]
  const targets = feeds.map(({ target }) => target)
  const reachers = reachersOf(targets, host)
  const isOnLoop = findCircles(feeds, reachers)
  return live.filter((one) => {
    const { target, ...place } = feedOf(one)
    return reachers(hookKey(place)).some(({ name }) => isOnLoop(name, target))
  })
}

/** The bridges of the spans whose frames reach a hook, each with the last place on the way there; null: it is a hook of the span's bridge, which is not there yet. */
type Reachers = (key: string) => readonly { readonly name: string; readonly place: Place | null }[]

function reachersOf(bridges: Iterable<string>, host: HostIndex): Reachers {
  const reached = [...new Set(bridges)].flatMap((name) =>
    [...followFrom(name, host)].map(([key, place]) => ({ key, name, place }))
  )
  return groupBy(reached, ({ key }) => key)
}

/** A hook whose frames are copied into a span. */
interface Feed extends HookPlace {
  readonly target: string
}

/**
 * Tells whether one bridge feeds another in a circle. A circle is a strongly connected component of what feeds what, and is called
 * by its first bridge: Kosaraju's algorithm finds it in two walks, one each way.
 */
function findCircles(feeds: readonly Feed[], reachers: Reachers): (from: string, to: string) => boolean {
  const edges = feeds.flatMap((feed) => reachers(hookKey(feed)).map(({ name: from }) => ({ from, to: feed.target })))
  const edgesTo = groupBy(edges, ({ to }) => to)
  const edgesFrom = groupBy(edges, ({ from }) => from)
  const targets = edges.map(({ to }) => to)
  const sorted = sortBySources(targets, (name) => edgesTo(name).map(({ from }) => from))
  const circles = new Map<string, string>()
  for (const first of [...sorted].reverse()) {
    if (circles.has(first)) continue
    const fed = (name: string) => edgesFrom(name).flatMap(({ to }) => (circles.has(to) ? [] : to))
    for (const name of sortBySources([first], fed)) circles.set(name, first)
  }
  return (from, to) => circles.has(from) && circles.get(from) === circles.get(to)
}

function findLoop({ name, bridge, mirrors }: Feeding, hopsTo: HopsTo): Loop | null {
  const trail = walk(bridge, bridge, hopsTo, new Set())
  const [first] = trail ?? []
  if (trail === null || first === undefined) return null
  const circle = [bridge, ...trail.flatMap(({ nodes }) => nodes)].reverse()
  const { item, origin, device } = first.via
  return {
    span: name,
    mirrors: mirrors.filter((mirror) => mirror.item === item && mirror.device.name === device.name),
    diagnostic: diagnostic(
      'LOOP',
      `span ${name} would copy its own frames in a loop: ${circle.join(' → ')}`,
      'remove one of these sources from the file',
      origin
    )
  }
}

/** A step from a bridge back to a bridge that feeds it. */
interface Hop {
  readonly from: string
  readonly via: CopyPoint
  readonly nodes: readonly string[]
}

type HopsTo = (bridge: string) => readonly Hop[]

function walk(start: string, at: string, hopsTo: HopsTo, seen: Set<string>): Hop[] | null {
  for (const hop of hopsTo(at)) {
    const { from } = hop
    if (from === start) return [hop]
    if (seen.has(from)) continue
    seen.add(from)
    const rest = walk(start, from, hopsTo, seen)
    if (rest !== null) return [hop, ...rest]
  }
  return null
}

/** A hook that frames pass. */
export interface Hook {
  readonly link: Link
  readonly tcHook: TcHook
}

/** A hook that frames pass, and the hook that they passed just before. */
interface Place extends Hook {
  readonly before: Place | null
}

/** The names of the links on the way back to the bridge, without the bridge; of a cable, only the far end. */
function wayTo(place: Place | null, host: HostIndex): string[] {
  const links: Link[] = []
  for (let at: Place | null = place; at !== null; at = at.before) if (links.at(-1) !== at.link) links.push(at.link)
  const far = links.filter((link, index) => index === 0 || peerOf(link, host) !== links[index - 1])
  return far.map(({ name }) => name).slice(0, -1)
}

/** The other end of a cable, in this network namespace. */
export function peerOf(link: Link, host: HostIndex): Link | undefined {
  return host.linkAt(peerHere(link))
}

/** A VRF does not forward frames between its interfaces: they share routes only. */
export function masterOf(link: Link, host: HostIndex): Link | undefined {
  const found = host.linkOf(link.master)
  // A plan takes the interface of a tunnel off its master.
  return found?.kind === 'vrf' || isOwnTunnel(host, link) ? undefined : found
}

/** The links that frames of a bridge or a bond pass. */
export function membersOf({ name, kind }: Link, host: HostIndex): readonly Link[] {
  return kind === 'vrf' ? [] : host.membersOf(name).filter((link) => !isOwnTunnel(host, link))
}

/** The link that a VLAN or a macvlan sends through. */
export function lowerOf({ lower, kind }: Link, host: HostIndex): Link | undefined {
  return tunnelKinds.has(kind) ? undefined : host.linkAt(lower)
}

/** The links that get a part of what a link receives. */
export function uppersOf(link: Link, host: HostIndex): readonly Link[] {
  return host.uppersOf(link).filter(({ kind }) => !tunnelKinds.has(kind))
}

const tcHooks: readonly TcHook[] = ['ingress', 'egress']

/** The hooks that a frame in a span's bridge can reach. A port may send the frame back, so its ingress counts too. */
function followFrom(bridge: string, host: HostIndex): ReadonlyMap<string, Place | null> {
  const link = host.linkOf(bridge)
  if (link === undefined) return new Map(tcHooks.map((tcHook) => [hookKey({ device: bridge, tcHook }), null]))
  const reached = new Map<string, Place>()
  if (link.bridge === null) return reached
  const start: Place = { link, tcHook: 'egress', before: null }
  const queue: Place[] = [
    start,
    { ...start, tcHook: 'ingress' },
    ...membersOf(link, host).map((port): Place => ({ link: port, tcHook: 'ingress', before: start }))
  ]
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const key = hookKey({ device: at.link.name, tcHook: at.tcHook })
    if (reached.has(key)) continue
    reached.set(key, at)
    const before = at
    queue.push(...nextHooks(at, host).map((hook) => ({ ...hook, before })))
  }
  return reached
}

const isMacvlan = ({ kind }: Link) => /^(macvlan|macvtap)$/.test(kind ?? '')

/** The hooks that a frame may pass next. */
export function nextHooks({ link, tcHook }: Hook, host: HostIndex): Hook[] {
  const to = (side: TcHook, links: readonly (Link | undefined)[]) =>
    links.flatMap((one) => (one === undefined || one === link ? [] : { link: one, tcHook: side }))
  if (tcHook === 'egress') {
    const lower = lowerOf(link, host)
    // In bridge mode, the macvlans and macvtaps of one interface reach each other.
    const beside = lower && isMacvlan(link) ? uppersOf(lower, host).filter(isMacvlan) : []
    return [
      ...to('ingress', [peerOf(link, host)]),
      ...to('egress', [lower]),
      ...to('ingress', beside),
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

/** Items and their sources, each after its own sources. Of items that are each other's sources, one is the first. */
export function sortBySources<Item>(
  items: readonly Item[],
  sourcesOf: (item: Item) => readonly Item[]
): ReadonlySet<Item> {
  const sorted = new Set<Item>()
  const begun = new Set<Item>()
  const stack = [...items].reverse()
  for (let item = stack.at(-1); item !== undefined; item = stack.at(-1)) {
    if (begun.has(item)) {
      sorted.add(item)
      stack.pop()
      continue
    }
    begun.add(item)
    stack.push(...sourcesOf(item).filter((one) => !begun.has(one)))
  }
  return sorted
}
