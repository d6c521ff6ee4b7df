import { tagTypes } from './tally-frames.ts'

/** Numbers of frames, and of their bytes with their Ethernet headers. */
export interface Amount {
  readonly frames: number
  readonly bytes: number
}

/** How many frames of a kind there were, and how many of them a filter takes. */
export interface KindAmount {
  readonly all: Amount
  readonly taken: Amount
}

/** What is behind the Ethernet header and its tags. */
export const networkKinds = ['ipv4', 'ipv6', 'arp', 'other'] as const
/** What is in IP. */
export const transportKinds = ['tcp', 'udp', 'icmp', 'other'] as const

export type NetworkKind = (typeof networkKinds)[number]
export type TransportKind = (typeof transportKinds)[number]

/** What is in a frame, as far as its first bytes tell. */
export interface FrameKind {
  readonly network: NetworkKind
  /** null: it is not IP. */
  readonly transport: TransportKind | null
  /** The VLAN of its outermost tag; null: it has none. */
  readonly vlan: number | null
}

/** All that was counted, by kinds. */
export interface KindTally {
  readonly total: KindAmount
  readonly networks: ReadonlyMap<NetworkKind, KindAmount>
  readonly transports: ReadonlyMap<TransportKind, KindAmount>
  /** By the number of the VLAN; null: frames without a VLAN. */
  readonly vlans: ReadonlyMap<number | null, KindAmount>
  /** Frames of which the known bytes do not tell whether the filter takes them. They are not counted as taken. */
  readonly unjudged: number
}

/** Bytes of a frame that are looked at: what a filter asks for behind the longest headers of IP and TCP is there, too. */
export const judgedBytes = 256

const tagSize = 4
/** Tags of a frame that are looked behind. */
const mostTags = 4
/** Extension headers of IPv6 that are looked behind. */
const mostExtensions = 8

const typeAt = 12

const networksByType: Readonly<Record<number, NetworkKind>> = { 2048: 'ipv4', 34525: 'ipv6', 2054: 'arp' }
const transportsByNumber: Readonly<Record<number, TransportKind>> = { 6: 'tcp', 17: 'udp', 1: 'icmp', 58: 'icmp' }

/** Extension headers that another header follows: hop-by-hop, routing, fragment, destination options. */
const extensions: ReadonlySet<number> = new Set([0, 43, 44, 60])
const fragment = 44

/** Reads what is in a frame, by its first bytes. Nothing in it is believed but for the row that it is counted in. */
export function kindOf(frame: Buffer): FrameKind {
  let at = typeAt
  let vlan: number | null = null
  for (let tags = 0; tags < mostTags && isTag(frame, at); tags++) {
    // 0: the tag has a priority, and no VLAN.
    if (tags === 0 && at + tagSize <= frame.length) vlan = frame.readUInt16BE(at + 2) & 0xfff || null
    at += tagSize
  }
  const network = at + 2 > frame.length ? 'other' : (networksByType[frame.readUInt16BE(at)] ?? 'other')
  return { network, vlan, transport: transportOf(frame, at + 2, network) }
}

function isTag(frame: Buffer, at: number): boolean {
  return at + 2 <= frame.length && tagTypes.includes(frame.readUInt16BE(at))
}

function transportOf(frame: Buffer, at: number, network: NetworkKind): TransportKind | null {
  if (network === 'ipv4') return transportsByNumber[frame[at + 9] ?? -1] ?? 'other'
  if (network !== 'ipv6') return null
  let header = frame[at + 6] ?? -1
  let behind = at + 40
  for (let count = 0; count < mostExtensions && extensions.has(header); count++) {
    const length = header === fragment ? 8 : 8 * ((frame[behind + 1] ?? 0) + 1)
    header = frame[behind] ?? -1
    behind += length
  }
  return transportsByNumber[header] ?? 'other'
}

/** Counts frames by their kinds. */
export interface KindCounter {
  /** Takes a frame, as far as it is known, and the number of bytes that it had. */
  count(frame: Buffer, size: number, verdict: 'accepted' | 'refused' | 'unknown'): void
  tally(): KindTally
}

/** Makes a counter, whose memory does not grow with the frames. */
export function countKinds(): KindCounter {
  const total = newAmount()
  const networks = new Map<NetworkKind, MutableAmount>()
  const transports = new Map<TransportKind, MutableAmount>()
  const vlans = new Map<number | null, MutableAmount>()
  let unjudged = 0
  return {
    count(frame, size, verdict) {
      const { network, transport, vlan } = kindOf(frame)
      const isTaken = verdict === 'accepted'
      if (verdict === 'unknown') unjudged++
      add(total, size, isTaken)
      add(amountIn(networks, network), size, isTaken)
      if (transport !== null) add(amountIn(transports, transport), size, isTaken)
      add(amountIn(vlans, vlan), size, isTaken)
    },
    tally: () => ({ total, networks, transports, vlans, unjudged })
  }
}

interface MutableAmount {
  readonly all: { frames: number; bytes: number }
  readonly taken: { frames: number; bytes: number }
}

const newAmount = (): MutableAmount => ({ all: { frames: 0, bytes: 0 }, taken: { frames: 0, bytes: 0 } })

function amountIn<Key>(amounts: Map<Key, MutableAmount>, key: Key): MutableAmount {
  const found = amounts.get(key) ?? newAmount()
  amounts.set(key, found)
  return found
}

function add({ all, taken }: MutableAmount, size: number, isTaken: boolean): void {
  all.frames++
  all.bytes += size
  if (!isTaken) return
  taken.frames++
  taken.bytes += size
}
