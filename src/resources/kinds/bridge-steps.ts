import type { BridgeOptions } from '../../host/snapshot.ts'
import type { DesiredSpan } from '../desired-state.ts'
import { deleteLink, type Resource, type Step, setSysctl } from '../kind.ts'
import { type BridgeOrigin, bridgeMac, smallestMtu } from '../marks.ts'
import { type Seal, sealCommands } from '../seal-commands.ts'
import {
  bridgeSettings,
  columnOf,
  type InterfaceSetting,
  noOptions,
  onOff,
  type readBridge,
  smallestIpv6Mtu,
  switchMacEntry,
  wireOffloads
} from '../settings.ts'

/** The bridge of a span. It learns nothing, so it sends every frame to every port. */
export interface Bridge extends Resource, Readonly<ReturnType<typeof readBridge>> {
  readonly kind: 'bridge'
  readonly isBridge: boolean
  /** Whether the span has a Docker network, or may have: the kernel alone does not tell. */
  readonly hasNetwork: boolean
  /** The alias: the owner, what the interfaces were like before, and what the bridge was like before if it was adopted. */
  readonly mark: string
  /** The interfaces that the mark describes. */
  readonly remembered: readonly string[]
  readonly ipv6: boolean
  /** Whether the bridge has the kernel's link-local address. It gets one with its first carrier. */
  readonly linkLocal: boolean
  /** With all of them off, frames leave the bridge as on a wire: segmented, and with checksums. */
  readonly offloads: Readonly<Record<keyof typeof wireOffloads, boolean>>
  /** How far the bridge is sealed: what enters it is dropped. */
  readonly seal: Seal
  /** The bridge's clsact holds foreign filters. */
  readonly qdiscInUse: boolean
  /** Why the bridge cannot be sealed. */
  readonly obstacle: string | null
  /** The host uses the bridge: set down, it would cut that use off. */
  readonly inUse: boolean
  /** What the bridge was like before it was adopted; null: it was not adopted. */
  readonly original: BridgeOrigin | null
}

/** The commands that remove a bridge, or give it back. */
export function removeBridge(before: Bridge): Step[] {
  if (before.original === null) return [deleteLink(`remove the bridge ${before.id}`, before.id)]
  return updateBridge(before, giveBack(before, before.original), 'give back')
}

/** The address of a bridge that has lost its last port. Nobody can set it: br_set_mac_address() in net/bridge/br_device.c. */
const noAddress = '00:00:00:00:00:00'

/**
 * The address that a bridge gets back, by what it was and what it is now. In the place of the one that cannot be set, it is one that no
 * owner's bridge has: the address of an owner's bridge is a mark, with which the bridge would be spanplan's to remove.
 */
export function addressBack({ id, mac }: Pick<Bridge, 'id' | 'mac'>, now: string | undefined): string {
  return mac === noAddress && now !== noAddress ? bridgeMac('', id) : mac
}

/** The bridge as it was before it was adopted. A clsact that spanplan has added goes too, unless it holds foreign filters. */
function giveBack(before: Bridge, { alias, up, tx, tso, gso, clsact, ...settings }: BridgeOrigin): Bridge {
  return {
    ...before,
    ...settings,
    mac: addressBack({ id: before.id, mac: settings.mac }, before.mac),
    mark: alias,
    up: up || before.inUse,
    offloads: { tx, tso, gso },
    seal: clsact || before.qdiscInUse ? 'qdisc' : 'none'
  }
}

/** The offloads of a bridge as the kernel makes it. */
export const everyOffload: Bridge['offloads'] = { tx: true, tso: true, gso: true }

/** The settings that are on at the bridge of a span, when it is made, as those of a device to copy from. */
export function planBridge({ sealed }: Pick<DesiredSpan, 'sealed'>): ReadonlySet<InterfaceSetting> {
  return new Set(['up', 'arp', 'gro', 'host-receives', 'host-sends', ...(sealed ? (['clsact'] as const) : [])])
}

