import type { Link } from '../host/snapshot.ts'
import { keysOf, tableOf } from '../keys.ts'
import { type Step, setSysctl } from './kind.ts'
import { type PortOrigin, sealHandle, writePortClass } from './marks.ts'
import { type Seal, sealCommands } from './seal-commands.ts'
import {
  columnOf,
  onOff,
  portBits,
  portSettings,
  type readPort,
  smallestIpv6Mtu,
  switchIpv6,
  switchMacEntry,
  switchWireSize
} from './settings.ts'

/** The steps that seal a port of a span's bridge, set it, and give it back, whoever has attached it. */

/** What steps set of a port. */
export interface PortState extends Readonly<ReturnType<typeof readPort>> {
  readonly id: string
  /** The bridge that it is a port of, or another link that it belongs to; null: none. */
  readonly master: string | null
  /** Whether the link is a port of a bridge now. */
  readonly attached: boolean
  readonly mac: string
  /** What comes from the port is dropped. The filter is also the port's mark. */
  readonly seal: Seal
  /** The handle of the filter that seals the port. */
  readonly handle: number
  /** What the port was like before, to be given back. */
  readonly original: PortOrigin
}

/** A port, and what else has to be known of it to give it back. */
export interface LivePort extends PortState {
  /** The host uses the link: set down, it would lose addresses. */
  readonly inUse: boolean
  /** The link has a carrier: without one, its state as a port cannot be set. */
  readonly carrier: boolean
  /** The port's clsact holds foreign filters. */
  readonly qdiscInUse: boolean
  /** The link stays a port of its bridge, which is given back or is no span's: what was set of the port is given back, too. */
  readonly bridgeStays: boolean
}

/** The settings with which the kernel and Docker make a port. */
export const usualPort: Omit<PortOrigin, 'mtu'> = {
  ...tableOf(portBits.map(([setting]) => [setting, columnOf(portSettings, 'usual').some(([on]) => on === setting)])),
  wasPort: true
}

/**
 * The steps that put an interface of our own on the bridge of a span, as a plan wants a port to be. Whatever happens to a span's port
 * happens to this one: no mark tells it from the others. It is isolated, also where the span's sensors are not.
 */
export function joinSpan(
  { name, mac, mtu }: Pick<Link, 'name' | 'mac' | 'mtu'>,
  bridge: string,
  isSealed: boolean
): readonly Step[] {
  return joinSteps({
    ...usualPort,
    id: name,
    master: bridge,
    attached: true,
    mac,
    mtu,
    isolated: true,
    learning: false,
    ipv6: false,
    ownMacEntry: false,
    wireSize: false,
    forwarding: true,
    seal: isSealed ? 'sealed' : 'marked',
    handle: sealHandle(name),
    original: { ...usualPort, mtu, isolated: true }
  })
}

/** The settings that the kernel gives each link that joins a bridge. */
const freshPort = { isolated: false, learning: true, flooding: true, ownMacEntry: true } as const

/**
 * The steps that put a link on a bridge. It is sealed before, and sends nothing of its own any more.
 *
 * @param before the link as it is. By default, it is as the kernel and Docker make a port.
 */
export function joinSteps(
  after: PortState,
  before: PortState = { ...after, ...usualPort, mtu: 0, seal: 'none' }
): Step[] {
  const joining = step(after.id, ['ip', 'link', 'set', 'dev', after.id, 'master', after.master ?? ''])
  const changed = (one: PortState) => new Set(keysOf(portSettings).filter((key) => one[key] !== after[key]))
  const quiet = new Set([...changed(before)].filter((key) => !(key in freshPort) && key !== 'up'))
  const fresh = { ...before, ...freshPort, mtu: after.mtu, ipv6: after.ipv6 }
  return [
    // Only what is on a bridge has a state there.
    ...updateSteps(
      before,
      { ...after, forwarding: true },
      new Set(['seal', ...quiet].filter((key) => key !== 'forwarding'))
    ),
    ...(after.attached ? [joining] : []),
    // Whatever it was before: nobody sees an interface that is down.
    ...updateSteps(fresh, after, changed(fresh).add('up'))
  ]
}

