/** An IPv4 prefix: the first address as a number, and its length. */
export interface Subnet {
  readonly base: number
  readonly length: number
}

const shortestPrefix = 8
const longestPrefix = 29

const pattern = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/

/** Prefixes that no network can use: this network, loopback, multicast and above (RFC 6890). */
const unusable: readonly Subnet[] = [
  { base: 0, length: 8 },
  { base: 127 * 2 ** 24, length: 8 },
  { base: 224 * 2 ** 24, length: 3 }
]

const countAddresses = ({ length }: Subnet) => 2 ** (32 - length)

/** Reads `198.18.0.0/26`; undefined: the text is not a prefix. Some tools read a number with a leading zero as octal: it is refused. */
export function readSubnet(text: string): Subnet | undefined {
  const numbers = pattern.exec(text)?.slice(1)
  if (!numbers || numbers.some((number) => number.length > 1 && number.startsWith('0'))) return undefined
  const [a = 0, b = 0, c = 0, d = 0, length = 0] = numbers.map(Number)
  if ([a, b, c, d].some((byte) => byte > 255) || length > 32) return undefined
  return { base: ((a * 256 + b) * 256 + c) * 256 + d, length }
}

/** `198.18.0.0/26` */
export function writeSubnet({ base, length }: Subnet): string {
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${length}`
}

/** The prefix without the bits behind its length. */
export function alignSubnet(subnet: Subnet): Subnet {
  return { ...subnet, base: subnet.base - (subnet.base % countAddresses(subnet)) }
}

/** Reads a prefix that a network can use, or says what is wrong with the text and what to do. */
export function parseSubnet(text: string): Subnet | { readonly problem: string; readonly hint?: string | undefined } {
  const subnet = readSubnet(text)
  if (!subnet) {
    const hint = text.includes(':') ? 'IPv6 is of no use here: sensors get no traffic by address' : undefined
    return { problem: 'must be an IPv4 prefix such as 198.18.0.0/26', hint }
  }
  if (subnet.length < shortestPrefix || subnet.length > longestPrefix) {
    return { problem: `must be an IPv4 prefix from /${shortestPrefix} to /${longestPrefix}` }
  }
  const aligned = alignSubnet(subnet)
  if (unusable.some((one) => subnetsOverlap(one, aligned))) return { problem: 'must be a prefix that hosts can use' }
  if (aligned.base !== subnet.base) {
    return { problem: `has bits set beyond its /${subnet.length}`, hint: `did you mean "${writeSubnet(aligned)}"?` }
  }
  return subnet
}

/** Whether two prefixes share an address. */
export function subnetsOverlap(one: Subnet, other: Subnet): boolean {
  return one.base < other.base + countAddresses(other) && other.base < one.base + countAddresses(one)
}
