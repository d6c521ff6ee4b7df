import type { HostIndex } from '../host/host-index.ts'
import type { Link } from '../host/snapshot.ts'
import { servedBridge } from '../resources/feeds/feeds.ts'
import { tunnelOwner } from '../resources/ownership.ts'
import { leaveOut } from '../spec/outputs/left-out-packets.ts'
import type { OutputByKind } from '../spec/outputs/registry.ts'

/** The output that spanplan has made a link for; null: it has made none. */
export function findSent(host: HostIndex, link: Link | undefined): OutputByKind | null {
  if (link?.tunnel === undefined || tunnelOwner(host, link, '') === null) return null
  const { protocol, remote } = link.tunnel
  return remote === null ? null : { kind: protocol, tunnel: { ...link.tunnel, remote } }
}

/**
 * What the spans of a name leave out of what they copy where they send it out by tunnels: all that the tunnels of this name send; null: it
 * has no such tunnel.
 */
export function findLeftOut(host: HostIndex, owner: string): string | null {
  const links = host.links.filter((link) => servedBridge(host, link) !== null && tunnelOwner(host, link, '') === owner)
  return leaveOut(links.flatMap((link) => findSent(host, link) ?? [])) || null
}

/** What {@link findLeftOut} gives for all names: to be compiled. */
export function findAllLeftOut(host: HostIndex): string[] {
  const owners = new Set(host.links.flatMap((link) => tunnelOwner(host, link, '') ?? []))
  return [...owners].flatMap((owner) => findLeftOut(host, owner) ?? [])
}
