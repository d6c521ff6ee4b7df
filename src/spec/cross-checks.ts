import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic } from '../errors.ts'
import { keysOf } from '../keys.ts'
import { printable, quote } from '../printable.ts'
import { checkSensors, checkStats } from './check-sensors.ts'
import { findHostName } from './filter/host-name.ts'
import { type FindInterface, type InterfaceSpec, indexInterfaces, writeMatch } from './interfaces.ts'
import type { SourceSpec } from './items/source-item.ts'
import type { SpanSpec } from './items/span-item.ts'
import { checkOutputs } from './outputs/check-outputs.ts'
import { bridgeOf, checkRepeats, nameOf, placeFrom } from './repeats.ts'
import { sourceSummary } from './sources/registry.ts'
import type { SourceSummary, TunnelSummary } from './sources/source-syntax.ts'
import { writeDirection } from './values/direction.ts'
import { familyOf, isWithin } from './values/ip-address.ts'
import { readSubnet, subnetsOverlap } from './values/subnet.ts'
import { placeWithin } from './yaml/tree.ts'

/** Finds what is wrong with spans that the schema accepts: within a span, and between spans. */
export function checkSpans(interfaces: readonly InterfaceSpec[], spans: readonly SpanSpec[]): Diagnostic[] {
  const find = indexInterfaces(interfaces)
  return [
    ...checkBridges(spans),
    ...checkMatches(interfaces),
    ...checkDedicated(interfaces, spans),
    ...spans.flatMap((span) => [...checkSources(span, find), ...checkFilters(span), ...checkSensors(span)]),
    ...checkStats(spans),
    ...checkNetworks(spans),
    ...checkSourceNetworks(spans),
    ...checkTunnels(spans, find),
    ...checkSubnets(spans),
    ...checkOutputs(spans, find),
    ...checkLoops(spans, find)
  ]
}

/** A bridge is that of one span. A bridge with the name of another span would be taken for that one's. */
function checkBridges(spans: readonly SpanSpec[]): Diagnostic[] {
  const byName = new Map(spans.map((span) => [span.name, span]))
  const twice = checkRepeats(spans, bridgeOf, ({ name, bridge, origin }, other, place) => {
    const message = `span ${quote(name)} has the bridge ${quote(bridge)}, which span ${quote(other.name)} has already (${place})`
    return diagnostic('BRIDGE_TWICE', message, 'give each span a bridge of its own (bridge: NAME)', origin)
  })
  const confusing = spans.flatMap(({ name, bridge, origin }) => {
    const other = byName.get(bridge)
    if (other === undefined || other.name === name || other.bridge === bridge) return []
    const message = `the bridge ${quote(bridge)} of span ${quote(name)} has the name of another span, whose bridge is ${quote(other.bridge)}`
    return [diagnostic('BRIDGE_CONFUSING', message, `give span ${quote(bridge)} another name`, origin)]
  })
  return [...twice, ...confusing]
}

function checkMatches(interfaces: readonly InterfaceSpec[]): Diagnostic[] {
  const identityOf = ({ match }: InterfaceSpec) => writeMatch(match)
  return checkRepeats(interfaces, identityOf, (one, other, place) => {
    const message = `interfaces ${quote(other.key)} (${place}) and ${quote(one.key)} are the same interface: ${printable(identityOf(one))}`
    return diagnostic('INTERFACE_TWICE', message, 'merge them into one', one.origin)
  })
}

/** What closes a dedicated interface to the host would also drop the copies that the bridge of a span hands on. */
function checkDedicated(interfaces: readonly InterfaceSpec[], spans: readonly SpanSpec[]): Diagnostic[] {
  const bridges = new Set(spans.map(bridgeOf))
  return interfaces.flatMap(({ key, match, dedicated, origin }) => {
    if (!dedicated || !('name' in match) || !bridges.has(match.name)) return []
    const message = `interface ${quote(key)} cannot be dedicated: ${quote(match.name)} is the bridge of a span, which hands on what it gets`
    return [diagnostic('VALUE_INVALID', message, 'remove "dedicated" from the file', origin)]
  })
}

