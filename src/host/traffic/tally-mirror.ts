import { type Packet, readPacket } from './read-packet.ts'

/** What tells whether a source carries whole traffic: numbers, and nothing that is in a frame. */
export interface MirrorTally {
  /** All that were looked at. */
  readonly frames: number
  /** Addressed to one interface, whichever. */
  readonly unicast: number
  /** Broadcasts, and the multicasts by which hosts and switches find each other: an access port has them, too. */
  readonly chatter: number
  /** TCP, but for what begins and ends conversations. */
  readonly tcp: Part
  /** Of those, how many are of conversations of which nothing comes the other way. */
  readonly oneSided: Part
  /** Frames that the sender made different from all others, such as by a number in the packet. */
  readonly distinct: number
  /** How many of those came again. */
  readonly repeated: number
  /** Packets of IP whose end can be seen. */
  readonly ip: number
  /** How many of those end before their end, and how long the longest frame of these was, in bytes. */
  readonly cut: { readonly frames: number; readonly longest: number }
  /** Frames by the number of their outermost VLAN; null: without one. */
  readonly outer: ReadonlyMap<number | null, number>
  /** Frames by the number of the VLAN behind that. */
  readonly inner: ReadonlyMap<number, number>
}

/** Frames, and of how many conversations they are. */
interface Part {
  readonly frames: number
  readonly conversations: number
}

/** Bytes of a frame that are looked at: the Ethernet header, four tags, the longest header of IPv4, and 60 bytes of what follows. */
export const talliedBytes = 160

/** Conversations that are followed at a time. Of more, each further one is left out. */
const mostConversations = 20_000
/** Frames among which a repetition is found. */
const mostRemembered = 4096
/** Of fewer frames in one direction, the answers may just not have come. */
const fewestOneWay = 3

/** Flags of TCP. */
const [ack, reset] = [0x10, 0x04]
/** The protocol's number. */
const tcp = 6
/** Bytes of its header without options, and of what is looked at behind the header of IP. */
const [shortestTcp, lookedBehind] = [20, 60]

interface Conversation {
  /** Frames that count, by direction: from the smaller end, and from the other. */
  readonly counted: [number, number]
  readonly seen: [boolean, boolean]
}

/** Makes a counter, whose memory does not grow with the frames. */
export function countMirror() {
  const counts = { frames: 0, unicast: 0, chatter: 0, distinct: 0, repeated: 0, ip: 0 }
  const cut = { frames: 0, longest: 0 }
  const [outer, inner] = [new Map<number | null, number>(), new Map<number, number>()]
  const conversations = new Map<string, Conversation>()
  const remembered = new Set<string>()

  function remember(key: string): void {
    counts.distinct++
    if (remembered.has(key)) counts.repeated++
    remembered.add(key)
    if (remembered.size <= mostRemembered) return
    for (const oldest of remembered) {
      remembered.delete(oldest)
      break
    }
  }

  function follow(frame: Buffer, packet: Packet): void {
    const ends = endsOf(frame, packet)
    if (ends === null) return
    const [source, destination, flags] = ends
    const direction = source < destination ? 0 : 1
    const key = direction === 0 ? source + destination : destination + source
    const found = conversations.get(key)
    if (found === undefined && conversations.size >= mostConversations) return
    const conversation = found ?? { counted: [0, 0], seen: [false, false] }
    conversations.set(key, conversation)
    conversation.seen[direction] = true
    // A scan that nobody answers is whole.
    if ((flags & ack) !== 0 && (flags & reset) === 0) conversation.counted[direction]++
  }

  return {
    /** Takes a frame, as far as it is known, and the number of bytes that it had. */
    count(frame: Buffer, size: number): void {
      counts.frames++
      const packet = readPacket(frame)
      if (((frame[0] ?? 0) & 1) === 0) counts.unicast++
      else if (isChatter(frame)) counts.chatter++
      const [first, second] = packet.tags
      const vlan = first || null
      outer.set(vlan, (outer.get(vlan) ?? 0) + 1)
      if (second) inner.set(second, (inner.get(second) ?? 0) + 1)
      const length = lengthOf(frame, packet)
      if (length !== null) {
        counts.ip++
        if (packet.at + length > size) {
          cut.frames++
          cut.longest = Math.max(cut.longest, size)
        }
      }
      const key = distinctKey(frame, packet)
      if (key !== null) remember(key)
      if (packet.protocol === tcp && !packet.isFragment) follow(frame, packet)
    },
    tally(): MirrorTally {
      const counted = [...conversations.values()].filter(({ counted: [one, other] }) => one + other >= fewestOneWay)
      const partOf = (some: readonly Conversation[]) => ({
        frames: some.reduce((sum, { counted: [one, other] }) => sum + one + other, 0),
        conversations: some.length
      })
      const oneSided = counted.filter(({ seen: [one, other] }) => !(one && other))
      return { ...counts, cut, outer, inner, tcp: partOf(counted), oneSided: partOf(oneSided) }
    }
  }
}

