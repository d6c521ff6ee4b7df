import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, Way } from '../../host/snapshot.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import type { OutputSpec } from '../../spec/items/output-item.ts'
import { outputSummary, takesPackets } from '../../spec/outputs/registry.ts'
import { namesOf } from '../../spec/scope.ts'
import { type TunnelSpec, tunnelFamily } from '../../spec/sources/tunnel-spec.ts'
import type { Spec } from '../../spec/spec.ts'
import type { DesiredTunnel } from '../desired-state.ts'
import { tunnelKinds } from '../interface-use.ts'
import { tunnelName } from '../marks.ts'
import { isOwnTunnel, tunnelOwner } from '../ownership.ts'
import { nothingResolved } from '../sources/host-source-kind.ts'
import { explainLacking, explainLocal, explainTaken, findTunnelLink } from '../sources/tunnel-source.ts'
import { waitForDocker } from '../unread.ts'
import { explainUse } from './check-output.ts'
import { type HostOutputKind, waitForOutput } from './host-output-kind.ts'

/** An output that is a tunnel, of whatever protocol. */
type TunnelOutputSpec = Extract<OutputSpec, { readonly tunnel: TunnelSpec }>

/** A tunnel to another host, in a link which spanplan makes. */
export const tunnelOutput: HostOutputKind<TunnelOutputSpec> = {
  devices: ({ tunnel }, spec) => namesOf(spec).map((name) => tunnelName(name, tunnel)),
  modules: ({ tunnel }) => tunnelKindOf(tunnel).modules,
  remotes: ({ tunnel: { remote, local } }) => [{ remote, local }],
  datagrams: ({ tunnel }) => [
    {
      ...tunnelKindOf(tunnel).datagram(tunnel),
      way: 'out',
      receiver: tunnel.remote,
      senders: tunnel.local === null ? [] : [tunnel.local],
      interface: null
    }
  ],
  isDevice: () => false,
  resolve(output, span, { spec, host, patient }) {
    const { tunnel: written, id: item, origin } = output
    const { remote } = written
    const kind = tunnelKindOf(written)
    const device = findTunnelLink(written, spec, host)?.name ?? tunnelName(spec.name, written)
    const name = kind.name(written, 'out')
    const tunnel: DesiredTunnel = { ...written, name: device, way: 'out', from: [], item, origin }
    const wait = (found: Diagnostic) => [waitForOutput(span.name, name, output, found)]
    const lacking = host.linkOf(device) === undefined ? explainLacking(written, host) : undefined
    if (lacking !== undefined) return { ...nothingResolved, waits: wait(lacking) }
    const problem =
      explainTaken(tunnel, spec, host) ??
      kind.findObstacle?.(tunnel, host.links, 'out') ??
      explainRobbed(output, spec, host) ??
      explainLocal(tunnel, host)
    if (problem !== undefined) {
      if (patient) return { ...nothingResolved, waits: wait(problem), untouched: [device] }
      return { ...nothingResolved, errors: [{ ...problem, message: `span ${span.name}: ${problem.message}`, origin }] }
    }
    const way = host.ways?.find((one) => one.remote === remote && one.local === written.local)
    if (way?.device === null) {
      const missing = diagnostic('REMOTE_UNREACHABLE', `waits for a route to ${remote}`, `see: ip route get ${remote}`)
      // A route may go and come again: what is there stays.
      const isThere = host.linkOf(device) !== undefined
      return {
        ...nothingResolved,
        waits: wait(missing),
        ...(isThere && { items: [{ isPort: false, device, name, cut: 'no_route', item, origin }], tunnels: [tunnel] })
      }
    }
    const nobody = explainRemote(remote, name, way, host)
    if (nobody !== undefined) {
      return patient
        ? { ...nothingResolved, waits: wait(nobody) }
        : { ...nothingResolved, errors: [{ ...nobody, message: `span ${span.name}: ${nobody.message}`, origin }] }
    }
    const below = host.linkOf(way?.device ?? null)
    if (mayBeDockers(below, host)) return { ...nothingResolved, waits: wait(waitForDocker()), untouched: [device] }
    const mtu = way?.mtu ?? below?.mtu
    const family = tunnelFamily(written)
    const fragments = family === 'inet'
    const added = ipBytes[family] + kind.headerBytes(written)
    const carried =
      mtu === undefined
        ? {}
        : { below: { device: below?.name ?? null, mtu, added, fragments, inside: carrierOf(below, host) } }
    // The kernel keeps the route, and loses what goes there.
    const cut = below?.carrier === false ? { cut: 'underlay_down' as const } : {}
    const resolved = {
      ...nothingResolved,
      items: [{ isPort: false, device, name, ...carried, ...cut, item, origin }],
      tunnels: [tunnel]
    }
    const link = host.linkOf(device)
    const use = link && isOwnTunnel(host, link) ? explainUse(link, name, host) : undefined
    if (use === undefined) return resolved
    // What somebody does to the link of an output does not open it.
    return patient ? { ...resolved, waits: wait(use) } : { ...nothingResolved, errors: [{ ...use, origin }] }
  }
}

