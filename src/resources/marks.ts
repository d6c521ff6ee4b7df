import { createHash } from 'node:crypto'
import type { Link } from '../host/snapshot.ts'
import type { TcHook } from '../spec/spec.ts'

/**
 * Marks are all the state there is. A mark sits on the thing it speaks of, and lives as long as that does: the alias of a
 * bridge, the cookie of a mirror's action.
 */

/** What spanplan switches on a card, in the order of its bits. */
export const interfaceSettings = ['up', 'promiscuous', 'arp', 'ipv6', 'gro', 'rx-gro-hw', 'lro', 'clsact'] as const

/** One of the traits above. */
export type InterfaceSetting = (typeof interfaceSettings)[number]

/** What a card was like before the first span used it. */
export interface InterfaceMark {
  readonly before: ReadonlySet<InterfaceSetting>
  /** The traits that spanplan has taken charge of, and gives back; the others are none of its business. */
  readonly managed: ReadonlySet<InterfaceSetting>
}

/** What the cookie of a mirror says. */
export interface MirrorMark {
  readonly owner: number
  readonly source: InterfaceMark
}

/** What a bridge has, or has not, in the order of its bits. */
const bridgeSettings = [
  ...(['up', 'stp', 'snooping', 'vlanFiltering', 'ipv6', 'ownMacEntry'] as const),
  ...(['tx', 'tso', 'gso', 'clsact', 'linkLocal'] as const)
] as const

/** One of the traits above. */
export type BridgeSetting = (typeof bridgeSettings)[number]

/** What a bridge was like before it was adopted. Times are in hundredths of a second. */
export interface BridgeOrigin {
  readonly alias: string
  readonly mac: string
  readonly mtu: number
  readonly ageing: number
  readonly forwardDelay: number
  readonly interfaceSettings: ReadonlySet<BridgeSetting>
}

/** What a port has, or has not, in the order of its bits. */
const portSettings = ['up', 'isolated', 'learning', 'flooding', 'ipv6', 'ownMacEntry', 'clsact'] as const

/** One of the traits above. */
export type PortSetting = (typeof portSettings)[number]

/** What a port was like before a span used it. */
export interface PortOrigin {
  /** Bytes. */
  readonly mtu: number
  readonly interfaceSettings: ReadonlySet<PortSetting>
}

/** What the alias of a bridge says. */
export interface BridgeMark {
  readonly owner: string
  /** A Docker network is on it, or is to be: whoever removes the span needs Docker. */
  readonly network: boolean
  /** What it was like before it was adopted; null for one that spanplan made. */
  readonly original: BridgeOrigin | null
  /** By interface index: that is the card itself, whatever it is called now, and never its successor. */
  readonly interfaces: ReadonlyMap<number, InterfaceMark>
}

/** `spanplan` in ASCII. */
const magic = '7370616e706c616e'
const version = '01'

/** Writes the 16 bytes of an action's cookie, in hexadecimal: TC_COOKIE_MAX_SIZE in linux/pkt_cls.h. */
export function writeCookie(owner: string, card: InterfaceMark): string {
  return `${magic}${version}${writeBits(card.before)}${writeBits(card.managed)}00${hex(hashOf(owner), 8)}`
}

/** Reads what {@link writeCookie} wrote; null for anybody else's. */
export function readCookie(cookie: string | null): MirrorMark | null {
  if (cookie === null || cookie.length !== 32 || !cookie.startsWith(magic + version)) return null
  return {
    owner: Number.parseInt(cookie.slice(24), 16),
    source: { before: readBits(cookie.slice(18, 20)), managed: readBits(cookie.slice(20, 22)) }
  }
}

/** IFALIASZ - 1 in linux/if.h, in bytes. */
const longestAlias = 255

/** Writes a bridge's alias. Cards that do not fit are left out: their mirrors' cookies still know them. */
export function writeAlias(mark: BridgeMark): string {
  const how = `${mark.original ? 'adopted' : 'owned'}${mark.network ? '+network' : ''}`
  let alias = ['spanplan', mark.owner, how, ...(mark.original ? [writeOrigin(mark.original)] : []), ''].join(':')
  let separator = ''
  for (const [index, card] of [...mark.interfaces].sort(([a], [b]) => a - b)) {
    const entry = `${separator}${index.toString(36)}.${writeBits(card.before)}${writeBits(card.managed)}`
    if (alias.length + entry.length > longestAlias) break
    alias += entry
    separator = ','
  }
  return alias
}

/** The mark of a bridge; null for one of others', and for any other link: whatever its alias says, no span is made of it. */
export function readMark(link: Pick<Link, 'kind' | 'alias'> | undefined): BridgeMark | null {
  return link?.kind === 'bridge' ? readAlias(link.alias) : null
}

