import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { senderTableName } from '../../host/nftables/sender-table.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, TunnelEnd } from '../../host/snapshot.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import type { InterfaceMatch } from '../../spec/interfaces.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import { suggestSlips } from '../../spec/schema/did-you-mean.ts'
import { namesOf } from '../../spec/scope.ts'
import { isUnicast, type TunnelSpec, tunnelFamily } from '../../spec/sources/tunnel-spec.ts'
import type { Spec } from '../../spec/spec.ts'
import { isWithin } from '../../spec/values/ip-address.ts'
import type { DesiredTunnel, SourceId } from '../desired-state.ts'
import { servedBridge } from '../feeds/feeds.ts'
import { plannedTunnel } from '../kinds/tunnel.ts'
import { isTunnelName, readTableMark, tunnelName } from '../marks.ts'
import { firstTunnelName, isOwnTunnel, tunnelOwner } from '../ownership.ts'
import { findInterface, isMeant, matchOf } from './find-interface.ts'
import {
  directionAt,
  type HostSourceKind,
  hostHooks,
  nothingResolved,
  type SourceHook,
  waitForMirrors
} from './host-source-kind.ts'
import { giveNameBack, sayRenamed } from './renamed-link.ts'

/** A source that is a tunnel, of whatever protocol. */
type TunnelSourceSpec = Extract<SourceSpec, { readonly tunnel: TunnelSpec }>

