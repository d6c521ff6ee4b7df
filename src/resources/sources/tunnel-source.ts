import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, TunnelEnd } from '../../host/snapshot.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import { suggestSlips } from '../../spec/schema/did-you-mean.ts'
import { type TunnelSpec, tunnelFamily } from '../../spec/sources/tunnel-spec.ts'
import { isWithin } from '../../spec/values/ip-address.ts'
import type { DesiredTunnel, SourceId } from '../desired-state.ts'
import { plannedTunnel } from '../kinds/tunnel.ts'
import { isOwnTunnel, readTunnelOwner, tunnelName } from '../marks.ts'
import { findInterface, isMeant, matchOf } from './find-interface.ts'
import {
  directionAt,
  type HostSourceKind,
  hostHooks,
  nothingResolved,
  type SourceHook,
  waitForMirrors
} from './host-source-kind.ts'

/** A source that is a tunnel, of whatever protocol. */
type TunnelSourceSpec = Extract<SourceSpec, { readonly tunnel: TunnelSpec }>

/** What comes out of a tunnel that ends on this host, in a link which spanplan makes. */
export const tunnelSource: HostSourceKind<TunnelSourceSpec> = {
  needs: ({ tunnel }, { name }) => ({
    devices: [tunnelName(name, tunnel)],
    datagrams: [tunnelKindOf(tunnel).datagram(tunnel)],
    modules: tunnelKindOf(tunnel).modules
  }),
  // Nothing comes out of it before the interface that its packets come on is there.
  isDevice({ tunnel: { interface: joined, local } }, name, spec, host) {
    if (joined !== null) return isMeant(matchOf(spec, joined), name, host)
    return local !== null && host.findLink(name)?.addresses.some(({ address }) => address === local) === true
  },
  resolve(source, span, { spec, host, patient, goingDown }) {
    const { tunnel: written, origin } = source
    const id: SourceId = [tunnelKindOf(written).name(written, 'in')]
    const inSpan = (found: Diagnostic) => ({ ...found, message: `span ${span.name}: ${found.message}`, origin })
    const joined = written.interface === null ? null : findInterface(matchOf(spec, written.interface), host)
    if (joined !== null && !('code' in joined) && goingDown.has(joined.name)) {
      const going = diagnostic('INTERFACE_GOING_DOWN', `waits for ${joined.name}, which is going down`)
      return { ...nothingResolved, waits: waitForMirrors(span, source, id, going) }
    }
    if (joined !== null && 'code' in joined) {
      const missing = { ...joined, message: `waits for the interface ${written.interface}` }
      if (patient) return { ...nothingResolved, waits: waitForMirrors(span, source, id, missing) }
      return { ...nothingResolved, errors: [inSpan(joined)] }
    }
    const name = tunnelName(spec.name, written)
    const link = host.linkOf(name)
    const tunnel: DesiredTunnel = {
      ...written,
      interface: joined?.name ?? null,
      name,
      way: 'in',
      from: source.from,
      item: source.id,
      origin
    }
    const found =
      explainTaken(tunnel, host) ??
      tunnelKindOf(tunnel).findObstacle?.(tunnel, host.links) ??
      explainLocal(tunnel, host) ??
      explainSenders(tunnel, host) ??
      explainOverlap(tunnel, host)
    const problem = found === undefined ? null : { ...found, origin }
    const items = source.directions.map(
      (direction): SourceHook => ({
        source: id,
        serves: null,
        device: link === undefined ? { name, planned: plannedTunnel } : { name, link },
        tcHook: hostHooks[direction],
        direction,
        settings: [],
        mtu: largestFrame(written, joined, host),
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
    if (link?.tunnel === undefined || !isOwnTunnel(link)) return null
    const source: SourceId = [tunnelKindOf(link.tunnel).name(link.tunnel, 'in')]
    return { source, serves: null, direction: directionAt(hostHooks, tcHook) }
  }
}

/** Bytes: Ethernet's own MTU (RFC 894). */
const ethernetMtu = 1500

/**
 * Bytes. A tunnel takes larger frames than its link's MTU, also where they come in fragments (measured with Linux 6.18): what counts is
 * what the sender has. It has Ethernet's MTU or, where its network takes more, at most what that takes.
 */
function largestFrame({ local }: TunnelSpec, joined: Link | null, { links }: HostIndex): number {
  const isUnderlay = ({ type, addresses }: Link) =>
    type === 'ether' && (local === null ? addresses.length > 0 : addresses.some(({ address }) => address === local))
  const below = joined === null ? links.filter(isUnderlay) : [joined]
  return Math.max(ethernetMtu, ...below.map(({ mtu }) => mtu))
}

/** Why the kernel does not make the link. */
export function explainTaken(tunnel: DesiredTunnel, host: HostIndex): Diagnostic | undefined {
  const kind = tunnelKindOf(tunnel)
  const identityOf = (one: TunnelSpec) => [one.protocol, tunnelFamily(one), ...kind.identity(one)]
  const other = host.links.find(
    ({ name, tunnel: end }) =>
      name !== tunnel.name && end && !end.external && isDeepStrictEqual(identityOf(end), identityOf(tunnel))
  )
  if (other === undefined) return undefined
  const taken = (whose: string, hint: string) => {
    const where = `the interface ${other.name}${whose}`
    return diagnostic(
      'TUNNEL_TAKEN',
      `${kind.name(tunnel, tunnel.way)} already ends in ${where}: the kernel has one for both`,
      hint
    )
  }
  const setOther = (...words: string[]) => shellLine(['ip', 'link', 'set', 'dev', other.name, ...words])
  if (isOwnTunnel({ ...other, name: tunnel.name })) {
    const rename = `${setOther('down')} && ${setOther('name', tunnel.name)}`
    return taken(', which spanplan has made, and somebody has renamed', `give it its name back: ${rename}`)
  }
  const owner = readTunnelOwner(other, '')
  const copy =
    tunnel.way === 'in'
      ? `copy from that interface: "interface: ${other.name}"`
      : 'have the output use another id, key or session'
  if (owner !== null) return taken(`, which belongs to another spans.yaml (name: ${owner})`, copy)
  return taken('', `${copy}; or, if nothing needs it: ${shellLine(['ip', 'link', 'del', 'dev', other.name])}`)
}

/** The kernel makes the link all the same, and nothing comes. */
export function explainLocal(tunnel: DesiredTunnel, { links }: HostIndex): Diagnostic | undefined {
  const { local } = tunnel
  const there = links.flatMap(({ addresses }) => addresses).map(({ address }) => address)
  if (local === null || there.includes(local)) return undefined
  const message = `the host has no address ${local}, which is "local" of ${tunnelKindOf(tunnel).name(tunnel, tunnel.way)}`
  return diagnostic('ADDRESS_MISSING', message, suggestSlips(local, there) ?? `there are: ${there.join(', ')}`)
}

/** Nothing but nftables can tell who has sent what comes out of the link, and touch nothing of others. */
function explainSenders(tunnel: DesiredTunnel, { senderTables }: HostIndex): Diagnostic | undefined {
  if (tunnel.from.length === 0 || senderTables?.state !== 'unusable') return undefined
  const { message, hint } = senderTables.reason
  const what = `"from" of ${tunnelKindOf(tunnel).name(tunnel, tunnel.way)} needs nftables, which this host does not have: ${message}`
  return diagnostic('SENDERS_UNSUPPORTED', what, hint ?? 'install nftables, or take "from" out')
}

/** What one sender sends into a tunnel of its own looks like what it would send into the tunnel of all, and the table would drop it. */
function explainOverlap(tunnel: DesiredTunnel, { links }: HostIndex): Diagnostic | undefined {
  const { name, protocol, identifier, local, from } = tunnel
  if (from.length === 0) return undefined
  const overlaps = (end: TunnelEnd | undefined) =>
    end?.protocol === protocol &&
    end.identifier === identifier &&
    (end.local === null || end.local === local) &&
    end.remote !== null
      ? end.remote
      : null
  const others = links.flatMap((link) => {
    const remote = link.name === name ? null : overlaps(link.tunnel)
    return remote === null || from.some((prefix) => isWithin(remote, prefix)) ? [] : [{ other: link.name, remote }]
  })
  const [first] = others
  if (first === undefined) return undefined
  const what = `"from" of ${tunnelKindOf(tunnel).name(tunnel, tunnel.way)} leaves out ${first.remote}, which sends into the interface ${first.other}: what it sends would be dropped`
  return diagnostic('SENDERS_OVERLAP', what, `add ${others.map(({ remote }) => remote).join(', ')} to "from"`)
}

/** A table that was not read is left as it is. */
function warnOfUnread(tunnel: DesiredTunnel, { senderTables }: HostIndex): Diagnostic[] {
  if (tunnel.from.length === 0 || senderTables?.state !== 'unread') return []
  const { message, hint } = senderTables.reason
  const what = `who may send into ${tunnelKindOf(tunnel).name(tunnel, tunnel.way)} is not checked: ${message}`
  return [diagnostic('TABLE_UNREAD', what, hint, tunnel.origin)]
}