/** Both ends of a segment of TCP, with their ports, and its flags; null: not all of them are known. */
function endsOf(frame: Buffer, { network, at, behind }: Packet): readonly [string, string, number] | null {
  if (behind + shortestTcp > frame.length) return null
  const [from, bytes] = network === 'ipv4' ? [at + 12, 4] : [at + 8, 16]
  const part = (start: number, length: number) => frame.toString('latin1', start, start + length)
  const source = part(from, bytes) + part(behind, 2)
  const destination = part(from + bytes, bytes) + part(behind + 2, 2)
  return [source, destination, frame[behind + 13] ?? 0]
}

/** The length of a packet of IP, as its header has it; null: it has none, or none that can be right. */
function lengthOf(frame: Buffer, { network, at }: Packet): number | null {
  if (network === 'ipv4' && at + 20 <= frame.length) return frame.readUInt16BE(at + 2) || null
  if (network !== 'ipv6' || at + 40 > frame.length) return null
  // 0: a jumbogram has its length elsewhere (RFC 2675).
  const payload = frame.readUInt16BE(at + 4)
  return payload === 0 ? null : 40 + payload
}

/**
 * What is the same in each copy of a packet, and in no other packet of its sender: routers change its addresses of Ethernet, tag, hop limit
 * and checksum alone. null: others may have the same, as what is sent again for good reason.
 */
function distinctKey(frame: Buffer, { network, at, protocol, behind, isFragment }: Packet): string | null {
  if (behind + 8 > frame.length) return null
  const content = frame.toString('latin1', behind, Math.min(behind + lookedBehind, frame.length))
  if (network === 'ipv4') {
    // Without a number, the sender takes it for enough that the packet is not to be divided.
    if (frame.readUInt16BE(at + 4) === 0) return null
    return (
      frame.toString('latin1', at + 2, at + 8) +
      frame.toString('latin1', at + 9, at + 10) +
      frame.toString('latin1', at + 12, at + 20) +
      content
    )
  }
  if (network !== 'ipv6' || protocol !== tcp || isFragment) return null
  // Acknowledgements without data may well be alike.
  const header = 4 * ((frame[behind + 12] ?? 0) >> 4)
  const length = frame.readUInt16BE(at + 4) + at + 40 - behind
  return length > header
    ? frame.toString('latin1', at + 4, at + 6) + frame.toString('latin1', at + 8, at + 40) + content
    : null
}

/** Groups that switches and hosts address whatever goes on: 802.1Q, Cisco, and the local ones of IPv4 (RFC 5771) and IPv6. */
const chatterGroups = ['ffffffffffff', '0180c2', '01000c', '01005e0000', '01005e7ffffa', '3333000000', '3333ff']

function isChatter(frame: Buffer): boolean {
  const group = frame.toString('hex', 0, 6)
  return chatterGroups.some((start) => group.startsWith(start))
}
