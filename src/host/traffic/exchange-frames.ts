import { type Argv, commandFailed, run } from '../exec.ts'
import { confine } from './confine.ts'
import { frameScript } from './frame-script.ts'

/** A frame to send. */
export interface OutgoingFrame {
  /** The index of the link by which it leaves. */
  readonly link: number
  /** What it begins with, up to {@link headSize}. It goes on with 0, 1, 2 … 255, 0 …. */
  readonly head: Buffer
  /** Bytes that it has, without the checksum that the hardware adds. */
  readonly size: number
}

/** Frames to send, and where to look for them. */
export interface Exchange {
  /** By their number, which is in each of them. */
  readonly frames: readonly OutgoingFrame[]
  /** The bytes after the EtherType, by which they are known. */
  readonly mark: Buffer
  /** The indexes of the links where frames are looked for as they leave. */
  readonly ears: readonly number[]
  /** How often frames are to be seen: once they were, nobody waits any longer. */
  readonly expected: number
}

/** A frame that was seen to leave by a link. */
export interface Sighting {
  readonly link: number
  /** Its number. */
  readonly frame: number
  /** Bytes that it had. */
  readonly size: number
  /** Every byte is as it was sent. */
  readonly isWhole: boolean
  /** When, in nanoseconds of the kernel's clock. */
  readonly time: bigint
}

/** What came of an exchange. */
export interface Exchanged {
  readonly sightings: readonly Sighting[]
  /** Why a frame could not be sent, by its number. */
  readonly unsent: ReadonlyMap<number, string>
  /** Why nobody could look at a link, by its index. */
  readonly deaf: ReadonlyMap<number, string>
}

/** Local experimental EtherType 1 (IEEE 802): nobody's protocol has it. */
export const probeType = 0x88b5

/** Bytes: the addresses and the type, the mark, and the number. */
export const [markSize, headSize] = [16, 32]

const typeOffset = 12

/** Links that one process looks at: a socket each, and select() takes 1,024 descriptors. */
export const mostEars = 200

/** Seconds to wait for a frame: most are seen before the call that sends them returns. */
const patience = 1

/** Milliseconds for all of it. */
const timeLimit = 20_000

/** Bytes that it may print: a line has some 60. */
const mostBytes = 4 * 1024 * 1024

/** `-T`: no variable of the environment may add code. */
const perl: Argv = ['perl', '-T', '-e', frameScript]

/**
 * Sends frames by links of the host, and looks where they leave it, after the hooks of tc and the queue. It runs as nobody, with no right
 * but that to raw sockets, and changes nothing.
 *
 * @throws SpanplanError PROGRAM_MISSING, or that perl has failed.
 */
export async function exchangeFrames(exchange: Exchange, cancel?: AbortSignal): Promise<Exchanged> {
  const argv: Argv = [...confine, ...perl]
  const limits = { milliseconds: timeLimit, bytes: mostBytes, ...(cancel && { cancel }) }
  const output = await run(argv, writeExchange(exchange), limits)
  if (output.status === 0) return readExchanged(output.stdout)
  // setpriv says of a missing program only that it cannot run it.
  await run(['perl', '-e', '1'])
  throw commandFailed(['perl'], output)
}

/** What the program reads. */
export function writeExchange({ frames, mark, ears, expected }: Exchange): string {
  return [
    `filter ${writeMarkFilter(mark)}`,
    ...ears.map((link) => `hear ${link}`),
    ...frames.map(({ link, size, head }) => `send ${link} ${size} ${head.toString('hex')}`),
    `wait ${patience} ${expected}`,
    ''
  ].join('\n')
}

/**
 * The instructions that take the frames with a mark, as classic BPF: code, jt, jf, k. Of one with a VLAN tag, which the kernel has beside the
 * frame, they take the head alone: it is not as it was sent.
 */
function writeMarkFilter(mark: Buffer): string {
  const tests = [
    { load: 0x28, offset: typeOffset, value: probeType },
    ...Array.from({ length: mark.length / 4 }, (_, word) => ({
      load: 0x20,
      offset: typeOffset + 2 + 4 * word,
      value: mark.readUInt32BE(4 * word)
    }))
  ]
  // SKF_AD_VLAN_TAG_PRESENT, of linux/filter.h.
  const ends = ['48 0 0 4294963248', '21 0 1 0', '6 0 0 262144', `6 0 0 ${headSize}`, '6 0 0 0']
  // A frame that has another value leaps to the last line, which refuses it.
  const lines = tests.flatMap(({ load, offset, value }, index) => [
    `${load} 0 0 ${offset}`,
    `21 0 ${2 * (tests.length - 1 - index) + ends.length - 1} ${value}`
  ])
  return [...lines, ...ends].join(',')
}

/** What the program has said. A line that is not understood is none of its. */
export function readExchanged(text: string): Exchanged {
  const sightings: Sighting[] = []
  const [unsent, deaf] = [new Map<number, string>(), new Map<number, string>()]
  for (const line of text.split('\n')) {
    const [what = '', first = '', ...rest] = line.split(' ')
    if (what === 'unsent') unsent.set(Number(first), rest.join(' '))
    else if (what === 'deaf') deaf.set(Number(first), rest.join(' '))
    else if (what === 'seen') {
      const [frame, size, same, time = ''] = rest
      const isWhole = same === '1'
      sightings.push({
        ...{ link: Number(first), frame: Number(frame), size: Number(size), isWhole },
        time: BigInt(time.replace('.', ''))
      })
    }
  }
  return { sightings, unsent, deaf }
}