function checkSources(span: SpanSpec, findInterface: FindInterface): Diagnostic[] {
  const seen = new Map<string, { source: SourceSpec; title: string }>()
  const diagnostics: Diagnostic[] = []
  for (const source of span.sources) {
    const { title, identity, defaultDirections, isOneWay, tunnel } = sourceSummary(source, findInterface)
    if (source.except.length > 0 && !('label' in source || 'compose' in source)) {
      const message = `"except" of ${title} leaves out nothing: it belongs beside label or compose`
      diagnostics.push(diagnostic('VALUE_INVALID', message, 'take "except" out', source.origin))
    }
    if (source.from.length > 0 && tunnel === undefined) {
      const message = `"from" of ${title} chooses nobody: it belongs beside vxlan, gretap or erspan`
      diagnostics.push(diagnostic('VALUE_INVALID', message, 'take "from" out', source.origin))
    }
    if (isOneWay && source.directions.some((direction) => !defaultDirections.includes(direction))) {
      const message = `${title} has only ${defaultDirections.map(writeDirection).join(' and ')}: what comes out of it`
      diagnostics.push(diagnostic('VALUE_INVALID', message, 'take "direction" out', source.origin))
    }
    const twice = source.directions.filter((direction) => seen.has(`${direction} ${identity}`))
    const other = seen.get(`${twice[0]} ${identity}`)
    if (other) {
      const name = other.title === title ? title : `${title}, which is ${other.title}`
      const place = placeFrom(other.source.origin, source.origin)
      const message = `span ${quote(span.name)} already copies ${twice.map(writeDirection).join(' and ')} of ${name} (${place})`
      const hint = 'remove one, give them different directions, or join their filters with "or"'
      diagnostics.push(diagnostic('SOURCE_TWICE', message, hint, source.origin))
    }
    for (const direction of source.directions)
      if (!seen.has(`${direction} ${identity}`)) seen.set(`${direction} ${identity}`, { source, title })
  }
  return diagnostics
}

function checkFilters({ sources, sensors, outputs, balances }: SpanSpec): Diagnostic[] {
  return [...sources, ...sensors, ...outputs, ...balances].flatMap(({ filter }) => {
    if (filter === null) return []
    const found = findHostName(filter.expression)
    if (found === null) return []
    const place = placeWithin(filter.written, filter.expression, found.at)
    return [diagnostic('FILTER_HOST_NAME', found.message, found.hint, place)]
  })
}

function checkNetworks(spans: readonly SpanSpec[]): Diagnostic[] {
  const networks = spans.flatMap(({ name: span, network }) => (network ? [{ ...network, span }] : []))
  return checkRepeats(networks, nameOf, ({ name, span, origin }, other, place) => {
    const message = `network ${quote(name)} of span ${quote(span)} already belongs to span ${quote(other.span)} (${place})`
    return diagnostic('NETWORK_TWICE', message, 'give each span a network of its own', origin)
  })
}

/** The network of a span has copies only: its bridge is a source by its own name. */
function checkSourceNetworks(spans: readonly SpanSpec[]): Diagnostic[] {
  const owners = new Map(spans.flatMap((span) => (span.network ? [[span.network.name, span] as const] : [])))
  const sources = spans.flatMap((span) => span.sources.filter((source) => source.kind === 'network'))
  return sources.flatMap(({ network, origin }) => {
    const owner = owners.get(network)
    if (owner === undefined) return []
    const message = `the network ${quote(network)} hands out the span ${quote(owner.name)}: its frames are copies`
    return [
      diagnostic('SOURCE_NETWORK_OF_SPAN', message, `to copy them again, write "interface: ${owner.bridge}"`, origin)
    ]
  })
}

/** A source that is a tunnel, and the span that copies from it. */
type Tunnel = Extract<SourceSpec, { readonly tunnel: unknown }> &
  Pick<SourceSummary, 'title' | 'identity'> & { readonly span: string; readonly summary: TunnelSummary }

