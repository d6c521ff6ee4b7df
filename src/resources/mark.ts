import { createHash } from 'node:crypto'
import type { Hook } from '../spec/spec.ts'

/**
 * Marks are all the state there is. A mark sits on the thing it speaks of, and lives as long as that does: the alias of a
 * bridge, the cookie of a mirror's action.
 */

/** What spanplan switches on a card, in the order of its bits. */
export const traits = ['up', 'promiscuous', 'arp', 'ipv6', 'gro', 'rx-gro-hw', 'lro', 'clsact'] as const

/** One of the traits above. */
export type Trait = (typeof traits)[number]

/** What a card was like before the first span used it. */
export interface CardMark {
  readonly before: ReadonlySet<Trait>
  /** The traits that spanplan has taken charge of, and gives back; the others are none of its business. */
  readonly managed: ReadonlySet<Trait>
}

/** What the cookie of a mirror says. */
export interface MirrorMark {
  readonly owner: number
  readonly card: CardMark
}

/** What the alias of a bridge says. */
export interface BridgeMark {
  readonly owner: string
  /** A Docker network is on it, or is to be: whoever removes the span needs Docker. */
  readonly network: boolean
  /** By interface index: that is the card itself, whatever it is called now, and never its successor. */
  readonly cards: ReadonlyMap<number, CardMark>
}

/** `spanplan` in ASCII. */
const magic = '7370616e706c616e'
const version = '01'

/** Writes the 16 bytes of an action's cookie, in hexadecimal: TC_COOKIE_MAX_SIZE in linux/pkt_cls.h. */
export function writeCookie(owner: string, card: CardMark): string {
  return `${magic}${version}${writeBits(card.before)}${writeBits(card.managed)}00${hex(hashOf(owner), 8)}`
}

/** Reads what {@link writeCookie} wrote; null for anybody else's. */
export function readCookie(cookie: string | null): MirrorMark | null {
  if (cookie === null || cookie.length !== 32 || !cookie.startsWith(magic + version)) return null
  return {
    owner: Number.parseInt(cookie.slice(24), 16),
    card: { before: readBits(cookie.slice(18, 20)), managed: readBits(cookie.slice(20, 22)) }
  }
}

/** IFALIASZ - 1 in linux/if.h, in bytes. */
const longestAlias = 255

/** Writes a bridge's alias. Cards that do not fit are left out: their mirrors' cookies still know them. */
export function writeAlias(mark: BridgeMark): string {
  let alias = `spanplan:${mark.owner}:owned${mark.network ? '+network' : ''}:`
  let separator = ''
  for (const [index, card] of [...mark.cards].sort(([a], [b]) => a - b)) {
    const entry = `${separator}${index.toString(36)}.${writeBits(card.before)}${writeBits(card.managed)}`
    if (alias.length + entry.length > longestAlias) break
    alias += entry
    separator = ','
  }
  return alias
}

/** Reads what {@link writeAlias} wrote; null for anybody else's. */
export function readAlias(alias: string | null): BridgeMark | null {
  const [, owner, network, list] = /^spanplan:([^:]+):owned(\+network)?:(.*)$/.exec(alias ?? '') ?? []
  if (owner === undefined || list === undefined) return null
  const cards = new Map<number, CardMark>()
  for (const entry of list.split(',')) {
    const [, index, before, managed] = /^([0-9a-z]+)\.([0-9a-f]{2})([0-9a-f]{2})$/.exec(entry) ?? []
    if (index !== undefined && before !== undefined && managed !== undefined) {
      cards.set(Number.parseInt(index, 36), { before: readBits(before), managed: readBits(managed) })
    }
  }
  return { owner, network: network !== undefined, cards }
}

/** The handle of a mirror, never 0, which tc takes as "any". */
export function mirrorHandle(owner: string, span: string, device: string, hook: Hook): number {
  return hashOf('mirror', owner, span, device, hook) || 1
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

function writeBits(set: ReadonlySet<Trait>): string {
  return hex(
    traits.reduce((bits, trait, position) => (set.has(trait) ? bits | (1 << position) : bits), 0),
    2
  )
}

function readBits(text: string): Set<Trait> {
  const bits = Number.parseInt(text, 16)
  return new Set(traits.filter((_, position) => (bits & (1 << position)) !== 0))
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
