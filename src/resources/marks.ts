import { createHash } from 'node:crypto'
import type { HookPlace, Link, NftTable } from '../host/snapshot.ts'
import { tunnelKindOf } from '../host/tunnels/registry.ts'
import { tableOf } from '../keys.ts'
import type { TunnelProtocol, TunnelSpec } from '../spec/sources/tunnel-spec.ts'
import { bridgeBits, type InterfaceSetting, interfaceBits, portBits } from './settings.ts'

/**
 * Marks are all the state there is. A mark is on the thing that it describes, and lives as long as that thing: the alias of a
 * bridge, the cookie of a mirror's action.
 */

/** A mark in words: what it says is for spanplan alone. */
export const ownMark = "spanplan's"

/** The settings that an interface had before the first span used it. */
export interface InterfaceMark {
  readonly before: ReadonlySet<InterfaceSetting>
  /** The settings that spanplan manages, and gives back. It leaves the others alone. */
  readonly managed: ReadonlySet<InterfaceSetting>
  /** The size of its receive ring before, if spanplan manages that. Missing: it does not. */
  readonly ring?: number
}

/** Settings that are on or off. */
type Switches<Setting extends string> = Readonly<Record<Setting, boolean>>

/** What a bridge was like before it was adopted. Times are in hundredths of a second. */
export interface BridgeOrigin extends Switches<(typeof bridgeBits)[number][0]> {
  readonly alias: string
  readonly mac: string
  readonly mtu: number
  readonly ageing: number
  readonly forwardDelay: number
  readonly groupForward: number
}

/** What a port was like before a span used it. */
export interface PortOrigin extends Switches<(typeof portBits)[number][0]> {
  /** Bytes. */
  readonly mtu: number
  /** It was a port of the bridge: others have attached it. */
  readonly wasPort: boolean
}

/** What the alias of a bridge says. */
export interface BridgeMark {
  readonly owner: string
  /** A Docker network is on the bridge, or will be: Docker is needed to remove the span. */
  readonly network: boolean
  /** What the bridge was like before it was adopted; null for a bridge that spanplan made. */
  readonly original: BridgeOrigin | null
  /** By interface index: an index stays with an interface that is renamed, and no later interface gets it. */
  readonly interfaces: ReadonlyMap<number, InterfaceMark>
}

/** `spanplan` in ASCII. */
const magic = '7370616e706c616e'
const version = '01'

/** Writes the 16 bytes of an action's cookie, in hexadecimal: TC_COOKIE_MAX_SIZE in linux/pkt_cls.h. */
export function writeCookie(owner: string, mark: InterfaceMark): string {
  return `${magic}${version}${writeInterface(mark)}${hex(hashOf(owner), 8)}`
}

/** Reads what {@link writeCookie} wrote: the hash of the owner, and the mark without the ring; null for a foreign cookie. */
export function readCookie(cookie: string | null) {
  if (cookie === null || cookie.length !== 32 || !cookie.startsWith(magic + version)) return null
  return { owner: Number.parseInt(cookie.slice(24), 16), source: readInterface(cookie.slice(18, 24)) }
}

/** The lower half of a class that is the mark of a ring: `R` in ASCII, above zero. */
const ringMagic = '5200'

/**
 * Writes what the receive ring was like before as the class id of a mirror, as tc writes it: there are no more bits in the cookie, and one
 * command writes both. The class is free for that: clsact has no classes, and a filter that ends a frame's classification gives the frame
 * its own (cls_bpf_classify() in net/sched/cls_bpf.c). undefined: spanplan does not manage the ring.
 */
export function writeRingClass({ ring }: Pick<InterfaceMark, 'ring'>): string | undefined {
  return ring === undefined ? undefined : `${ring.toString(16)}:${ringMagic}`
}

/** Reads what {@link writeRingClass} wrote. */
export function readRingClass(classId: string | null): Pick<InterfaceMark, 'ring'> {
  const [, digits] = /^([0-9a-f]{1,4}):5200$/.exec(classId ?? '') ?? []
  return digits === undefined ? {} : { ring: Number.parseInt(digits, 16) }
}

/** IFALIASZ - 1 in linux/if.h, in bytes. */
const longestAlias = 255

