import * as z from 'zod'

/** `inet` is IPv4, `inet6` IPv6, as ip names them. */
export type Family = 'inet' | 'inet6'

/** The family of an address that {@link normalizeAddress} knows. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 'inet6' : 'inet'
}

/**
 * An address as ip prints it; undefined: the text is no address. Some tools read a number with a leading zero as octal, and an IPv4 address
 * in the form of an IPv6 address is one of IPv4: neither is one here.
 */
export function normalizeAddress(text: string): string | undefined {
  if (z.ipv4().safeParse(text).success) return text
  if (!z.ipv6().safeParse(text).success) return undefined
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1)
  return address.startsWith('::ffff:') ? undefined : address
}

/** The bits of an address that {@link normalizeAddress} has written. */
function readBits(address: string): bigint {
  if (familyOf(address) === 'inet') {
    return address.split('.').reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n)
  }
  const [before = [], after = []] = address.split('::').map((part) => part.split(':').filter((word) => word !== ''))
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce((bits, word) => (bits << 16n) | BigInt(`0x${word}`), 0n)
}

/** The words of 32 bits of an address that {@link normalizeAddress} has written. */
export function wordsOf(address: string): readonly number[] {
  const shifts = familyOf(address) === 'inet' ? [0n] : [96n, 64n, 32n, 0n]
  return shifts.map((shift) => Number(BigInt.asUintN(32, readBits(address) >> shift)))
}

/** A prefix as nft prints it, which is an address where it has but one; or what is wrong with the text. */
export function parsePrefix(text: string): { readonly prefix: string } | { readonly problem: string } {
  const [written = '', digits] = text.split('/')
  const address = normalizeAddress(written)
  const problem = 'must be a prefix such as 10.0.0.0/8, or an address'
  if (address === undefined || text.split('/').length > 2) return { problem }
  const bits = familyOf(address) === 'inet' ? 32 : 128
  if (digits === undefined) return { prefix: address }
  const length = /^\d{1,3}$/.test(digits) ? Number(digits) : bits + 1
  if (length > bits) return { problem }
  if (length === 0) return { problem: 'must leave somebody out' }
  if (readBits(address) & ((1n << BigInt(bits - length)) - 1n)) return { problem: `has bits set beyond its /${length}` }
  return { prefix: length === bits ? address : `${address}/${length}` }
}

/** The addresses from one to another. */
export interface AddressRange {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

/** The addresses of a prefix, or the one address, that {@link parsePrefix} has written. */
export function rangeOf(prefix: string): AddressRange {
  const [address = '', digits] = prefix.split('/')
  const family = familyOf(address)
  const bits = family === 'inet' ? 32 : 128
  const others = (1n << BigInt(bits - Number(digits ?? bits))) - 1n
  const first = readBits(address) & ~others
  return { family, first, last: first | others }
}

/** Whether all addresses of one range are in another. */
export function isInRange(one: AddressRange, other: AddressRange): boolean {
  return one.family === other.family && other.first <= one.first && one.last <= other.last
}

/** Whether a prefix that {@link parsePrefix} has written has an address. */
export function isWithin(address: string, prefix: string): boolean {
  return isInRange(rangeOf(address), rangeOf(prefix))
}

/** Whether many hosts may listen to an address at once: 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291). */
export function isMulticast(address: string): boolean {
  return familyOf(address) === 'inet6' ? /^ff/i.test(address) : /^2(?:2[4-9]|3\d)\./.test(address)
}
