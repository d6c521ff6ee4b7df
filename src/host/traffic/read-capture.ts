/** Of a capture file and of each record in it, as pcap-savefile(5) has them. */
const sizes = { file: 24, record: 16 } as const

/** The parts of a second that a capture file counts, by its magic number. */
const fractions: ReadonlyMap<number, number> = new Map([
  [0xa1b2c3d4, 1e6],
  [0xa1b23c4d, 1e9]
])

const ethernet = 1

/** Reads a capture of Ethernet frames as it comes, in memory that does not grow with it. */
export interface CaptureReader {
  /** Takes the next bytes. false: no more are of use. */
  push(chunk: Uint8Array): boolean
  /** Whether it is, so far, a capture of Ethernet frames. */
  isSound(): boolean
  /** Whether not even its beginning has come. */
  isEmpty(): boolean
}

/**
 * Makes a reader.
 *
 * @param longest bytes of a frame that the capture has: a longer record cannot be.
 * @param onFrame takes a frame, as far as the capture has it, the number of bytes that it had, and when it was captured, in seconds since
 *   1970. false: no more are of use.
 */
export function readCapture(
  longest: number,
  onFrame: (frame: Buffer, size: number, seconds: number) => boolean
): CaptureReader {
  let rest: Buffer = Buffer.alloc(0)
  /** How the file writes its numbers; null: its beginning has not come yet. */
  let isLittle: boolean | null = null
  let fraction = 1
  let isBroken = false
  let isEnough = false

  const read = (offset: number) => (isLittle ? rest.readUInt32LE(offset) : rest.readUInt32BE(offset))

  function readStart(): void {
    isLittle = fractions.has(rest.readUInt32LE(0))
    fraction = fractions.get(read(0)) ?? 0
    isBroken = fraction === 0 || (read(20) & 0xffff) !== ethernet
    rest = rest.subarray(sizes.file)
  }

  function readRecords(): void {
    while (!isBroken && !isEnough && rest.length >= sizes.record) {
      const length = read(8)
      isBroken = length > longest
      if (isBroken || rest.length < sizes.record + length) return
      const seconds = read(0) + read(4) / fraction
      isEnough = !onFrame(rest.subarray(sizes.record, sizes.record + length), read(12), seconds)
      rest = rest.subarray(sizes.record + length)
    }
  }

  return {
    push(chunk) {
      rest =
        rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk])
      if (isLittle === null && rest.length >= sizes.file) readStart()
      if (isLittle !== null) readRecords()
      return !isBroken && !isEnough
    },
    isSound: () => isLittle !== null && !isBroken,
    isEmpty: () => isLittle === null
  }
}