/** Writes a bridge's alias. Interfaces that do not fit are left out: the cookies of their mirrors say the same. */
export function writeAlias(mark: BridgeMark): string {
  const how = `${mark.original ? 'adopted' : 'owned'}${mark.network ? '+network' : ''}`
  let alias = ['spanplan', mark.owner, how, ...(mark.original ? [writeOrigin(mark.original)] : []), ''].join(':')
  let separator = ''
  for (const [index, link] of [...mark.interfaces].sort(([a], [b]) => a - b)) {
    const ring = link.ring === undefined ? '' : `.${link.ring.toString(36)}`
    const entry = `${separator}${index.toString(36)}.${writeInterface(link).replace(/00$/, '')}${ring}`
    if (alias.length + entry.length > longestAlias) break
    alias += entry
    separator = ','
  }
  return alias
}

/** The mark of a bridge; null for a foreign bridge, and for a link of any other kind, whatever its alias says. */
export function readMark(link: Pick<Link, 'kind' | 'alias'> | undefined): BridgeMark | null {
  if (link?.kind !== 'bridge') return null
  const known = marks.get(link)
  if (known !== undefined) return known
  const mark = readAlias(link.alias)
  marks.set(link, mark)
  return mark
}

/** The marks by link: a plan asks for each some ten times. */
const marks = new WeakMap<Pick<Link, 'kind' | 'alias'>, BridgeMark | null>()

/** Reads what {@link writeAlias} wrote; null for a foreign alias. */
export function readAlias(alias: string | null): BridgeMark | null {
  const [magicWord, owner, how, ...rest] = alias?.split(':') ?? []
  const [, verb, network] = /^(owned|adopted)(\+network)?$/.exec(how ?? '') ?? []
  const list = rest.at(-1)
  if (magicWord !== 'spanplan' || !owner || verb === undefined || list === undefined) return null
  if (rest.length !== (verb === 'adopted' ? 2 : 1)) return null
  const original = verb === 'adopted' ? readOrigin(rest[0] ?? '') : null
  if (verb === 'adopted' && original === null) return null
  const interfaces = new Map<number, InterfaceMark>()
  for (const entry of list.split(',')) {
    const [, index, bits, ring] = /^([0-9a-z]+)\.([0-9a-f]{4}(?:[0-9a-f]{2})?)(?:\.([0-9a-z]+))?$/.exec(entry) ?? []
    if (index === undefined || bits === undefined) continue
    const size = ring === undefined ? {} : { ring: Number.parseInt(ring, 36) }
    interfaces.set(Number.parseInt(index, 36), { ...readInterface(bits), ...size })
  }
  return { owner, network: network !== undefined, original, interfaces }
}

/** The upper byte of a class that is a mark: `S` in ASCII for a port that others have attached, `T` for one that spanplan has. */
const [portMagic, attachedMagic] = ['53', '54']

/**
 * Writes what a port was like before as the class id of the filter on the port, as tc writes it: the MTU, and the settings.
 * The class id is free for that: a filter with direct-action ignores its class, and clsact has no classes (tc-bpf(8)).
 */
export function writePortClass(origin: PortOrigin): string {
  const bits = toBits(portBits, (setting) => origin[setting])
  return `${Math.min(origin.mtu, 0xffff).toString(16)}:${origin.wasPort ? portMagic : attachedMagic}${hex(bits, 2)}`
}

/** Reads what {@link writePortClass} wrote; null for a foreign class id. */
export function readPortClass(classId: string | null): PortOrigin | null {
  const [, mtu, magicByte, bits] = /^([0-9a-f]{1,4}):([0-9a-f]{2})([0-9a-f]{2})$/.exec(classId ?? '') ?? []
  const wasPort = magicByte === portMagic
  if (mtu === undefined || bits === undefined || !(wasPort || magicByte === attachedMagic)) return null
  return { mtu: Number.parseInt(mtu, 16), wasPort, ...readSwitches(portBits, bits) }
}

/**
 * Writes what the interface of a sensor was like before as the class id of the filter on that interface, as tc writes it: whether it
 * had a clsact qdisc. The upper byte, `I` in ASCII, for inside, says that the class is a mark.
 */