/** No sender has an address of both families, and no tunnel of one sender has another one. */
function checkSenders({ title, summary, tunnel, from, origin }: Tunnel): Diagnostic[] {
  if (tunnel.remote !== null && tunnel.remote === tunnel.local) {
    const message = `"remote" of ${title} is the address of this host: nobody else has that`
    return [diagnostic('VALUE_INVALID', message, 'write the address of the sender', origin)]
  }
  if (from.length > 0 && tunnel.remote !== null) {
    const message = `"from" of ${title} chooses nobody: ${tunnel.remote}, its "remote", is the only sender`
    return [diagnostic('VALUE_INVALID', message, 'take one of the two out', origin)]
  }
  const other = from.find((prefix) => familyOf(prefix) !== summary.family)
  if (other === undefined) return []
  const what = summary.family === 'inet' ? 'IPv4' : 'IPv6'
  const message = `"from" of ${title} has ${other}, and the tunnel is one over ${what}`
  return [diagnostic('VALUE_INVALID', message, 'take it out', origin)]
}

/** What a dedicated interface receives does not reach the host, so no tunnel either. */
function checkJoined({ title, tunnel, origin }: Tunnel, findInterface: FindInterface): Diagnostic[] {
  if (tunnel.interface === null || !findInterface(tunnel.interface)?.dedicated) return []
  const message = `"interface" of ${title} is dedicated to capture: nothing that it receives gets into the tunnel`
  return [diagnostic('VALUE_INVALID', message, 'name another interface, or remove "dedicated" from the file', origin)]
}

/**
 * What one sender sends into a tunnel of its own (`remote`) looks like what it would send into the tunnel of all: where the latter chooses
 * senders, it would be dropped.
 */
function checkOwnTunnels(one: Tunnel, tunnels: readonly Tunnel[]): Diagnostic[] {
  const { tunnel, from, origin } = one
  const left = tunnels.find(
    ({ tunnel: { remote, ...own } }) =>
      remote !== null &&
      // The kernel takes packets of each type of ERSPAN for any.
      isDeepStrictEqual({ ...own, remote: null, type: null }, { ...tunnel, type: null }) &&
      !from.some((prefix) => isWithin(remote, prefix))
  )
  if (from.length === 0 || left === undefined) return []
  const message = `"from" of ${one.title} leaves out the sender of ${left.title} (${placeFrom(left.origin, origin)}): what it sends would be dropped`
  return [diagnostic('VALUE_INVALID', message, `add ${left.tunnel.remote} to "from"`, origin)]
}

/** Spans share the interface that a tunnel ends in, and so all that the interface is made with. */
function checkTunnels(spans: readonly SpanSpec[], findInterface: FindInterface): Diagnostic[] {
  const tunnels = spans.flatMap(({ name: span, sources }) =>
    sources.flatMap((source): Tunnel[] => {
      const { tunnel: summary, title, identity } = sourceSummary(source, findInterface)
      return summary !== undefined && 'tunnel' in source ? [{ ...source, span, title, identity, summary }] : []
    })
  )
  const first = new Map<string, Tunnel>()
  return tunnels.flatMap((one) => {
    const { title, identity, summary, origin } = one
    const earlier = first.get(identity) ?? one
    first.set(identity, earlier)
    const [values, others] = [one, earlier].map(({ tunnel, from }) => ({ ...tunnel, from: from.join(', ') }))
    const key = values && keysOf(values).find((name) => values[name] !== others?.[name])
    if (key === undefined)
      return [...checkSenders(one), ...checkOwnTunnels(one, tunnels), ...checkJoined(one, findInterface)]
    const message = `${quote(key)} of ${title} differs from that in span ${quote(earlier.span)} (${placeFrom(earlier.origin, origin)}): the kernel has one interface for ${summary.sharedBy}`
    const hint = `write the same ${quote(key)}, or have the senders use ${summary.apart}`
    return [diagnostic('TUNNEL_DIFFERS', message, hint, origin)]
  })
}

