import type { Diagnostic, Origin } from '../errors.ts'
import { printable, quote } from '../printable.ts'
import { type FindInterface, type InterfaceSpec, indexInterfaces, writeMatch } from './interfaces.ts'
import { describeSource } from './sources/registry.ts'
import type { NetworkSpec, SourceSpec, SpanSpec, TcHook } from './spec.ts'
import { writeSelector } from './values/container-selector.ts'
import { parseSubnet, subnetsOverlap } from './values/subnet.ts'

/** `line 5`, or `b.yaml:5:3` if that is another file. */
export function describePlace(place: Origin, from: Origin): string {
  return place.file === from.file ? `line ${place.line}` : `${printable(place.file)}:${place.line}:${place.column}`
}

/** What is wrong with spans that are right each for itself: within a span, and among all. */
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
      const message = `interfaces ${quote(other.key)} (${place}) and ${quote(one.key)} are the same card: ${printable(identity)}`
      diagnostics.push({ code: 'INTERFACE_TWICE', message, hint: 'put them together', origin: one.origin })
    } else seen.set(identity, one)
  }
  return diagnostics
}

const hooksOf = ({ direction }: SourceSpec): readonly TcHook[] =>
  direction === 'both' ? ['ingress', 'egress'] : [direction]

function checkSources(span: SpanSpec, findInterface: FindInterface): Diagnostic[] {
  const seen = new Map<string, { source: SourceSpec; title: string }>()
  const diagnostics: Diagnostic[] = []
  for (const source of span.sources) {
    const { title, identity } = describeSource(source, findInterface)
    const twice = hooksOf(source).filter((hook) => seen.has(`${hook} ${identity}`))
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
    for (const hook of hooksOf(source))
      if (!seen.has(`${hook} ${identity}`)) seen.set(`${hook} ${identity}`, { source, title })
  }
  return diagnostics
}

function checkSensors(span: SpanSpec): Diagnostic[] {
  const seen = new Map<string, Origin>()
  const diagnostics: Diagnostic[] = []
  for (const sensor of span.sensors) {
    const { origin } = sensor
    const { kind, value } = writeSelector(sensor)
    const choice = `${kind === 'container' ? '' : `${kind} `}${quote(value)}`
    const other = seen.get(choice)
    if (other) {
      const message = `sensor ${choice} is in span ${quote(span.name)} already (${describePlace(other, origin)})`
      diagnostics.push({ code: 'SENSOR_TWICE', message, hint: 'take one out', origin })
    } else seen.set(choice, origin)
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
  // In the order of their addresses, what overlaps overlaps the widest of those before.
  subnets.sort((one, other) => one.subnet.base - other.subnet.base || one.subnet.length - other.subnet.length)
  const diagnostics: Diagnostic[] = []
  let [before] = subnets
  for (const one of subnets.slice(1)) {
    if (before && subnetsOverlap(before.subnet, one.subnet)) {
      const place = describePlace(before.network.origin, one.network.origin)
      const message = `subnet ${one.text} of span ${quote(one.span)} overlaps ${before.text} of span ${quote(before.span)} (${place})`
      diagnostics.push({
        code: 'SUBNET_OVERLAP',
        message,
        hint: 'give each network a prefix of its own',
        origin: one.network.origin
      })
    } else before = one
  }
  return diagnostics
}

/** A circle is shown whole up to this length. */
const longestCircle = 12

/** A bridge that is mirrored into itself, however long the way round, multiplies each frame for ever. */
function checkLoops(spans: readonly SpanSpec[], findInterface: FindInterface): Diagnostic[] {
  const byName = new Map(spans.map((span) => [span.name, span]))
  const done = new Set<string>()
  const diagnostics: Diagnostic[] = []
  for (const first of spans) {
    if (done.has(first.name)) continue
    // Depth first, without recursion: each step is a span and how many of its sources have been followed.
    const trail = [{ span: first, next: 0 }]
    const depths = new Map([[first.name, 0]])
    for (let step = trail.at(-1); step; step = trail.at(-1)) {
      const source = step.span.sources[step.next++]
      if (!source) {
        trail.pop()
        depths.delete(step.span.name)
        done.add(step.span.name)
        continue
      }
      const fed = byName.get(describeSource(source, findInterface).device ?? '')
      if (!fed || done.has(fed.name)) continue
      const depth = depths.get(fed.name)
      if (depth === undefined) {
        depths.set(fed.name, trail.length)
        trail.push({ span: fed, next: 0 })
        continue
      }
      // The trail goes from a span to its sources: frames go the other way.
      const names = trail.slice(Math.max(depth, trail.length - longestCircle)).map(({ span }) => span.name)
      if (trail.length - depth > longestCircle) names.unshift(fed.name, '…')
      diagnostics.push({
        code: 'LOOP',
        message: `span ${quote(step.span.name)} copies its own frames for ever: ${[fed.name, ...names.reverse()].join(' → ')}`,
        hint: 'take this source out',
        origin: source.origin
      })
    }
  }
  return diagnostics
}
