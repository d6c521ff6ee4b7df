import { type Packet, readPacket } from './read-packet.ts'

/** What a source carries at one hook: numbers, and nothing that is in a frame. */
export interface MirrorTally {
  /** All that were looked at. */
  readonly frames: number
  /** Addressed to one interface, and neither to nor from the one that hears. */
  readonly unicast: number
  /** Broadcasts, and the multicasts that do not leave a network: an access port has them, too. */
  readonly chatter: number
  /** Packets of IP whose end can be seen. */
  readonly ip: number
  /** How many of those end before their end, and how long the longest frame of these was, in bytes. */
  readonly cut: { readonly frames: number; readonly longest: number }
  /** How many the filter takes. */
  readonly taken: number
  /** Frames by the number of their outermost VLAN; null: they are in none. */
  readonly outer: ReadonlyMap<number | null, VlanCount>
  /** Frames by the number of the VLAN behind that. */
  readonly inner: ReadonlyMap<number, VlanCount>
  /** The VLANs that were asked about, and of which the filter would have taken frames. */
  readonly wanted: ReadonlySet<number | null>
}

interface VlanCount {
  frames: number
  /** How many of these the filter takes. */
  taken: number
}

/** The filter of a source. */
export interface TallyFilter {
  /** Whether it takes a frame, of which the beginning is known. */
  takes(frame: Buffer, size: number): boolean
  /** Whether it would take the frame with the tag of this VLAN in place of its own; null: of any. */
  wouldTake(frame: Buffer, size: number, vlan: number | null): boolean
  /** The VLANs to ask about. */
  readonly vlans: readonly (number | null)[]
}

/** Bytes of a frame that are looked at: the Ethernet header, four tags, the longest header of IPv4, and 60 bytes of what follows. */
export const talliedBytes = 160

/** Of so many frames, and of one in so many more, it is asked whether the filter would take them in another VLAN. */
const [firstAsked, askedEach] = [50, 500]

/** A switch of Cisco's sends such frames to itself through each port, to find loops. */
const loopback = 0x9000

/**
 * Makes a counter, whose memory does not grow with the frames.
 *
 * @param own the MAC address of the interface that hears: what is for the host itself is no mirrored traffic.
 */
export function countMirror(own: string, filter: TallyFilter) {
  const counts = { frames: 0, unicast: 0, chatter: 0, ip: 0, taken: 0 }
  const cut = { frames: 0, longest: 0 }
  const [outer, inner] = [new Map<number | null, VlanCount>(), new Map<number, VlanCount>()]
  const wanted = new Set<number | null>()
  const isOwn = isOf(own)

  function countVlans(frame: Buffer, size: number, tags: readonly number[]): void {
    const isTaken = filter.takes(frame, size)
    if (isTaken) counts.taken++
    const [first, second] = tags
    add(outer, first || null, isTaken)
    if (second) add(inner, second, isTaken)
    if (counts.frames > firstAsked && counts.frames % askedEach !== 0) return
    for (const vlan of filter.vlans) if (!wanted.has(vlan) && filter.wouldTake(frame, size, vlan)) wanted.add(vlan)
  }

  return {
    /** Takes a frame, as far as it is known, and the number of bytes that it had. */
    count(frame: Buffer, size: number): void {
      counts.frames++
      const packet = readPacket(frame)
      if (isChatter(frame, packet)) counts.chatter++
      else if (!isGroup(frame) && !isOwn(frame)) counts.unicast++
      countVlans(frame, size, packet.tags)
      const length = lengthOf(frame, packet)
      if (length === null) return
      counts.ip++
      if (packet.at + length <= size) return
      cut.frames++
      cut.longest = Math.max(cut.longest, size)
    },
    /** Whether the host itself sends or gets a frame. */
    isOwn,
    tally: (): MirrorTally => ({ ...counts, cut, outer, inner, wanted })
  }
}

/** Counts a frame of a VLAN. There are no more numbers than 4,095. */
function add<Vlan>(counts: Map<Vlan, VlanCount>, vlan: Vlan, isTaken: boolean): void {
  const count = counts.get(vlan) ?? { frames: 0, taken: 0 }
  counts.set(vlan, count)
  count.frames++
  if (isTaken) count.taken++
}

/** Tells the frames that an interface of this MAC address sends, and those that are for it. */
function isOf(mac: string): (frame: Buffer) => boolean {
  const address = Buffer.from(mac.replaceAll(':', ''), 'hex')
  return (frame) => address.equals(frame.subarray(0, 6)) || address.equals(frame.subarray(6, 12))
}

const isGroup = (frame: Buffer) => ((frame[0] ?? 0) & 1) === 1

/** The length of a packet of IP, as its header has it; null: it has none, or none that can be right. */
function lengthOf(frame: Buffer, { network, at }: Packet): number | null {
  if (network === 'ipv4' && at + 20 <= frame.length) return frame.readUInt16BE(at + 2) || null
  if (network !== 'ipv6' || at + 40 > frame.length) return null
  // 0: a jumbogram has its length elsewhere (RFC 2675).
  const payload = frame.readUInt16BE(at + 4)
  return payload === 0 ? null : 40 + payload
}

/** The group of UPnP (SSDP), which every office has. */
const discovery = 0xeffffffa

/** Whether a frame is for a group of IPv4 that leaves its network, by the address of Ethernet alone (RFC 1112). */
function isMappedGroup(frame: Buffer): boolean {
  const start = frame.toString('hex', 0, 5)
  return start.startsWith('01005e') && start !== '01005e0000'
}

/** Whether a frame is for all, or for a group that does not leave its network: pictures of cameras are for groups, too. */
function isChatter(frame: Buffer, { network, at }: Packet): boolean {
  if (!isGroup(frame)) return frame.length >= at && frame.readUInt16BE(at - 2) === loopback
  // ff02::/16, and 224.0.0.0/24: RFC 4291 and RFC 5771.
  if (network === 'ipv6') return at + 40 > frame.length || ((frame[at + 25] ?? 0) & 0xf) <= 2
  if (network !== 'ipv4' || at + 20 > frame.length) return !isMappedGroup(frame)
  const group = frame.readUInt32BE(at + 16)
  return group === 0xffffffff || group >>> 8 === 0xe00000 || group === discovery || group >>> 28 !== 0xe
}
