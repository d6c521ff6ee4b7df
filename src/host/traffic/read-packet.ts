import { tagTypes } from './tally-frames.ts'

/** What is behind the Ethernet header and its tags. */
export const networkKinds = ['ipv4', 'ipv6', 'arp', 'other'] as const
export type NetworkKind = (typeof networkKinds)[number]

/** Where the packet of a frame is, as far as the frame is known. */
export interface Packet {
  readonly network: NetworkKind
  /** The numbers in the tags, the outermost first. 0: the tag has a priority, and no VLAN. */
  readonly tags: readonly number[]
  /** The offset of the network's header. */
  readonly at: number
  /** The number of the protocol in IP; null: it is not IP, or not known. */
  readonly protocol: number | null
  /** The offset of that protocol's header. */
  readonly behind: number
  /** It is a fragment of IP, first or later. */
  readonly isFragment: boolean
}

const typeAt = 12
const tagSize = 4
/** Tags of a frame that are looked behind. */
const mostTags = 4
/** Extension headers of IPv6 that are looked behind. */
const mostExtensions = 8

const networksByType: Readonly<Record<number, NetworkKind>> = { 2048: 'ipv4', 34525: 'ipv6', 2054: 'arp' }

/** Extension headers that another header follows: hop-by-hop, routing, fragment, destination options. */
const extensions: ReadonlySet<number> = new Set([0, 43, 44, 60])
const fragment = 44

/** Finds the packet of a frame, by its first bytes. Nothing in it is believed but for where it is. */
export function readPacket(frame: Buffer): Packet {
  let at = typeAt
  const tags: number[] = []
  while (tags.length < mostTags && at + tagSize <= frame.length && tagTypes.includes(frame.readUInt16BE(at))) {
    tags.push(frame.readUInt16BE(at + 2) & 0xfff)
    at += tagSize
  }
  const network = at + 2 > frame.length ? 'other' : (networksByType[frame.readUInt16BE(at)] ?? 'other')
  return { network, tags, at: at + 2, ...findTransport(frame, at + 2, network) }
}

function findTransport(
  frame: Buffer,
  at: number,
  network: NetworkKind
): Pick<Packet, 'protocol' | 'behind' | 'isFragment'> {
  if (network === 'ipv4') {
    const isFragment = at + 8 <= frame.length && (frame.readUInt16BE(at + 6) & 0x3fff) !== 0
    return { protocol: frame[at + 9] ?? null, behind: at + 4 * ((frame[at] ?? 0) & 0xf), isFragment }
  }
  if (network !== 'ipv6') return { protocol: null, behind: at, isFragment: false }
  let header = frame[at + 6] ?? null
  let behind = at + 40
  let isFragment = false
  for (let count = 0; count < mostExtensions && header !== null && extensions.has(header); count++) {
    isFragment ||= header === fragment
    const length = header === fragment ? 8 : 8 * ((frame[behind + 1] ?? 0) + 1)
    header = frame[behind] ?? null
    behind += length
  }
  return { protocol: header, behind, isFragment }
}