/** The commands that create a bridge. */
export function createBridge(after: Bridge): Step[] {
  // A bridge keeps an MTU only after it was set to a different value. Else the MTU follows the first port.
  const mtu = after.mtu > smallestMtu ? after.mtu - 1 : after.mtu + 1
  const made: Bridge = {
    ...after,
    mtu,
    mark: '',
    up: false,
    ...noOptions,
    ipv6: true,
    ownMacEntry: true,
    offloads: everyOffload,
    seal: 'none'
  }
  const options = ['ageing_time', '0', 'stp_state', '0', 'forward_delay', '0', 'mcast_snooping', '0']
  return [
    step(after, 'create', [
      ...(['ip', 'link', 'add', 'dev', after.id, 'address', after.mac, 'mtu', String(mtu)] as const),
      ...['type', 'bridge', ...options]
    ]),
    ...updateBridge(made, after)
  ]
}

/** The commands that change a bridge. */
export function updateBridge(then: Bridge, after: Bridge, verb = 'set'): Step[] {
  const device = after.id
  // Once the MTU is large enough, IPv6 comes back with the kernel's defaults. Below, there is nothing to set.
  const wakes = then.mtu < smallestIpv6Mtu && after.mtu >= smallestIpv6Mtu
  const before = wakes ? { ...then, ipv6: true } : then
  const differs = (field: keyof Bridge) => before[field] !== after[field]
  const setsIpv6 = differs('ipv6') && after.mtu >= smallestIpv6Mtu
  // For a bridge that is up, ip sets the mode for its next start only. sysctl makes the address at once.
  const wakesIpv6 = setsIpv6 && after.ipv6 && after.linkLocal && before.up && after.up
  const makesAddress = { key: `net/ipv6/conf/${device}/addr_gen_mode`, value: 0 }
  const generation = setsIpv6 && !wakesIpv6 ? ['addrgenmode', after.ipv6 ? 'eui64' : 'none'] : []
  const link = [
    ...(differs('mark') ? ['alias', after.mark] : []),
    ...(differs('mac') ? ['address', after.mac] : []),
    ...(differs('mtu') ? ['mtu', String(after.mtu)] : []),
    ...(wakes ? [] : generation)
  ]
  const optionsOf = (settings: readonly (keyof BridgeOptions)[]) => {
    const words = settings.filter(differs).flatMap((setting) => {
      const { option, argument } = bridgeSettings[setting]
      return [option, argument(after[setting])]
    })
    return when(words.length > 0, step(after, verb, [...set, 'type', 'bridge', ...words]))
  }
  const set = ['ip', 'link', 'set', 'dev', device] as const
  const stp = optionsOf(['stp'])
  const offloads = columnOf(wireOffloads, 'bit').flatMap(([name]) =>
    before.offloads[name] === after.offloads[name] ? [] : [name, onOff(after.offloads[name])]
  )
  const entry = switchMacEntry(device, after.mac, 'self', after.ownMacEntry)
  // With a new MAC address, the bridge has added an entry itself.
  const hasEntry = before.ownMacEntry || differs('mac')
  const seal = differs('seal') ? sealCommands(device, before.seal, after.seal) : []
  return [
    ...when(link.length > 0, step(after, verb, [...set, ...link])),
    ...when(wakes && generation.length > 0, step(after, verb, [...set, ...generation])),
    // STP goes off before the delay is set, and on after, in a command of its own: with STP, a delay of 0 is out of range.
    ...(after.stp ? [] : stp),
    ...optionsOf(columnOf(bridgeSettings, 'option').flatMap(([setting]) => (setting === 'stp' ? [] : [setting]))),
    ...(after.stp ? stp : []),
    // With an ageing time of 0, entries that the bridge has learned would stay for good.
    ...when(differs('ageing') && after.ageing === 0, step(after, 'forget', [...set, 'type', 'bridge', 'fdb_flush'])),
    ...when(setsIpv6 && !after.ipv6 && before.up, step(after, 'clear', ['ip', '-6', 'addr', 'flush', 'dev', device])),
    ...when(wakesIpv6, setSysctl(`${verb} the bridge ${device}`, makesAddress)),
    ...when(differs('up'), step(after, after.up ? 'start' : 'stop', [...set, after.up ? 'up' : 'down'])),
    ...when(hasEntry !== after.ownMacEntry, step(after, 'open', entry)),
    ...when(offloads.length > 0, step(after, verb, ['ethtool', '-K', device, ...offloads])),
    ...seal.map((argv) => step(after, after.seal === 'sealed' ? 'seal' : 'unseal', argv))
  ]
}

/** A step that is needed only where this is so. */
const when = (isSo: boolean, step: Step): readonly Step[] => (isSo ? [step] : [])

function step(resource: Bridge, verb: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `${verb} the bridge ${resource.id}`, argv }
}
