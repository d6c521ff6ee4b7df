import { Document, type Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import type { HostIndex } from '../host/host-index.ts'
import { printable } from '../printable.ts'
import { type DiscoveredSource, type DiscoveredSpan, type Discovery, discoverSpans } from './discover.ts'

/**
 * Writes a spans.yaml for the mirrors of a host, of spanplan and of others. What the file cannot express is in comments. The
 * file is valid, whatever names the host has.
 *
 * @param context the version of spanplan, and the time, for the head of the file.
 */
export function writeImport(host: HostIndex, context: { readonly version: string; readonly created: string }): string {
  const discovery = discoverSpans(host)
  // Quotes what YAML 1.1 reads otherwise (yes, 0o7), for other tools.
  const document = new Document(null, { compat: 'yaml-1.1' })
  const value = (of: unknown): Node => document.createNode(of)

  const source = ({ interface: name, direction, filter, remarks }: DiscoveredSource): Node =>
    remarked(value({ interface: name, direction, ...(filter !== null && { filter }) }), remarks)
  const span = ({ sources, network, sensors, mtu }: DiscoveredSpan): Node =>
    mapping([
      pair('sources', list(sources.map(source))),
      ...(network === null ? [] : [pair('network', value(network.subnet === null ? network.name : { ...network }))]),
      ...(sensors.length === 0 ? [] : [pair('sensors', value([...sensors]))]),
      ...(mtu === null ? [] : [pair('mtu', value(mtu))])
    ])

  document.contents = mapping([
    pair('version', value(1)),
    ...(discovery.owner === null ? [] : [pair('name', value(discovery.owner))]),
    pair('spans', mapping(discovery.spans.map((one) => pair(one.name, span(one), one.remarks))), discovery.remarks)
  ])
  document.commentBefore = writeComment(headOf(discovery, host, context))
  return document.toString({ lineWidth: 0 })
}

function mapping(pairs: readonly Pair[]): YAMLMap {
  const map = new YAMLMap()
  map.items.push(...pairs)
  return map
}

function list(items: readonly Node[]): YAMLSeq<Node> {
  const sequence = new YAMLSeq<Node>()
  sequence.items.push(...items)
  return sequence
}

function pair(key: string, value: Node, remarks: readonly string[] = []): Pair {
  return new Pair(remarked(new Scalar(key), remarks), value)
}

function remarked<Remarked extends Node>(node: Remarked, remarks: readonly string[]): Remarked {
  if (remarks.length > 0) node.commentBefore = writeComment(remarks)
  return node
}

/** A name from the host must not end the comment. */
function writeComment(lines: readonly string[]): string {
  return lines.map((line) => ` ${printable(line)}`).join('\n')
}

const untagged = /and not vlan\)?$/

function headOf(
  discovery: Discovery,
  host: HostIndex,
  context: { readonly version: string; readonly created: string }
): string[] {
  const expressions = discovery.spans.flatMap(({ sources }) => sources.flatMap(({ filter }) => filter ?? []))
  return [
    `Written by spanplan ${context.version} import at ${context.created}, from the mirrors that this host has.`,
    'Nothing was changed. What would be, once this is in FILE: spanplan plan --adopt -f FILE',
    ...(discovery.spans.length === 0
      ? ['There are no mirrors that a span could be made of.']
      : ['"sealed" and "wire" are left at their defaults, true: sensors cannot send, and get frames as on the wire.']),
    ...(expressions.some((expression) => untagged.test(expression))
      ? ['"and not vlan": to tc, a frame with a VLAN tag is of the protocol 802.1Q, whatever is in it.']
      : []),
    ...(expressions.some((expression) => /(^|\W)vlan/.test(expression.replace(untagged, '')))
      ? ['"vlan" takes frames with a tag of 802.1ad too.']
      : []),
    ...(host.docker.state === 'unreachable'
      ? [`Docker was not asked, so networks and sensors are missing here: ${host.docker.reason.message}`]
      : [])
  ]
}
