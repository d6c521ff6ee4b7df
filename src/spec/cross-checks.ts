import type { Diagnostic, Origin } from '../errors.ts'
import { printable, quote } from '../printable.ts'
import { type FindInterface, type InterfaceSpec, indexInterfaces, writeMatch } from './interfaces.ts'
import { describeSource } from './sources/registry.ts'
import type { NetworkSpec, SourceSpec, SpanSpec, TcHook } from './spec.ts'
import { writeSelector } from './values/container-selector.ts'
import { parseSubnet, subnetsOverlap } from './values/subnet.ts'

/** `line 5`, or `b.yaml:5:3` if the place is in another file. */
export function describePlace(place: Origin, from: Origin): string {
  return place.file === from.file ? `line ${place.line}` : `${printable(place.file)}:${place.line}:${place.column}`
}

/** Finds what is wrong with spans that the schema accepts: within a span, and between spans. */
export function checkSpans(interfaces: readonly InterfaceSpec[], spans: readonly SpanSpec[]): Diagnostic[] {
  const find = indexInterfaces(interfaces)
  return [
    ...checkMatches(interfaces),
    ...spans.flatMap((span) => [...checkSources(span, find), ...checkSensors(span)]),
    ...checkNetworks(spans),
    ...checkSubnets(spans),
    ...checkLoops(spans, find)
  ]
}

function checkMatches(interfaces: readonly InterfaceSpec[]): Diagnostic[] {
  const seen = new Map<string, InterfaceSpec>()
  const diagnostics: Diagnostic[] = []
  for (const one of interfaces) {
    const identity = writeMatch(one.match)
    const other = seen.get(identity)
    if (other) {
      const place = describePlace(other.origin, one.origin)
      const message = `interfaces ${quote(other.key)} (${place}) and ${quote(one.key)} are the same interface: ${printable(identity)}`
      diagnostics.push({ code: 'INTERFACE_TWICE', message, hint: 'put them together', origin: one.origin })
    } else seen.set(identity, one)
  }
  return diagnostics
}

const directionsOf = ({ direction }: SourceSpec): readonly TcHook[] =>
  direction === 'both' ? ['ingress', 'egress'] : [direction]

function checkSources(span: SpanSpec, findInterface: FindInterface): Diagnostic[] {
  const seen = new Map<string, { source: SourceSpec; title: string }>()
  const diagnostics: Diagnostic[] = []
  for (const source of span.sources) {
    const { title, identity } = describeSource(source, findInterface)
    const twice = directionsOf(source).filter((direction) => seen.has(`${direction} ${identity}`))
    const other = seen.get(`${twice[0]} ${identity}`)
    if (other) {
      const name = other.title === title ? title : `${title}, which is ${other.title},`
      const place = describePlace(other.source.origin, source.origin)
      diagnostics.push({
        code: 'SOURCE_TWICE',
        message: `span ${quote(span.name)} copies ${twice.join(' and ')} of ${name} already (${place})`,
        hint: 'take one out, give them different directions, or join their filters with "or"',
        origin: source.origin
      })
    }
    for (const direction of directionsOf(source))
      if (!seen.has(`${direction} ${identity}`)) seen.set(`${direction} ${identity}`, { source, title })
  }
  return diagnostics
}

function checkSensors(span: SpanSpec): Diagnostic[] {
  const seen = new Map<string, Origin>()
  const diagnostics: Diagnostic[] = []
  for (const sensor of span.sensors) {
    const { origin } = sensor
    const { kind, value } = writeSelector(sensor)
    const selector = `${kind === 'container' ? '' : `${kind} `}${quote(value)}`
    const other = seen.get(selector)
    if (other) {
      const message = `sensor ${selector} is in span ${quote(span.name)} already (${describePlace(other, origin)})`
      diagnostics.push({ code: 'SENSOR_TWICE', message, hint: 'take one out', origin })
    } else seen.set(selector, origin)
  }
  return diagnostics
}

function checkNetworks(spans: readonly SpanSpec[]): Diagnostic[] {
  const seen = new Map<string, { span: SpanSpec; network: NetworkSpec }>()
  const diagnostics: Diagnostic[] = []
  for (const span of spans) {
    const { network } = span
    if (!network) continue
    const other = seen.get(network.name)
    if (other) {
      const place = describePlace(other.network.origin, network.origin)
      const message = `network ${quote(network.name)} of span ${quote(span.name)} is that of span ${quote(other.span.name)} already (${place})`
      diagnostics.push({
        code: 'NETWORK_TWICE',
        message,
        hint: 'give each span a network of its own',
        origin: network.origin
      })
    } else seen.set(network.name, { span, network })
  }
  return diagnostics
}

function checkSubnets(spans: readonly SpanSpec[]): Diagnostic[] {
  const subnets = spans.flatMap(({ name, network }) => {
    const subnet = network?.subnet ? parseSubnet(network.subnet) : undefined
    return network?.subnet && subnet && !('problem' in subnet)
      ? [{ span: name, network, subnet, text: network.subnet }]
      : []
  })
  // In the order of addresses, a subnet that overlaps any earlier one overlaps the last one kept here.
  subnets.sort((one, other) => one.subnet.base - other.subnet.base || one.subnet.length - other.subnet.length)
  const diagnostics: Diagnostic[] = []
  let [widest] = subnets
  for (const one of subnets.slice(1)) {
    if (widest && subnetsOverlap(widest.subnet, one.subnet)) {
      const place = describePlace(widest.network.origin, one.network.origin)
      const message = `subnet ${one.text} of span ${quote(one.span)} overlaps ${widest.text} of span ${quote(widest.span)} (${place})`
      diagnostics.push({
        code: 'SUBNET_OVERLAP',
        message,
        hint: 'give each network a prefix of its own',
        origin: one.network.origin
      })
    } else widest = one
  }
  return diagnostics
}

/** Spans of a loop that a message shows; a longer loop is shortened. */
const longestLoop = 12

/** A bridge that is mirrored into itself, also by way of other bridges, multiplies each frame for ever. */
function checkLoops(spans: readonly SpanSpec[], findInterface: FindInterface): Diagnostic[] {
  const byName = new Map(spans.map((span) => [span.name, span]))
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
      const feeding = byName.get(describeSource(source, findInterface).device ?? '')
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
      diagnostics.push({
        code: 'LOOP',
        message: `span ${quote(step.span.name)} copies its own frames for ever: ${[feeding.name, ...names.reverse()].join(' → ')}`,
        hint: 'take this source out',
        origin: source.origin
      })
    }
  }
  return diagnostics
}