function checkSubnets(spans: readonly SpanSpec[]): Diagnostic[] {
  const subnets = spans.flatMap(({ name: span, network }) => {
    const subnet = network?.subnet ? readSubnet(network.subnet) : undefined
    return network && subnet ? [{ ...subnet, span, text: network.subnet, origin: network.origin }] : []
  })
  // In the order of addresses, a subnet that overlaps any earlier one overlaps the last one kept here.
  const [first, ...others] = subnets.sort((one, other) => one.base - other.base || one.length - other.length)
  let widest = first
  return others.flatMap((one) => {
    if (!widest || !subnetsOverlap(widest, one)) {
      widest = one
      return []
    }
    const place = placeFrom(widest.origin, one.origin)
    const message = `subnet ${one.text} of span ${quote(one.span)} overlaps ${widest.text} of span ${quote(widest.span)} (${place})`
    return [diagnostic('SUBNET_OVERLAP', message, 'give each network a prefix of its own', one.origin)]
  })
}

/** Spans of a loop that a message shows; a longer loop is shortened. */
const longestLoop = 12

/** A bridge that is mirrored into itself, also by way of other bridges, multiplies each frame for ever. */
function checkLoops(spans: readonly SpanSpec[], findInterface: FindInterface): Diagnostic[] {
  const byBridge = new Map(spans.map((span) => [span.bridge, span]))
  const done = new Set<string>()
  const diagnostics: Diagnostic[] = []
  for (const first of spans) {
    if (done.has(first.name)) continue
    // Depth first, without recursion: each entry is a span and the number of its sources that have been followed.
    const path = [{ span: first, next: 0 }]
    const depths = new Map([[first.name, 0]])
    for (let step = path.at(-1); step; step = path.at(-1)) {
      const source = step.span.sources[step.next++]
      if (!source) {
        path.pop()
        depths.delete(step.span.name)
        done.add(step.span.name)
        continue
      }
      const feeding = byBridge.get(sourceSummary(source, findInterface).device ?? '')
      if (!feeding || done.has(feeding.name)) continue
      const depth = depths.get(feeding.name)
      if (depth === undefined) {
        depths.set(feeding.name, path.length)
        path.push({ span: feeding, next: 0 })
        continue
      }
      // The path leads from a span to its sources. Frames go the other way.
      const names = path.slice(Math.max(depth, path.length - longestLoop)).map(({ span }) => span.name)
      if (path.length - depth > longestLoop) names.unshift(feeding.name, '…')
      const loop = [feeding.name, ...names.reverse()].join(' → ')
      const [message, hint] = explainLoop(step.span, feeding, loop)
      diagnostics.push(diagnostic('LOOP', message, hint, source.origin))
    }
  }
  return diagnostics
}

/** What gives the bridge of a span another name. */
function anotherName({ name, bridge }: SpanSpec, example?: string): string {
  const isDefault = bridge === name
  if (example === undefined) return isDefault ? 'another name' : 'another bridge'
  return isDefault ? `another name, such as "${example}"` : `another bridge, such as "bridge: ${example}"`
}

function explainLoop(span: SpanSpec, feeding: SpanSpec, loop: string): [message: string, hint: string] {
  const [name, other] = [quote(span.name), quote(feeding.name)]
  if (span !== feeding) {
    const hint = `remove this source from the file; if it is an interface, give the span ${other} ${anotherName(feeding)}`
    return [`span ${name} copies its own frames in a loop: ${loop}`, hint]
  }
  // Whoever names a span like its source means the interface.
  const [whose, why] =
    span.bridge === span.name
      ? [`span ${name}`, ", and a span's name is that of its bridge"]
      : [`the bridge ${quote(span.bridge)} of span ${name}`, '']
  return [
    `${whose} has the name of its own source${why}`,
    `if an interface is meant, give the span ${anotherName(span, 'mon0')}; else remove this source`
  ]
}
