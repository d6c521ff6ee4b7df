import type { Argv } from '../host/exec.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { BridgeOptions, Filter, Link, OffloadName, PortOptions, TcHook } from '../host/snapshot.ts'
import { closingHandle, closingPref, dropProgram } from '../host/tc-conventions.ts'
import { deleteFilter, writeDirectAction } from '../host/write-filters.ts'

/**
 * The settings that spanplan switches, a table for each kind of link: the words of a setting in a plan, how it is read, what sets it,
 * and its bit in the mark that says what the link was like before. Live marks have these bits: a new setting gets a new one.
 */

/** A switch in words. */
export const onOff = (value: boolean): string => (value ? 'on' : 'off')

/** The state of an interface in words. */
const upDown = (up: boolean): string => (up ? 'up' : 'down')

/** A fact in words. */
export const yesNo = (value: boolean): string => (value ? 'yes' : 'no')

const inSeconds = (hundredths: number): string => String(hundredths / 100)
const decimal = (value: number | boolean): string => String(Number(value))
const hexadecimal = (value: number | boolean): string => `0x${Number(value).toString(16)}`

/** A flag that ip knows by this word. */
const ofFlag = <Flag extends 'promiscuous' | 'arp'>(flag: Flag, word: string) =>
  ({ field: flag, words: onOff, read: (link: Link) => link[flag], ip: (on: boolean) => [word, onOff(on)] }) as const

const ofOffload = <Name extends OffloadName>(offload: Name) =>
  ({ offload, words: onOff, read: ({ offloads }: Link) => offloads[offload]?.active === true }) as const

const ofClosing = <Hook extends TcHook>(tcHook: Hook) => {
  const read = ({ name }: Link, host: HostIndex) => !host.filtersAt(name, tcHook).some(isClosing)
  return { tcHook, words: yesNo, closes: true, read } as const
}

const state = { label: 'state', words: upDown } as const
const ipv6 = { label: 'IPv6', words: onOff } as const
const ownMacEntry = { label: 'keeps frames to its own address', words: yesNo } as const
const mtu = { label: 'mtu', words: String } as const

/**
 * The settings of an interface that traffic is copied from. `field` is the name in a plan; `ip`, `offload` and `tcHook` say what sets
 * it: words of `ip link set`, a feature of ethtool, or a filter at a hook. A span that manages a setting switches it off, unless
 * the setting is `wanted`, as each span needs it.
 */
export const sourceSettings = {
  up: { ...state, bit: 0, field: 'up', read: (link: Link) => link.up, wanted: true, ip: (on: boolean) => [upDown(on)] },
  promiscuous: { ...ofFlag('promiscuous', 'promisc'), bit: 1, label: 'promiscuous', wanted: true },
  arp: { ...ofFlag('arp', 'arp'), bit: 2, label: 'ARP' },
  ipv6: { ...ipv6, bit: 3, field: 'ipv6', read: (link: Link) => link.ipv6 },
  gro: { ...ofOffload('gro'), bit: 4, field: 'gro', label: 'GRO' },
  'rx-gro-hw': { ...ofOffload('rx-gro-hw'), bit: 5, field: 'hardwareGro', label: 'hardware GRO' },
  lro: { ...ofOffload('lro'), bit: 6, field: 'lro', label: 'LRO' },
  'host-receives': { ...ofClosing('ingress'), bit: 8, field: 'hostReceives', label: 'the host receives' },
  'host-sends': { ...ofClosing('egress'), bit: 9, field: 'hostSends', label: 'the host sends' }
} as const

/** All settings of an interface that a mark describes. */
export const interfaceSettings = {
  ...sourceSettings,
  clsact: { bit: 7, read: ({ name }: Link, host: HostIndex) => host.hasQdisc(name, 'clsact') }
} as const

/** Their bits in a mark. */
export const interfaceBits = columnOf(interfaceSettings, 'bit')

/** The settings that a span manages on every interface that it copies from. */
export const everyInterfaceSettings = columnOf(sourceSettings, 'wanted').map(([setting]) => setting)

