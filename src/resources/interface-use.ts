import { isDeepStrictEqual } from 'node:util'
import type { HostIndex } from '../host/host-index.ts'
import type { Filter, Link, TunnelEnd } from '../host/snapshot.ts'
import type { TunnelSpec } from '../spec/sources/tunnel-spec.ts'
import {
  type InterfaceMark,
  mayBeTunnel,
  readCookie,
  readMark,
  readPortClass,
  readRingClass,
  tunnelName
} from './marks.ts'

/** Kinds of tunnels: a frame that enters one leaves the host inside another packet, and is not followed. */
export const tunnelKinds: ReadonlySet<string | null> = new Set([
  ...['vxlan', 'geneve', 'gre', 'gretap', 'erspan', 'ip6gre', 'ip6gretap', 'ip6erspan', 'ipip', 'sit', 'ip6tnl'],
  ...['vti', 'vti6', 'xfrm', 'wireguard', 'bareudp', 'gtp']
])

/** Whether the host uses a link. Set down, a link cuts that use off, and loses its addresses and routes for good. */
export function isInUse(host: HostIndex, link: Link): boolean {
  return (
    link.master !== null ||
    link.addresses.some(({ automatic }) => !automatic) ||
    host.routesOf(link).length > 0 ||
    host.uppersOf(link).length > 0
  )
}

/**
 * The names of the links whose routes have to be read: links that may be set down, because their marks say that they were
 * down before the first span, or are outputs; and bridges of spans that may be removed.
 *
 * @param stays whether a span with the bridge of that name is desired.
 */
export function routedLinks(
  links: readonly Link[],
  filters: readonly Filter[],
  stays: (bridge: string) => boolean
): readonly string[] {
  const aliases = links.flatMap((link) => {
    const mark = readMark(link)
    return mark === null ? [] : [{ name: link.name, mark }]
  })
  const wasDown = ({ before, managed }: InterfaceMark) => managed.has('up') && !before.has('up')
  const downByAlias = new Set(
    aliases.flatMap(({ mark }) => [...mark.interfaces].flatMap(([index, one]) => (wasDown(one) ? [index] : [])))
  )
  const downByCookie = new Set(
    filters.flatMap(({ device, mirror }) => {
      const cookie = readCookie(mirror?.cookie ?? null)
      return cookie && wasDown(cookie.source) ? [device] : []
    })
  )
  const outputs = new Set(
    filters.flatMap(({ device, classId }) => (readPortClass(classId)?.wasPort === false ? device : []))
  )
  const going = new Set(aliases.flatMap(({ name }) => (stays(name) ? [] : [name])))
  return links
    .filter(
      ({ name, index }) => going.has(name) || outputs.has(name) || downByAlias.has(index) || downByCookie.has(name)
    )
    .map(({ name }) => name)
}

/** The names of the links whose receive rings have to be read: marks say that spans manage these. */
export function ringedLinks(links: readonly Link[], filters: readonly Filter[]): readonly string[] {
  const byAlias = new Set(
    links.flatMap((link) =>
      [...(readMark(link)?.interfaces ?? [])].flatMap(([index, { ring }]) => (ring === undefined ? [] : [index]))
    )
  )
  const byClass = new Set(
    filters.flatMap(({ device, classId }) => (readRingClass(classId).ring === undefined ? [] : [device]))
  )
  return links.filter(({ name, index }) => byAlias.has(index) || byClass.has(name)).map(({ name }) => name)
}

/**
 * The names of the links of tunnels whose routes have to be read: those that a plan may remove, or make again.
 *
 * @param written the tunnels of the files.
 */
export function routedTunnels(
  links: readonly Link[],
  owners: readonly string[],
  written: readonly TunnelSpec[]
): readonly string[] {
  const ends = new Map(
    owners.flatMap((owner) =>
      written.map((one): [string, TunnelEnd] => [tunnelName(owner, one), { ...one, external: false, options: [] }])
    )
  )
  return links
    .filter((link) => mayBeTunnel(link, owners) && !isDeepStrictEqual(link.tunnel, ends.get(link.name)))
    .map(({ name }) => name)
}