/** What another tunnel of the host would not get any more. Of those of this file, the file has been checked. */
function explainRobbed(output: TunnelOutputSpec, spec: Spec, host: HostIndex): Diagnostic | undefined {
  const { tunnel } = output
  const robbed = host.links.find((link) => {
    const [end, owner] = [link.tunnel, tunnelOwner(host, link, ...namesOf(spec))]
    if (end === undefined || !link.up || (owner !== null && namesOf(spec).includes(owner))) return false
    // Outputs get nothing, so another name's lose nothing.
    if (owner !== null && end.remote !== null) return false
    return takesPackets(output, end.external ? { ...end, identifier: tunnel.identifier } : end)
  })
  if (robbed === undefined) return undefined
  const name = tunnelKindOf(tunnel).name(tunnel, 'out')
  return diagnostic(
    'TUNNEL_TAKEN',
    `${name} would take what ${tunnel.remote} sends to the interface ${robbed.name}, which would not get it any more`,
    `use another ${outputSummary(output, () => undefined).apart}; or, if nothing needs ${robbed.name}: ${shellLine(['ip', 'link', 'del', 'dev', robbed.name])}`
  )
}

/** Bytes: the headers of IP (RFC 791, RFC 8200). */
const ipBytes = { inet: 20, inet6: 40 } as const

/** A link of this host that puts packets into others, or hands them to containers, which may do that. */
function carrierOf(link: Link | undefined, host: HostIndex): string | null {
  if (link === undefined) return null
  const isTunnel = tunnelKinds.has(link.kind) || link.kind === 'tun' || link.type !== 'ether'
  return isTunnel || host.networksOn(link.name).length > 0 ? link.name : null
}

/** Whether a bridge may be that of a Docker network that nobody has read: one that has a port of the host's hardware is none. */
function mayBeDockers(link: Link | undefined, host: HostIndex): boolean {
  if (host.docker.state === 'read' || link === undefined || link.bridge === null) return false
  return host.membersOf(link.name).every(({ kind }) => kind === 'veth')
}

/** Why an address is not that of one other host. */
function explainRemote(
  remote: string,
  name: string,
  way: Way | undefined,
  { links }: HostIndex
): Diagnostic | undefined {
  const which = `${remote}, the "remote" of ${name}`
  const isOwn = links.some(({ addresses }) => addresses.some(({ address }) => address === remote))
  if (isOwn) return diagnostic('REMOTE_OWN', `${which}, is an address of this host`, undefined)
  if (way?.broadcast === undefined) return undefined
  return diagnostic('REMOTE_BROADCAST', `${which}, is the broadcast address of ${way.device}`, undefined)
}
