import { readCapture } from './read-capture.ts'

/** What a sample of the frames that an interface receives is made of: numbers, and nothing that is in a frame. */
export interface FrameTally {
  /** All of the sample. The others are numbers of them. */
  readonly frames: number
  /** Addressed to the interface itself. */
  readonly toOwn: number
  /** Broadcasts and multicasts. */
  readonly toGroups: number
  /** Addressed to one other interface. */
  readonly toOthers: number
  /** Distinct MAC addresses that send. */
  readonly senders: number
  /** Those of them that send a broadcast or a multicast. */
  readonly groupSenders: number
  /** The numbers of the VLANs whose tag a frame has outermost, in ascending order. */
  readonly vlans: readonly number[]
}

/** Bytes of a frame that a sample has: two addresses, two tags and a type take 22. */
export const sampledBytes = 64

/** The types of a VLAN tag: 802.1Q, 802.1ad, and what stood for that before. */
export const tagTypes = [0x8100, 0x88a8, 0x9100]

/** Where the fields of a frame are. */
const offsets = { source: 6, type: 12, tag: 14 } as const

/** The bit of the first byte of an address that is for several interfaces. */
const groupBit = 0x01

/** Counts the frames of a capture as it comes, in memory that does not grow with the bytes of it. */
export interface FrameCounter {
  /** Takes the next bytes. false: no more are of use. */
  push(chunk: Uint8Array): boolean
  /** null: it was no capture of Ethernet frames. */
  tally(): FrameTally | null
}

/**
 * Makes a counter.
 *
 * @param ownMac of the interface, as ip writes it.
 * @param most frames that are counted.
 */
export function countFrames(ownMac: string, most: number): FrameCounter {
  const own = Number.parseInt(ownMac.replaceAll(':', ''), 16)
  const counts = { frames: 0, toOwn: 0, toGroups: 0, toOthers: 0 }
  const [senders, groupSenders, vlans] = [new Set<number>(), new Set<number>(), new Set<number>()]

  function countFrame(frame: Buffer): void {
    counts.frames++
    // What is shorter has no addresses.
    if (frame.length < offsets.tag) return
    const sender = frame.readUIntBE(offsets.source, 6)
    senders.add(sender)
    const target = frame.readUIntBE(0, 6)
    if ((frame.readUInt8(0) & groupBit) !== 0) {
      counts.toGroups++
      groupSenders.add(sender)
    } else if (target === own) counts.toOwn++
    else counts.toOthers++
    if (!tagTypes.includes(frame.readUInt16BE(offsets.type)) || frame.length < offsets.tag + 2) return
    const vlan = frame.readUInt16BE(offsets.tag) & 0xfff
    // 0: the tag has a priority, and no VLAN.
    if (vlan !== 0) vlans.add(vlan)
  }

  const reader = readCapture(sampledBytes, (frame) => {
    countFrame(frame)
    return counts.frames < most
  })
  return {
    push: reader.push,
    tally() {
      if (!reader.isSound()) return null
      const inOrder = [...vlans].sort((one, other) => one - other)
      return { ...counts, senders: senders.size, groupSenders: groupSenders.size, vlans: inOrder }
    }
  }
}