/** Settings that only a port has are gone when the link leaves the bridge. */
export function giveBackSteps(before: LivePort): Step[] {
  const { mtu, up, ipv6, clsact, connection: _, wasPort: __, ...flags } = before.original
  const seal = clsact || before.qdiscInUse ? 'qdisc' : 'none'
  const after: LivePort = {
    ...before,
    // On another's bridge, a run that began before the port was put there may have set it.
    ...(before.bridgeStays && (before.attached || !before.learning) && flags),
    mtu,
    up: up || (before.up && before.inUse),
    // Without the bridge, it is no port any more.
    attached: before.attached && before.bridgeStays,
    forwarding: before.forwarding || (before.bridgeStays && before.carrier),
    ipv6,
    seal: before.seal === 'none' ? 'none' : seal
  }
  const changed = [...keysOf(portSettings), 'seal' as const].filter((key) => before[key] !== after[key])
  return updateSteps(before, after, new Set(changed), 'give back')
}

/**
 * The mark is written before the port is changed, and removed after it is given back. IPv6 goes off before the port is up, and comes
 * back after: a port with IPv6 sends of its own.
 */
export function updateSteps(before: PortState, after: PortState, changed: ReadonlySet<string>, verb = 'set'): Step[] {
  const { id } = after
  const options = columnOf(portSettings, 'options')
    .filter(([setting]) => changed.has(setting))
    .flatMap(([setting, words]) => words.map((option) => [option, onOff(after[setting] === true)]))
    .filter(([option]) => option !== 'bcast_flood' || !after.lacksBroadcast)
    .flat()
  const set = ['ip', 'link', 'set', 'dev', id] as const
  const entry = switchMacEntry(id, before.mac, 'master', after.ownMacEntry)
  // Once the MTU is large enough, IPv6 comes back with the kernel's defaults.
  const wakes = before.mtu < smallestIpv6Mtu && !after.ipv6
  const setsIpv6 = after.mtu >= smallestIpv6Mtu && (changed.has('ipv6') || wakes)
  const ipv6 = setsIpv6 ? [setSysctl(`${verb} the port ${id}`, switchIpv6(id, after.ipv6))] : []
  const place = { handle: after.handle, classId: writePortClass(after.original) }
  const writesMark = changed.has('seal') || changed.has('known')
  const seal = writesMark ? sealCommands(id, before.seal, after.seal, place).map((argv) => step(id, argv, verb)) : []
  const marks = after.seal === 'sealed' || after.seal === 'marked'
  return [
    ...(marks ? seal : []),
    ...(changed.has('mtu') ? [step(id, [...set, 'mtu', String(after.mtu)], verb)] : []),
    ...(changed.has('wireSize') ? [step(id, switchWireSize(id, after.wireSize), verb)] : []),
    ...(options.length > 0 ? [step(id, [...set, 'type', 'bridge_slave', ...options], verb)] : []),
    ...(after.ipv6 ? [] : ipv6),
    ...(changed.has('up') ? [step(id, [...set, after.up ? 'up' : 'down'], verb)] : []),
    ...(after.ipv6 ? ipv6 : []),
    ...(changed.has('ownMacEntry') ? [step(id, entry, verb)] : []),
    // As the last: what is set of a port by "ip link set" makes it forward again (measured, Linux 6.18). One that has no carrier yet is left
    // to the kernel, which has it forward as soon as it has one.
    ...(changed.has('forwarding') ||
    (changed.size > 0 && after.attached && !after.forwarding && after.flooding !== true)
      ? [step(id, ['bridge', 'link', 'set', 'dev', id, 'state', after.forwarding ? '3' : '0'], verb)]
      : []),
    ...(marks ? [] : seal)
  ]
}

function step(device: string, argv: readonly [string, ...string[]], verb = 'set'): Step {
  return { summary: `${verb} the port ${device}`, argv }
}
