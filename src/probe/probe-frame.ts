import { headSize, markSize, type OutgoingFrame, probeType } from '../host/traffic/exchange-frames.ts'
import type { SeenFrame } from '../resources/programs/run-program.ts'

/**
 * The addresses of a probe's frames: unicast, locally administered, and nobody's. They are always the same, so that a switch behind an
 * output learns one address and not one for each probe.
 */
const probeAddresses = { destination: '06:73:70:61:6e:02', source: '06:73:70:61:6e:01' } as const

/** Bytes of a MAC header, which no MTU counts. */
export const macHeader = 14

/** Sizes that every Ethernet has: the smallest frame, and the largest of 1,500 bytes of content. Without the checksum. */
const usualSizes = [60, 1514]

/** The sizes of a probe's frames, in rising order: the usual ones, and the largest that the MTU lets through. */
export function probeSizes(mtu: number): number[] {
  const largest = mtu + macHeader
  const sizes = [...usualSizes.filter((size) => size <= largest), Math.max(largest, usualSizes[0] ?? 0)]
  return [...new Set(sizes)].sort((one, other) => one - other)
}

/** The first bytes of a frame: addresses, type, the mark of the probe, and the number of the frame. */
export function makeHead(mark: Buffer, number: number): Buffer {
  const head = Buffer.alloc(headSize)
  head.write(probeAddresses.destination.replaceAll(':', ''), 0, 'hex')
  head.write(probeAddresses.source.replaceAll(':', ''), 6, 'hex')
  head.writeUInt16BE(probeType, 12)
  mark.copy(head, macHeader, 0, markSize)
  head.writeUInt16BE(number, macHeader + markSize)
  return head
}

/** A frame as the host's tc sees it. */
export function asSeen({ head, size }: Pick<OutgoingFrame, 'head' | 'size'>): SeenFrame {
  return { byteAt: (offset) => head[offset] ?? (offset - headSize) & 0xff, known: size, size, tag: null }
}
