import { type NetworkKind, readPacket } from './read-packet.ts'

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

/** What is in IP. */
export const transportKinds = ['tcp', 'udp', 'icmp', 'other'] as const

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

const transportsByNumber: Readonly<Record<number, TransportKind>> = { 6: 'tcp', 17: 'udp', 1: 'icmp', 58: 'icmp' }

/** Reads what is in a frame, by its first bytes. Nothing in it is believed but for the row that it is counted in. */
export function kindOf(frame: Buffer): FrameKind {
  const { network, tags, protocol } = readPacket(frame)
  const isIp = network === 'ipv4' || network === 'ipv6'
  return { network, vlan: tags[0] || null, transport: isIp ? (transportsByNumber[protocol ?? -1] ?? 'other') : null }
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