/** The settings that a span manages on a dedicated interface, besides those that close the interface. */
export const dedicatedInterfaceSettings = columnOf(sourceSettings, 'bit').flatMap(([setting]) =>
  'tcHook' in sourceSettings[setting] ? [] : [setting]
)

/** A setting of the interface itself. */
export type SourceSetting = keyof typeof sourceSettings

/** One of the settings of an interface. */
export type InterfaceSetting = keyof typeof interfaceSettings

/** The settings of a bridge that are one value each, with the option of ip's type `bridge`. Times are in hundredths of a second. */
export const bridgeSettings = {
  mac: { label: 'address', words: String },
  mtu,
  up: { ...state, bit: 0 },
  ageing: { label: 'ageing', words: inSeconds, option: 'ageing_time', argument: decimal },
  forwardDelay: { label: 'forward delay', words: inSeconds, option: 'forward_delay', argument: decimal },
  stp: { bit: 1, label: 'spanning tree', words: onOff, option: 'stp_state', argument: decimal },
  snooping: { bit: 2, label: 'multicast snooping', words: onOff, option: 'mcast_snooping', argument: decimal },
  vlanFiltering: { bit: 3, label: 'vlan filtering', words: onOff, option: 'vlan_filtering', argument: decimal },
  groupForward: {
    label: 'link-local groups forwarded',
    words: hexadecimal,
    option: 'group_fwd_mask',
    argument: hexadecimal
  },
  ipv6: { ...ipv6, bit: 4 },
  ownMacEntry: { ...ownMacEntry, bit: 5 }
} as const

/** With these options, a bridge sends every frame to every port, and does nothing else. */
export const noOptions: BridgeOptions = {
  ageing: 0,
  forwardDelay: 0,
  stp: false,
  snooping: false,
  vlanFiltering: false,
  groupForward: 0
}

/**
 * The settings of a bridge as they are; the MTU in bytes. `ownMacEntry`: a forwarding entry for the bridge's own MAC address, which
 * keeps frames to that address from the sensors. Of IPv6, the kinds tell more than one thing.
 */
export function readBridge({ mac, mtu, up, ownMacEntry, bridge }: Link) {
  return { mac, mtu, up, ...(bridge ?? noOptions), ownMacEntry }
}

/** The offloads with which a bridge leaves work to a network card: segments and checksums of the host's own frames. */
export const wireOffloads = { tx: { bit: 6 }, tso: { bit: 7 }, gso: { bit: 8 } } as const

const wireNames = columnOf(wireOffloads, 'bit').map(([name]) => name)

/** All that the mark of a bridge keeps one bit of. */
export const bridgeBits = columnOf(
  { ...bridgeSettings, ...wireOffloads, clsact: { bit: 9 }, linkLocal: { bit: 10 } } as const,
  'bit'
)

/** The settings of a port, with the options of ip's type `bridge_slave`. `usual`: the kernel and Docker make a port so. */
export const portSettings = {
  mtu,
  up: { ...state, bit: 0, usual: true },
  isolated: { bit: 1, label: 'isolated', words: onOff, options: ['isolated'] },
  learning: { bit: 2, label: 'learning', words: onOff, options: ['learning'], usual: true },
  flooding: {
    bit: 3,
    label: 'flooding',
    words: writeFlooding,
    options: ['flood', 'mcast_flood', 'bcast_flood'],
    usual: true
  },
  ipv6: { ...ipv6, bit: 4, usual: true },
  ownMacEntry: { ...ownMacEntry, bit: 5, usual: true },
  /**
   * Whether the bridge hands it frames. What a bridge itself sends, it floods as broadcast and multicast also to ports with these off
   * (br_flood() in net/bridge/br_forward.c).
   */
  forwarding: { label: 'state', words: (on: boolean) => (on ? 'forwarding' : 'disabled') },
  /** No mark says what it was before: a port that Docker makes goes with its container, and an interface segments by itself. */
  wireSize: { label: 'wire-size frames', words: onOff }
} as const