/** What comes out of a tunnel that ends on this host, in a link which spanplan makes. */
export const tunnelSource: HostSourceKind<TunnelSourceSpec> = {
  needs: ({ tunnel, from }, spec) => ({
    devices: namesOf(spec).map((name) => tunnelName(name, tunnel)),
    tunnels: [tunnel],
    datagrams: [
      {
        ...tunnelKindOf(tunnel).datagram(tunnel),
        way: 'in',
        receiver: tunnel.group ?? tunnel.local,
        senders: tunnel.remote === null ? from : [tunnel.remote],
        interface: tunnel.interface
      }
    ],
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
    const made = findTunnelLink(written, spec, host)
    const name = made?.name ?? tunnelName(spec.name, written)
    const link = made ?? findRenamed(written, spec, host)
    const lacking = link === undefined ? explainLacking(written, host) : undefined
    if (lacking !== undefined) return { ...nothingResolved, waits: waitForMirrors(span, source, id, lacking) }
    const match = written.interface === null ? null : matchOf(spec, written.interface)
    const matched = match === null ? null : findInterface(match, host)
    if (matched !== null && !('code' in matched) && goingDown.has(matched.name)) {
      const going = diagnostic('INTERFACE_GOING_DOWN', `waits for ${matched.name}, which is going down`)
      return { ...nothingResolved, waits: waitForMirrors(span, source, id, going) }
    }
    // The kernel knows the interface under any name.
    const below = host.linkOf(link?.tunnel?.interface ?? null)
    const lost = matched !== null && 'code' in matched ? explainLost(matched, match, below) : undefined
    if (lost !== undefined && !(patient && below !== undefined)) {
      const missing = { ...lost, message: `waits for the interface ${written.interface}` }
      if (patient) return { ...nothingResolved, waits: waitForMirrors(span, source, id, missing) }
      return { ...nothingResolved, errors: [inSpan(lost)] }
    }
    const joined = matched === null ? null : 'code' in matched ? (below ?? null) : matched
    const tunnel: DesiredTunnel = {
      ...written,
      interface: joined?.name ?? null,
      name,
      way: 'in',
      from: source.from,
      item: source.id,
      origin
    }
    const others = host.links.filter((one) => one !== link && !isOwnTunnel(host, one))
    const found =
      (lost && { ...lost, message: `waits for the interface ${written.interface}` }) ??
      explainTaken(tunnel, spec, host) ??
      tunnelKindOf(tunnel).findObstacle?.(tunnel, others, 'in') ??
      explainLocal(tunnel, host) ??
      explainSenders(tunnel, host) ??
      explainTable(tunnel, spec, host) ??
      explainOverlap(tunnel, host)
    const problem = found === undefined ? null : { ...found, origin }
    const items = source.directions.map(
      (direction): SourceHook => ({
        source: id,
        serves: null,
        device: link === undefined ? { name, planned: plannedTunnel } : { name: link.name, link },
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
      tunnels: [{ ...tunnel, name: link?.name ?? name }],
      warnings: [...warnOfUnread(tunnel, host), ...(tunnelKindOf(tunnel).findOverlaps?.(tunnel, others) ?? [])].map(
        inSpan
      ),
      errors: problem === null || patient ? [] : [inSpan(problem)]
    }
  },
  recall: () => [],
  identify({ device, tcHook }, host) {
    const link = host.linkOf(device)
    if (link?.tunnel === undefined || !isOwnTunnel(host, link)) return null
    const source: SourceId = [tunnelKindOf(link.tunnel).name(link.tunnel, 'in')]
    return { source, serves: null, direction: directionAt(hostHooks, tcHook) }
  }
}

/**
 * The link of a tunnel: of the name that it is made with; or one that was made under a former name of the file, and keeps the name that it
 * has of that: before Linux 6.2, no link is renamed while it is up. When that name is forgotten, what the link ends tells.
 */
export function findTunnelLink(tunnel: TunnelSpec, spec: Spec, host: HostIndex): Link | undefined {
  const [own, ...former] = namesOf(spec).map((name) => host.linkOf(tunnelName(name, tunnel)))
  const isOurs = (link: Link) => namesOf(spec).some((name) => tunnelOwner(host, link, name) === name)
  const isMade = (link: Link) =>
    isTunnelName(link.name, tunnel) && isSameTunnel(link.tunnel, tunnel) && tunnelOwner(host, link) === spec.name
  return own ?? former.find((link) => link !== undefined && isOurs(link)) ?? host.links.find(isMade)
}

/** The link that was made for a tunnel, and that somebody has renamed. */
function findRenamed(tunnel: TunnelSpec, spec: Spec, host: HostIndex): Link | undefined {
  return host.links.find((link) =>
    namesOf(spec).some(
      (name) => tunnelOwner(host, link) === name && firstTunnelName(host, link, name) === tunnelName(name, tunnel)
    )
  )
}

/** Whether the kernel has one link for both. */
function isSameTunnel(end: TunnelEnd | undefined, tunnel: TunnelSpec): boolean {
  const identityOf = (one: TunnelSpec) => [one.protocol, tunnelFamily(one), ...tunnelKindOf(tunnel).identity(one)]
  return end !== undefined && !end.external && isDeepStrictEqual(identityOf(end), identityOf(tunnel))
}

/** Why an interface is missing: the one that the tunnel was made with may have another name now. */
function explainLost(missing: Diagnostic, match: InterfaceMatch | null, now: Link | undefined): Diagnostic {
  if (now === undefined || match === null || !('name' in match)) return missing
  return { ...missing, hint: sayRenamed(now, match.name) }
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

/** The kernel makes no link of this kind. */
export function explainLacking(tunnel: TunnelSpec, { lacking }: HostIndex): Diagnostic | undefined {
  const { modules } = tunnelKindOf(tunnel)
  const found = lacking?.find(({ name }) => modules.some((one) => one === name))
  return found && diagnostic('MODULE_MISSING', found.message, found.command)
}

/** Why the kernel does not make the link. */
export function explainTaken(tunnel: DesiredTunnel, spec: Spec, host: HostIndex): Diagnostic | undefined {
  const kind = tunnelKindOf(tunnel)
  const other = host.links.find((one) => one.name !== tunnel.name && isSameTunnel(one.tunnel, tunnel))
  if (other === undefined) return undefined
  const taken = (whose: string, hint: string) => {
    const where = `the interface ${other.name}${whose}`
    return diagnostic(
      'TUNNEL_TAKEN',
      `${kind.name(tunnel, tunnel.way)} already ends in ${where}: the kernel has one for both`,
      hint
    )
  }
  const owner = tunnelOwner(host, other, '')
  if (owner !== null && namesOf(spec).includes(owner)) {
    return taken(', which spanplan has made, and somebody has renamed', giveNameBack(other, tunnel.name))
  }
  const isOutput = servedBridge(host, other) !== null
  const copy =
    tunnel.way === 'out'
      ? 'have the output use another id, key or session'
      : isOutput
        ? 'that is an output there: have the senders use another id, key or session'
        : `copy from that interface: "interface: ${other.name}"`
  if (owner !== null) return taken(`, which belongs to another spans.yaml (name: ${owner})`, copy)
  return taken('', `${copy}; or, if nothing needs it: ${shellLine(['ip', 'link', 'del', 'dev', other.name])}`)
}

/** The kernel makes the link all the same, and nothing comes. */
export function explainLocal(tunnel: DesiredTunnel, { links }: HostIndex): Diagnostic | undefined {
  const { local } = tunnel
  const all = links.flatMap(({ addresses }) => addresses).map(({ address }) => address)
  if (local === null || all.includes(local)) return undefined
  const there = all.filter(isUnicast)
  const message = `the host has no address ${local}, which is "local" of ${tunnelKindOf(tunnel).name(tunnel, tunnel.way)}`
  return diagnostic(
    'ADDRESS_MISSING',
    message,
    suggestSlips(local, there) ?? `there are: ${there.join(', ') || 'none'}`
  )
}

/** Nothing but nftables can tell who has sent what comes out of the link, and touch nothing of others. */
function explainSenders(tunnel: DesiredTunnel, { senderTables }: HostIndex): Diagnostic | undefined {
  if (tunnel.from.length === 0 || senderTables?.state !== 'unusable') return undefined
  const { message, hint } = senderTables.reason
  const what = `"from" of ${tunnelKindOf(tunnel).name(tunnel, tunnel.way)} needs nftables, which this host does not have: ${message}`
  return diagnostic('SENDERS_UNSUPPORTED', what, hint ?? 'install nftables, or take "from" out')
}

/** The table of somebody else has the name of the one that chooses the senders. */
function explainTable({ name, from }: DesiredTunnel, spec: Spec, { senderTables }: HostIndex) {
  const tables = senderTables?.state === 'usable' && from.length > 0 ? senderTables.tables : []
  const table = tables.find((one) => one.name === senderTableName(name))
  if (table === undefined || namesOf(spec).includes(readTableMark(table) ?? '')) return undefined
  const command = (verb: string) => shellLine(['nft', verb, 'table', 'inet', table.name])
  return diagnostic(
    'TABLE_FOREIGN',
    `an nftables table ${table.name} already exists, and spanplan did not create it`,
    `see what it does with: ${command('list')}; if nothing needs it: ${command('delete')}`
  )
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