/** Reads what {@link writeAlias} wrote; null for anybody else's. */
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
    const [, index, before, managed] = /^([0-9a-z]+)\.([0-9a-f]{2})([0-9a-f]{2})$/.exec(entry) ?? []
    if (index !== undefined && before !== undefined && managed !== undefined) {
      interfaces.set(Number.parseInt(index, 36), { before: readBits(before), managed: readBits(managed) })
    }
  }
  return { owner, network: network !== undefined, original, interfaces }
}

/** `S` in ASCII: the upper byte of a class that is a mark. */
const portMagic = '53'

/**
 * Writes what a port was like as the class of the filter on it, in tc's words: the MTU, and the traits. A filter that decides
 * by itself (direct-action) sorts nothing into its class, and clsact has no classes.
 */
export function writePortClass({ mtu, interfaceSettings }: PortOrigin): string {
  return `${Math.min(mtu, 0xffff).toString(16)}:${portMagic}${hex(toBits(portSettings, interfaceSettings), 2)}`
}

/** Reads what {@link writePortClass} wrote; null for anybody else's. */
export function readPortClass(classId: string | null): PortOrigin | null {
  const [, mtu, magicByte, bits] = /^([0-9a-f]{1,4}):([0-9a-f]{2})([0-9a-f]{2})$/.exec(classId ?? '') ?? []
  if (mtu === undefined || bits === undefined || magicByte !== portMagic) return null
  return { mtu: Number.parseInt(mtu, 16), interfaceSettings: fromBits(portSettings, Number.parseInt(bits, 16)) }
}

function writeOrigin({ alias, mac, mtu, ageing, forwardDelay, interfaceSettings }: BridgeOrigin): string {
  return [
    mac.replaceAll(':', ''),
    ...[mtu, ageing, forwardDelay].map((value) => value.toString(36)),
    hex(toBits(bridgeSettings, interfaceSettings), 3),
    Buffer.from(alias).toString('base64url')
  ].join('.')
}

/** ETH_MIN_MTU and ETH_MAX_MTU in linux/if_ether.h. */
export const smallestMtu = 68
const largestMtu = 0xffff

/** A bridge's times are unsigned numbers of 32 bits: IFLA_BR_AGEING_TIME in linux/if_link.h. */
const longestTime = 0xffffffff

function readOrigin(text: string): BridgeOrigin | null {
  const [, mac, mtu, ageing, delay, bits, alias] =
    /^([0-9a-f]{12})\.([0-9a-z]+)\.([0-9a-z]+)\.([0-9a-z]+)\.([0-9a-f]{3})\.([\w-]*)$/.exec(text) ?? []
  if (mac === undefined || bits === undefined) return null
  const [size = 0, ...times] = [mtu, ageing, delay].map((digits) => Number.parseInt(digits ?? '', 36))
  const [age = 0, wait = 0] = times
  if (size < smallestMtu || size > largestMtu || times.some((time) => time > longestTime)) return null
  return {
    alias: Buffer.from(alias ?? '', 'base64url').toString(),
    mac: mac.replace(/..(?!$)/g, '$&:'),
    ...{ mtu: size, ageing: age, forwardDelay: wait },
    interfaceSettings: fromBits(bridgeSettings, Number.parseInt(bits, 16))
  }
}

/** The handle of a mirror, never 0, which tc takes as "any". */
export function mirrorHandle(owner: string, span: string, device: string, tcHook: TcHook): number {
  return hashOf('mirror', owner, span, device, tcHook) || 1
}

/** The handle of the filter that seals a device. */
export function sealHandle(device: string): number {
  return hashOf('seal', device) || 1
}

/**
 * A bridge's MAC address: locally administered (bit 1 of the first byte, IEEE 802), and so much its span's own that it is a
 * mark by itself, from the moment in which the kernel makes the bridge.
 */
export function bridgeMac(owner: string, span: string): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(['bridge', owner, span]))
    .digest('hex')
  return ['02', ...(digest.slice(0, 10).match(/../g) ?? [])].join(':')
}

/** The 32 bits by which a cookie knows its owner. */
export function hashOf(...words: readonly string[]): number {
  return createHash('sha256').update(JSON.stringify(words)).digest().readUInt32BE(0)
}

function writeBits(set: ReadonlySet<InterfaceSetting>): string {
  return hex(toBits(interfaceSettings, set), 2)
}

function readBits(text: string): Set<InterfaceSetting> {
  return fromBits(interfaceSettings, Number.parseInt(text, 16))
}

function toBits<T>(all: readonly T[], set: ReadonlySet<T>): number {
  return all.reduce((bits, setting, position) => (set.has(setting) ? bits | (1 << position) : bits), 0)
}

function fromBits<T>(all: readonly T[], bits: number): Set<T> {
  return new Set(all.filter((_, position) => (bits & (1 << position)) !== 0))
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
