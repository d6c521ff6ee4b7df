import * as z from 'zod'

/** `inet` is IPv4, `inet6` IPv6, as ip names them. */
export type Family = 'inet' | 'inet6'

/** The family of an address that {@link normalizeAddress} knows. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 'inet6' : 'inet'
}

/** An address as ip prints it; undefined: the text is no address. Some tools read a number with a leading zero as octal: it is none. */
export function normalizeAddress(text: string): string | undefined {
  if (z.ipv4().safeParse(text).success) return text
  if (!z.ipv6().safeParse(text).success) return undefined
  const { hostname } = new URL(`http://[${text}]`)
  return hostname.slice(1, -1)
}

/** Whether many hosts may listen to an address at once: 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291). */
export function isMulticast(address: string): boolean {
  return familyOf(address) === 'inet6' ? /^ff/i.test(address) : /^2(?:2[4-9]|3\d)\./.test(address)
}