/** Of unknown unicast, multicast and broadcast, a port may be handed some alone. No plan wants that. */
function writeFlooding(flooding: boolean | 'partly'): string {
  return flooding === 'partly' ? flooding : onOff(flooding)
}

const noPort: PortOptions = { isolated: false, learning: false, flooding: false }

/**
 * The settings of a port as they are; the MTU in bytes. `ownMacEntry`: a forwarding entry for the port's own MAC address, which keeps
 * frames to that address from the other sensors.
 */
export function readPort(link: Link) {
  const { mtu, up, ipv6, ownMacEntry } = link
  const { floodsSome, ...port } = link.port ?? noPort
  return {
    mtu,
    up,
    ...port,
    flooding: floodsSome ? ('partly' as const) : port.flooding,
    ipv6,
    ownMacEntry,
    wireSize: isWireSize(link),
    forwarding: port.isDisabled !== true
  }
}

/** Whether what leaves by a link is segmented, and has its checksums, as on a wire. An offload that nobody can switch off stays. */
export function isWireSize({ offloads }: Link): boolean {
  return wireNames.every((name) => offloads[name]?.active !== true || offloads[name].fixed)
}

/** The command that has what leaves by a link segmented, or leaves it to the link. */
export function switchWireSize(device: string, on: boolean): Argv {
  return ['ethtool', '-K', device, ...wireNames.flatMap((name) => [name, onOff(!on)])]
}

/** All that the mark of a port keeps one bit of. `connection`: Docker or Podman made it, to connect a container. */
export const portBits = columnOf({ ...portSettings, clsact: { bit: 6 }, connection: { bit: 7 } } as const, 'bit')

/** IPV6_MIN_MTU in linux/ipv6.h: with a smaller MTU, an interface has no IPv6, and none of its settings. */
export const smallestIpv6Mtu = 1280

/** The setting of sysctl(8) that switches IPv6 on a device on or off. */
export function switchIpv6(device: string, on: boolean) {
  return { key: `net/ipv6/conf/${device}/disable_ipv6`, value: on ? 0 : 1 }
}

/** The command that adds or removes the forwarding entry for a device's own MAC address: a bridge's own, or a port's at its bridge. */
export function switchMacEntry(device: string, mac: string, at: 'self' | 'master', on: boolean): Argv {
  return ['bridge', 'fdb', on ? 'add' : 'del', mac, 'dev', device, at, ...(on ? ['permanent'] : [])]
}

/**
 * The command that closes a dedicated interface to the host at one hook, or opens it: by a filter that drops every frame after the
 * mirrors have copied the frame. Packet sockets of the host still get what is received: the kernel hands frames to them before tc.
 */
export function switchClosing(device: string, tcHook: TcHook, open: boolean): Argv {
  const words = open
    ? deleteFilter(device, tcHook, closingPref, closingHandle)
    : writeDirectAction({ device, tcHook }, closingPref, closingHandle)
  return ['tc', ...words]
}

/** Whether a filter is one that closes an interface. The filter is its own mark. */
export function isClosing(filter: Filter): boolean {
  const { pref, chain, kind, protocol, directAction, program } = filter
  const isInPlace = pref === closingPref && chain === 0 && kind === 'bpf' && filter.handle === closingHandle
  return isInPlace && protocol === 'all' && directAction && program === dropProgram
}

/** The settings that are switched off by a filter that closes the interface. */
export const closingSettings = columnOf(sourceSettings, 'tcHook')

/** A setting that has something in a column of its table, with that. */
type Cell<Table, Column extends string> = {
  [Setting in keyof Table]: Table[Setting] extends Readonly<Record<Column, infer Value>>
    ? readonly [Setting, Value]
    : never
}[keyof Table]

/** The settings that have something in a column of a table, in its order, each with that. */
export function columnOf<Table extends object, Column extends string>(table: Table, column: Column) {
  const cells: unknown = Object.entries(table).flatMap(([setting, row]) =>
    column in row ? [[setting, row[column]]] : []
  )
  // Object.entries forgets which settings and values these are.
  return cells as Cell<Table, Column>[]
}
