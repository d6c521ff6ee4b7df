import { Document, type Node, Scalar } from 'yaml'
import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { readSenders, senderTableName } from '../host/nftables/sender-table.ts'
import type { CompiledFilters } from '../host/parsers/pcap.ts'
import { printable } from '../printable.ts'
import { firstTunnelName, tunnelOwner } from '../resources/ownership.ts'
import { shareKeys } from '../spec/items/share-keys.ts'
import { printOutput } from '../spec/outputs/registry.ts'
import { printSource } from '../spec/sources/registry.ts'
import { writeDirections } from '../spec/values/direction.ts'
import { writeRate } from '../spec/values/rate.ts'
import { discoverSpans } from './discover.ts'
import type { DiscoveredBalance, DiscoveredReceiver, DiscoveredSpan, Discovery } from './discovery.ts'
import type { DiscoveredSource } from './docker-sources.ts'
import { refusalOf } from './refusal.ts'
import { findSent } from './tunnels.ts'

/**
 * Writes a spans.yaml for the mirrors of a host, of spanplan and of others. What the file cannot express is in comments. The
 * file is valid, whatever names the host has.
 *
 * @param name whose spans, as {@link discoverSpans} takes it.
 * @param filters what {@link findAllLeftOut} gives, compiled.
 * @param created the time, as people read it.
 */
export function writeImport(
  host: HostIndex,
  { name, filters, created }: { name: string | null; filters: CompiledFilters; created: string }
): string {
  const discovery = discoverSpans(host, name, filters)
  // Quotes what YAML 1.1 reads otherwise (yes, 0o7), for other tools.
  const document = new Document(null, { compat: 'yaml-1.1' })
  const source = ({ name, directions, filter, sample, limit, remarks }: DiscoveredSource) =>
    remarked(
      document.createNode({
        ...(writeTunnel(host, name) ?? { ...name, direction: writeDirections(directions) }),
        ...(filter !== null && { filter }),
        ...(sample !== null && { sample: shareKeys.sample.print(sample) }),
        ...(limit !== null && { limit: writeRate(limit) })
      }),
      remarks
    )
  const outputOf = (name: string) => writeSent(host, name) ?? { interface: name }
  const balance = ({ hash, members, remarks }: DiscoveredBalance) =>
    remarked(
      document.createNode({
        balance: members.map(({ kind, name }) => (kind === 'sensor' ? name : outputOf(name))),
        ...(hash !== 'addresses' && { hash })
      }),
      remarks
    )
  const sensor = ({ name, remarks }: DiscoveredReceiver) => remarked(document.createNode(name) as Scalar, remarks)
  const output = ({ name, remarks }: DiscoveredReceiver) => remarked(document.createNode(outputOf(name)), remarks)
  const span = ({ sources, network, sensors, outputs, balances, mtu }: DiscoveredSpan) => ({
    sources: sources.map(source),
    ...(network && { network: network.subnet === null ? network.name : network }),
    ...(sensors.length + balances.length > 0 && { sensors: [...sensors.map(sensor), ...balances.map(balance)] }),
    ...(outputs.length > 0 && { outputs: outputs.map(output) }),
    ...(mtu !== null && { mtu })
  })
  const key = (name: string, remarks: readonly string[]) => remarked(new Scalar(name), remarks)

  const file = new Map<string | Scalar, unknown>([['version', 1]])
  if (discovery.owner !== null) file.set('name', discovery.owner)
  const former = findFormerNames(discovery, host)
  if (former.length > 0) file.set('formerly', former.length === 1 ? former[0] : former)
  const spans = discovery.spans.map((one) => [key(one.name, one.remarks), span(one)] as const)
  file.set(key('spans', discovery.remarks), new Map(spans))
  document.contents = document.createNode(file)
  document.commentBefore = writeComment(headOf(discovery, host, created))
  return document.toString({ lineWidth: 0 })
}

/** The names that a file had when the networks of its spans were made: Docker changes no label of a network. */
function findFormerNames({ owner, spans }: Discovery, host: HostIndex): string[] {
  if (owner === null) return []
  const labelled = spans.flatMap(({ network }) => host.networkOf(network?.name ?? '')?.labels[label.name] ?? [])
  return [...new Set(labelled)].filter((name) => name !== owner && refusalOf({ name, spans: {} }) === null)
}

/** The keys of a source that spanplan has made this interface for; null: it has not made it. */
function writeTunnel(host: HostIndex, name: DiscoveredSource['name']): object | null {
  const link = 'interface' in name ? host.linkOf(name.interface) : undefined
  const owner = link && tunnelOwner(host, link, '')
  if (link?.tunnel === undefined || owner == null) return null
  const tables = host.senderTables?.state === 'usable' ? host.senderTables.tables : []
  const from = tables
    .filter(({ name }) => name === senderTableName(firstTunnelName(host, link, owner)))
    .flatMap(readSenders)
  const source = printSource({ kind: link.tunnel.protocol, tunnel: link.tunnel })
  return { ...source, ...(from.length > 0 && { from }) }
}

/** The keys of an output that spanplan has made this interface for; null: it has not made it. */
function writeSent(host: HostIndex, device: string): object | null {
  const output = findSent(host, host.linkOf(device))
  return output && printOutput(output)
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

function headOf({ spans }: Discovery, { docker }: HostIndex, created: string): string[] {
  const expressions = spans.flatMap(({ sources }) => sources.flatMap(({ filter }) => filter ?? []))
  const lines = [
    `Written by spanplan ${SPANPLAN_VERSION} import at ${created}, from the mirrors that this host has.`,
    'Nothing was changed. To see what would be, save this as FILE and run: spanplan plan --adopt -f FILE',
    spans.length === 0
      ? 'There are no mirrors that a span could be made of.'
      : '"sealed" and "wire" are left at their defaults, true: sensors cannot send, and get frames as on the wire.'
  ]
  if (expressions.some((expression) => untagged.test(expression)))
    lines.push('"and not vlan": to tc, a frame with a VLAN tag is of the protocol 802.1Q, whatever is in it.')
  if (expressions.some((expression) => /(^|\W)vlan/.test(expression.replace(untagged, ''))))
    lines.push('"vlan" takes frames with a tag of 802.1ad too.')
  if (docker.state === 'unreachable')
    lines.push(`Docker was not asked, so networks and sensors are missing here: ${docker.reason.message}`)
  return lines
}