export function writeInnerClass(clsact: boolean): string {
  return clsact ? '1:4901' : '1:4900'
}

/** Reads what {@link writeInnerClass} wrote; null for a foreign class id. */
export function readInnerClass(classId: string | null): boolean | null {
  const [, bits] = /^1:49(0[01])$/.exec(classId ?? '') ?? []
  return bits === undefined ? null : bits === '01'
}

function writeOrigin(origin: BridgeOrigin): string {
  const { alias, mac, mtu, ageing, forwardDelay, groupForward } = origin
  const bits = toBits(bridgeBits, (setting) => origin[setting])
  return [
    mac.replaceAll(':', ''),
    ...[mtu, ageing, forwardDelay].map((value) => value.toString(36)),
    // A bridge forwards no link-local groups unless somebody says so: to write nothing leaves more room.
    hex(bits, 3) + (groupForward === 0 ? '' : `+${hex(groupForward, 4)}`),
    Buffer.from(alias).toString('base64url')
  ].join('.')
}

/** ETH_MIN_MTU and ETH_MAX_MTU in linux/if_ether.h. */
export const smallestMtu = 68
const largestMtu = 0xffff

/** A bridge's times are unsigned numbers of 32 bits: IFLA_BR_AGEING_TIME in linux/if_link.h. */
const longestTime = 0xffffffff

function readOrigin(text: string): BridgeOrigin | null {
  const [, mac, mtu, ageing, delay, bits, groups, alias] =
    /^([0-9a-f]{12})\.([0-9a-z]+)\.([0-9a-z]+)\.([0-9a-z]+)\.([0-9a-f]{3})(?:\+([0-9a-f]{4}))?\.([\w-]*)$/.exec(text) ??
    []
  if (mac === undefined || bits === undefined) return null
  const [size = 0, ...times] = [mtu, ageing, delay].map((digits) => Number.parseInt(digits ?? '', 36))
  const [age = 0, wait = 0] = times
  if (size < smallestMtu || size > largestMtu || times.some((time) => time > longestTime)) return null
  return {
    alias: Buffer.from(alias ?? '', 'base64url').toString(),
    mac: mac.replace(/..(?!$)/g, '$&:'),
    mtu: size,
    ageing: age,
    forwardDelay: wait,
    groupForward: Number.parseInt(groups ?? '0', 16),
    ...readSwitches(bridgeBits, bits)
  }
}

/** The name of the link of a tunnel: it is a mark as soon as the kernel has made the link. */
export function tunnelName(owner: string, tunnel: TunnelSpec): string {
  const identity = tunnelKindOf(tunnel).identity(tunnel).map(String)
  return `${tunnel.protocol}-${hex(hashOf('tunnel', owner, ...identity), 8)}`
}

/** Whether {@link tunnelName} gives names of this form to the links of a protocol. */
export function isTunnelName(name: string, { protocol }: Pick<TunnelSpec, 'protocol'>): boolean {
  return new RegExp(`^${protocol}-[0-9a-f]{8}$`).test(name)
}

/** Writes the alias of a tunnel's link. */
export function writeTunnelMark(owner: string, protocol: TunnelProtocol): string {
  return `spanplan:${owner}:${protocol}`
}

/** The owner that the alias of a tunnel's link names; null: it names none. */
export function readTunnelMark(alias: string | null, { protocol }: Pick<TunnelSpec, 'protocol'>): string | null {
  return new RegExp(`^spanplan:([^:]+):${protocol}$`).exec(alias ?? '')?.[1] ?? null
}

/** Whether a link may be one that spanplan has made for a tunnel, as the link alone tells: a copy of an alias may be on it. */
export function mayBeTunnel(
  { name, alias, tunnel }: Pick<Link, 'name' | 'alias' | 'tunnel'>,
  owners: readonly string[]
): boolean {
  if (tunnel === undefined) return false
  return readTunnelMark(alias, tunnel) !== null || owners.some((owner) => name === tunnelName(owner, tunnel))
}

/** The name of an owner's table of nftables. */
export function tableName(owner: string): string {
  return `spanplan_${owner}`
}

