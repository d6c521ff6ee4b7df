import { type Packet, readPacket } from './read-packet.ts'

/** What tells whether the traffic of several hooks is whole, taken together. */
export interface ConversationTally {
  /** All that were looked at. */
  readonly frames: number
  /** TCP, but for what begins and ends conversations, and what is sent again. */
  readonly tcp: Part
  /** Of those, how many are of conversations of which nothing comes the other way. */
  readonly oneSided: Part
  /** Frames that the sender made different from all others, such as by a number in the packet. */
  readonly distinct: number
  /** How many of those came again at once. */
  readonly repeated: number
}

/** Frames, and of how many conversations they are. */
interface Part {
  readonly frames: number
  readonly conversations: number
}

/** Conversations that are followed at a time. Of more, the one that began first is left out. */
const mostConversations = 20_000
/** Frames among which a repetition is found. */
const mostRemembered = 16_384
/** Seconds: copies come at once. What comes later, its sender has sent again. */
const longestBetween = 0.1
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
  /** The last segment of each direction. */
  readonly last: [string, string]
}

/** Makes a counter, whose memory does not grow with the frames. */
export function countConversations() {
  const counts = { frames: 0, distinct: 0, repeated: 0 }
  const conversations = new Map<string, Conversation>()
  const remembered = new Map<string, number>()

  function remember(key: string, seconds: number): void {
    counts.distinct++
    const before = remembered.get(key)
    if (before !== undefined && Math.abs(seconds - before) <= longestBetween) counts.repeated++
    remembered.delete(key)
    remembered.set(key, seconds)
    dropOldest(remembered, mostRemembered)
  }

  function follow(frame: Buffer, packet: Packet): void {
    const ends = endsOf(frame, packet)
    if (ends === null) return
    const { source, destination, flags, segment } = ends
    const direction = source < destination ? 0 : 1
    const key = direction === 0 ? source + destination : destination + source
    // A scan that nobody answers is whole, and takes no room.
    const isCounted = (flags & ack) !== 0 && (flags & reset) === 0
    const known = conversations.get(key)
    if (known === undefined && !isCounted) return
    const conversation: Conversation = known ?? { counted: [0, 0], seen: [false, false], last: ['', ''] }
    conversations.set(key, conversation)
    conversation.seen[direction] = true
    // Whoever talks to a host that has died sends the same again and again.
    if (isCounted && conversation.last[direction] !== segment) conversation.counted[direction]++
    conversation.last[direction] = segment
    dropOldest(conversations, mostConversations)
  }

  return {
    /**
     * Takes a frame, as far as it is known.
     *
     * @param seconds when it came.
     * @param isFollowed both directions of its conversation should come.
     */
    count(frame: Buffer, seconds: number, isFollowed: boolean): void {
      counts.frames++
      const packet = readPacket(frame)
      const key = distinctKey(frame, packet)
      if (key !== null) remember(key, seconds)
      if (isFollowed && packet.protocol === tcp && !packet.isFragment) follow(frame, packet)
    },
    tally(): ConversationTally {
      const counted = [...conversations.values()].filter(({ counted: [one, other] }) => one + other >= fewestOneWay)
      const partOf = (some: readonly Conversation[]) => ({
        frames: some.reduce((sum, { counted: [one, other] }) => sum + one + other, 0),
        conversations: some.length
      })
      const oneSided = counted.filter(({ seen: [one, other] }) => !(one && other))
      return { ...counts, tcp: partOf(counted), oneSided: partOf(oneSided) }
    }
  }
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    break
  }
}

interface Segment {
  /** The ends, with their ports. */
  readonly source: string
  readonly destination: string
  readonly flags: number
  /** What is the same where it is sent again: its numbers and flags. */
  readonly segment: string
}

/** null: not all of it is known. */
function endsOf(frame: Buffer, { network, at, behind }: Packet): Segment | null {
  if (behind + shortestTcp > frame.length) return null
  const [from, bytes] = network === 'ipv4' ? [at + 12, 4] : [at + 8, 16]
  const part = (start: number, length: number) => frame.toString('latin1', start, start + length)
  return {
    source: part(from, bytes) + part(behind, 2),
    destination: part(from + bytes, bytes) + part(behind + 2, 2),
    flags: frame[behind + 13] ?? 0,
    segment: part(behind + 4, 10)
  }
}

/**
 * What is the same in each copy of a packet, and in no other packet that its sender sends at about that time: routers change its addresses of
 * Ethernet, tag, hop limit and checksum alone. null: others may have the same.
 */
function distinctKey(frame: Buffer, { network, at, protocol, behind, isFragment }: Packet): string | null {
  if (behind + 8 > frame.length) return null
  const content = frame.toString('latin1', behind, Math.min(behind + lookedBehind, frame.length))
  if (network === 'ipv4') {
    const header = frame.toString('latin1', at + 2, at + 8) + frame.toString('latin1', at + 9, at + 10)
    const key = header + frame.toString('latin1', at + 12, at + 20) + content
    // Without a number, the sender takes it for enough that the packet is not to be divided (RFC 6864).
    if (frame.readUInt16BE(at + 4) !== 0) return key
    return isTelling(frame, at + frame.readUInt16BE(at + 2), { protocol, behind, isFragment }) ? key : null
  }
  if (network !== 'ipv6') return null
  const payload = frame.readUInt16BE(at + 4)
  if (!isTelling(frame, at + 40 + payload, { protocol, behind, isFragment })) return null
  return frame.toString('latin1', at + 4, at + 6) + frame.toString('latin1', at + 8, at + 40) + content
}

/**
 * Whether the content alone tells a packet from others, which end there: a segment with data has a number, and of the datagrams, those are
 * no two alike that are long. Acknowledgements without data may well be.
 */
function isTelling(
  frame: Buffer,
  end: number,
  { protocol, behind, isFragment }: Pick<Packet, 'protocol' | 'behind' | 'isFragment'>
): boolean {
  if (isFragment) return false
  // A segment that keeps a connection alive has one byte.
  if (protocol === tcp) return end - behind > 4 * ((frame[behind + 12] ?? 0) >> 4) + 1
  return end - behind >= lookedBehind
}
