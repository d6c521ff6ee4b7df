import { type Diagnostic, diagnostic } from '../../errors.ts'
import { dockerBridge, label } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link } from '../../host/snapshot.ts'
import { memoized } from '../kind.ts'
import { bridgeMac, readMark, sealHandle } from '../marks.ts'
import { findBridgeSeal } from '../seal-commands.ts'

/** The bridge of a span, and its MAC address. Address and seal are made of the bridge's first name, and tell of it after another. */
type Bridged = Pick<Link, 'name' | 'mac'>

/** Finds the bridge of a span that is not called so any more, and has ports; undefined: there is none. */
export const findRenamed = memoized((host: HostIndex): ((span: Bridged) => Link | undefined) => {
  const bridges = host.links.filter((link) => hasPorts(link, host) && readMark(link) !== null)
  const byMac = new Map(bridges.map((link) => [link.mac, link]))
  const bySeal = new Map(bridges.map((link) => [findBridgeSeal(host, link.name)?.handle, link]))
  return ({ name, mac }) => {
    const found = byMac.get(mac) ?? bySeal.get(sealHandle(name))
    return found?.name === name ? undefined : found
  }
})

/** Why no bridge is made for a span: its bridge is there, under another name. Empty: it is not. */
export function explainIfMoved(bridge: Bridged, host: HostIndex): Diagnostic[] {
  const renamed = findRenamed(host)(bridge)
  return renamed === undefined ? [] : [explainRenamed(renamed, bridge.name, host)]
}

/** Whether a link is a bridge with ports. */
export const hasPorts = ({ name, bridge }: Link, host: HostIndex) => bridge !== null && host.membersOf(name).length > 0

/**
 * Why a bridge stays as it is that somebody has renamed; null: nobody has.
 *
 * @param bridges of spans that it may be, beside the live ones.
 */
export function explainIfRenamed(link: Link, bridges: readonly string[], host: HostIndex): Diagnostic | null {
  const owner = readMark(link)?.owner
  if (owner === undefined) return null
  const seal = findBridgeSeal(host, link.name)?.handle
  const isOf = (name: string) => link.mac === bridgeMac(owner, name) || seal === sealHandle(name)
  if (isOf(link.name)) return null
  const live = [
    ...host.networks.flatMap((network) => [network.labels[label.span], dockerBridge(network)]),
    ...host.links.flatMap(({ name, bridge }) => (bridge === null ? [] : name))
  ]
  const before = [...bridges, ...live].find((name) => name != null && isOf(name))
  return before == null && seal === undefined ? null : explainRenamed(link, before ?? null, host)
}

/**
 * Why a bridge that somebody has renamed stays as it is. Its ports are those of sensors that run: without the bridge, they would be
 * open.
 *
 * @param before the name that it had; null: nothing tells.
 */
function explainRenamed({ name }: Link, before: string | null, host: HostIndex): Diagnostic {
  const which = before === null ? 'the bridge of a span' : `the bridge ${before} of a span`
  const isTaken = before !== null && host.linkOf(before) !== undefined
  const first = isTaken ? `take the name ${before} off the interface that has it; then ` : ''
  // Before Linux 6.2, no link is renamed while it is up.
  const commands = [
    ['dev', name, 'down'],
    ['dev', name, 'name', before ?? 'NAME'],
    ['dev', before ?? 'NAME', 'up']
  ].map((words) => shellLine(['ip', 'link', 'set', ...words]))
  return diagnostic(
    'BRIDGE_RENAMED',
    `somebody has renamed ${which}, to ${name}: it stays as it is, and so do its sensors`,
    `${first}give it its name again: ${commands.join('; ')}`
  )
}
