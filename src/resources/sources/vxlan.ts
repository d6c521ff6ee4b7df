import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, Vxlan } from '../../host/snapshot.ts'
import type { SourceOf } from '../../spec/items/source-item.ts'
import { suggestSlips } from '../../spec/schema/did-you-mean.ts'
import { type VxlanSpec, vxlanFamily, vxlanName } from '../../spec/sources/vxlan.ts'
import type { DesiredTunnel, SourceId } from '../desired-state.ts'
import { plannedTunnel } from '../kinds/tunnel.ts'
import { readTunnelOwner, tunnelName } from '../marks.ts'
import { findInterface, matchOf } from './find-interface.ts'
import {
  directionAt,
  type HostSourceKind,
  hostHooks,
  nothingResolved,
  type SourceHook,
  waitForMirrors
} from './host-source-kind.ts'

/** What comes out of a VXLAN that ends on this host, in a link which spanplan makes. */
export const vxlanSource: HostSourceKind<SourceOf<'vxlan'>> = {
  needs: ({ vxlan }, spec) => ({
    devices: [tunnelName(spec.name, vxlan)],
    datagrams: [{ family: vxlanFamily(vxlan), protocol: 'udp', port: vxlan.port }],
    modules: ['vxlan']
  }),
  isDevice: () => false,
  resolve(source, span, { spec, host, patient }) {
    const { vxlan, origin } = source
    const id: SourceId = [vxlanName(vxlan)]
    const inSpan = (found: Diagnostic) => ({ ...found, message: `span ${span.name}: ${found.message}`, origin })
    const joined = vxlan.interface === null ? null : findInterface(matchOf(spec, vxlan.interface), host)
    if (joined !== null && 'code' in joined) {
      const missing = { ...joined, message: `waits for the interface ${vxlan.interface}` }
      if (patient) return { ...nothingResolved, waits: waitForMirrors(span, source, id, missing) }
      return { ...nothingResolved, errors: [inSpan(joined)] }
    }
    const name = tunnelName(spec.name, vxlan)
    const link = host.linkOf(name)
    const tunnel = { ...vxlan, interface: joined?.name ?? null, name, from: source.from, item: source.id, origin }
    const found =
      explainTaken(tunnel, host) ??
      explainPort(tunnel, host) ??
      explainLocal(tunnel, host) ??
      explainSenders(tunnel, host)
    const problem = found === undefined ? null : { ...found, origin }
    const items = source.directions.map(
      (direction): SourceHook => ({
        source: id,
        serves: null,
        device: link === undefined ? { name, planned: plannedTunnel } : { name, link },
        tcHook: hostHooks[direction],
        direction,
        settings: [],
        mtu: largestFrame(vxlan, joined, host),
        problem: patient ? problem : null
      })
    )
    return {
      ...nothingResolved,
      items,
      tunnels: [tunnel],
      warnings: warnOfUnread(tunnel, host).map(inSpan),
      errors: problem === null || patient ? [] : [inSpan(problem)]
    }
  },
  recall: () => [],
  identify({ device, tcHook }, host) {
    const link = host.linkOf(device)
    const { id = null, port = 0 } = link?.vxlan ?? {}
    if (link === undefined || id === null || !link.alias || readTunnelOwner(link, '') === null) return null
    return { source: [vxlanName({ id, port })], serves: null, direction: directionAt(hostHooks, tcHook) }
  }
}

/** Bytes: Ethernet's own MTU (RFC 894). */
const ethernetMtu = 1500

/**
 * Bytes. A tunnel takes larger frames than its link's MTU, also where they come in fragments (measured with Linux 6.18): what counts is
 * what the sender has. It has Ethernet's MTU or, where its network takes more, at most what that takes.
 */
function largestFrame({ local }: VxlanSpec, joined: Link | null, { links }: HostIndex): number {
  const isUnderlay = ({ type, addresses }: Link) =>
    type === 'ether' && (local === null ? addresses.length > 0 : addresses.some(({ address }) => address === local))
  const below = joined === null ? links.filter(isUnderlay) : [joined]
  return Math.max(ethernetMtu, ...below.map(({ mtu }) => mtu))
}

/** Why the kernel does not make the link: of each family, it has one for an id and a port, whatever the local address is. */
function explainTaken(tunnel: DesiredTunnel, host: HostIndex): Diagnostic | undefined {
  const { name, id, port } = tunnel
  const isSame = (one: Vxlan) => one.id === id && one.port === port && vxlanFamily(one) === vxlanFamily(tunnel)
  const other = host.links.find((link) => link.name !== name && link.vxlan !== undefined && isSame(link.vxlan))
  if (other === undefined) return undefined
  const owner = readTunnelOwner(other, '')
  const whose = owner === null ? '' : `, which belongs to another spans.yaml (name: ${owner})`
  return diagnostic(
    'VXLAN_TAKEN',
    `${vxlanName(tunnel)} already ends in the interface ${other.name}${whose}, and the kernel has one for an id and a port`,
    `copy from that interface: "interface: ${other.name}"; or, if nothing needs it: ${shellLine(['ip', 'link', 'del', 'dev', other.name])}`
  )
}

/** An interface that gets every id, as Open vSwitch has it, shares its port with none: ours could not be set up. */
function explainPort({ id, port }: DesiredTunnel, { links }: HostIndex): Diagnostic | undefined {
  const other = links.find(({ up, vxlan }) => up && vxlan?.id === null && vxlan.port === port)
  if (other === undefined) return undefined
  return diagnostic(
    'VXLAN_TAKEN',
    `the UDP port ${port} of ${vxlanName({ id, port })} is that of the interface ${other.name}, which gets the frames of every id (external)`,
    `have the senders use another port, or copy from that interface: "interface: ${other.name}"`
  )
}

/** The kernel makes the link all the same, and nothing comes. */
function explainLocal(tunnel: DesiredTunnel, { links }: HostIndex): Diagnostic | undefined {
  const { local } = tunnel
  const there = links.flatMap(({ addresses }) => addresses).map(({ address }) => address)
  if (local === null || there.includes(local)) return undefined
  const message = `the host has no address ${local}, which is "local" of ${vxlanName(tunnel)}`
  return diagnostic('ADDRESS_MISSING', message, suggestSlips(local, there) ?? `there are: ${there.join(', ')}`)
}

/** Nothing but nftables can tell who has sent what comes out of the link, and touch nothing of others. */
function explainSenders(tunnel: DesiredTunnel, { senderTables }: HostIndex): Diagnostic | undefined {
  if (tunnel.from.length === 0 || senderTables?.state !== 'unusable') return undefined
  const { message, hint } = senderTables.reason
  const what = `"from" of ${vxlanName(tunnel)} needs nftables, which this host does not have: ${message}`
  return diagnostic('SENDERS_UNSUPPORTED', what, hint ?? 'install nftables, or take "from" out')
}

/** A table that was not read is left as it is. */
function warnOfUnread(tunnel: DesiredTunnel, { senderTables }: HostIndex): Diagnostic[] {
  if (tunnel.from.length === 0 || senderTables?.state !== 'unread') return []
  const { message, hint } = senderTables.reason
  const what = `who may send into ${vxlanName(tunnel)} is not checked: ${message}`
  return [diagnostic('TABLE_UNREAD', what, hint, tunnel.origin)]
}