/** Writes the name of the chain that marks an owner's table. */
export function writeTableMark(owner: string): string {
  return `spanplan.name.${owner}`
}

/** Whose table it is, by the chain that {@link writeTableMark} names; null for a foreign table. */
export function readTableMark({ objects }: NftTable): string | null {
  const owners = objects.map(({ chain }) => /^spanplan\.name\.(.+)$/.exec(String(chain?.name))?.[1])
  return owners.find((owner) => owner !== undefined) ?? null
}

/** What tells a mirror from all others. */
export interface MirrorIdentity extends HookPlace {
  readonly owner: string
  /** The bridge, and the receiver. */
  readonly name: string
}

/** The handle of a mirror; never 0, which tc takes as "any". */
export function mirrorHandle({ owner, name, device, tcHook }: MirrorIdentity): number {
  return hashOf('mirror', owner, name, device, tcHook) || 1
}

/** The handle of the filter that seals an interface. */
export function sealHandle(device: string): number {
  return hashOf('seal', device) || 1
}

/** The handle of the filter that seals an output: its upper half says whose the output is, and its lower half is that of any seal. */
export function outputHandle(owner: string, device: string): number {
  return changeOwner(sealHandle(device), owner)
}

/** The handle of the same seal, for another owner. */
export function changeOwner(handle: number, owner: string): number {
  return ownerHalf(owner) * 0x10000 + lowerHalf(handle) || 1
}

/** Whether a filter that seals an output was made for this owner. */
export function isOutputOf(owner: string, handle: number): boolean {
  return Math.floor(handle / 0x10000) === ownerHalf(owner)
}

/** Whether a handle is that of the filter which seals an interface of this name, as an output or not. */
export function sealsInterface(handle: number, device: string): boolean {
  return lowerHalf(handle) === lowerHalf(sealHandle(device))
}

const lowerHalf = (handle: number) => handle % 0x10000
const ownerHalf = (owner: string) => lowerHalf(hashOf('output', owner))

/**
 * A bridge's MAC address: locally administered (bit 1 of the first byte, IEEE 802), and made of the owner and the bridge's name, so
 * that the address is a mark as soon as the kernel has made the bridge.
 */
export function bridgeMac(owner: string, bridge: string): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(['bridge', owner, bridge]))
    .digest('hex')
  return ['02', ...(digest.slice(0, 10).match(/../g) ?? [])].join(':')
}

/** The 32 bits that stand for an owner in a cookie. */
export function hashOf(...words: readonly string[]): number {
  return createHash('sha256').update(JSON.stringify(words)).digest().readUInt32BE(0)
}

/** Six digits: the lower eight bits of what was before, those of what is managed, and the upper four of each. */
function writeInterface({ before, managed }: InterfaceMark): string {
  const [was, is] = [before, managed].map((set) => {
    const bits = toBits(interfaceBits, (one) => set.has(one))
    return hex(bits, 3)
  })
  return `${was?.slice(1)}${is?.slice(1)}${was?.[0]}${is?.[0]}`
}

/** Reads what {@link writeInterface} wrote. Without the last two digits, which an alias leaves out, they are zero. */
function readInterface(digits: string): InterfaceMark {
  const [was, is] = [digits.slice(0, 2), digits.slice(2, 4)]
  return { before: readBits(`${digits[4] ?? '0'}${was}`), managed: readBits(`${digits[5] ?? '0'}${is}`) }
}

function readBits(digits: string): Set<InterfaceSetting> {
  const bits = Number.parseInt(digits, 16)
  return new Set(interfaceBits.flatMap(([setting, bit]) => (bits & (1 << bit) ? [setting] : [])))
}

function toBits<Setting>(all: readonly (readonly [Setting, number])[], isOn: (setting: Setting) => boolean): number {
  return all.reduce((bits, [setting, bit]) => (isOn(setting) ? bits | (1 << bit) : bits), 0)
}

function readSwitches<Setting extends string>(all: readonly (readonly [Setting, number])[], digits: string) {
  const bits = Number.parseInt(digits, 16)
  return tableOf(all.map(([setting, bit]) => [setting, (bits & (1 << bit)) !== 0]))
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
