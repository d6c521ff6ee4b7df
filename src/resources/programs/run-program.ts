import { type Instruction, parseProgram } from './instructions.ts'

/** A frame as the host's tc sees it, of which only the beginning may be known. */
export interface SeenFrame {
  /** Its bytes, from the beginning on, without the tag that is beside it. */
  readonly byteAt: (offset: number) => number
  /** Bytes that are known. */
  readonly known: number
  /** Bytes that it has. */
  readonly size: number
  /** The VLAN tag that is beside it: its type, and its control information; null: none is. */
  readonly tag: { readonly type: number; readonly control: number } | null
}

/** Bytes at the beginning of a frame that no tag comes before, and those of a tag. */
const [addresses, tagSize] = [12, 4]

/** The types of tags that the kernel takes out of the frame: 802.1Q and 802.1ad. */
const takenOut: ReadonlySet<number> = new Set([0x8100, 0x88a8])

/** A frame of a capture as tc sees it: libpcap puts the outermost tag back where it was, and the kernel has it beside the frame. */
export function seenByTc(frame: Buffer, size: number): SeenFrame {
  const type = frame.length >= addresses + tagSize ? frame.readUInt16BE(addresses) : 0
  if (!takenOut.has(type)) return { byteAt: (offset) => frame[offset] ?? 0, known: frame.length, size, tag: null }
  return {
    byteAt: (offset) => frame[offset < addresses ? offset : offset + tagSize] ?? 0,
    known: frame.length - tagSize,
    size: size - tagSize,
    tag: { type, control: frame.readUInt16BE(addresses + 2) }
  }
}

/** Whether a program accepts a frame; `unknown`: that depends on what is not known of the frame. */
export type Verdict = 'accepted' | 'refused' | 'unknown'

/** What a program asks that is not known. */
const unknown = Symbol('what is not known')
/** A load behind the end of a frame: the kernel ends the program, which refuses the frame. */
const beyond = Symbol('behind the end')

/** Loads from there on are of what is beside the frame (SKF_AD_OFF in linux/filter.h). */
const beside = 0xfffff000
/** Loads from there on, and before that, are of headers by another offset: SKF_LL_OFF. libpcap uses none. */
const special = 0xffe00000

/** What is beside a frame, by the SKF_AD_ of linux/filter.h. */
const besides: Readonly<Record<number, (tag: SeenFrame['tag']) => number>> = {
  44: (tag) => tag?.control ?? 0,
  48: (tag) => (tag === null ? 0 : 1),
  60: (tag) => tag?.type ?? 0
}

const calculations: Readonly<Record<number, (a: number, b: number) => number>> = {
  0: (a, b) => a + b,
  1: (a, b) => a - b,
  2: Math.imul,
  3: (a, b) => Math.trunc(a / b),
  4: (a, b) => a | b,
  5: (a, b) => a & b,
  6: (a, b) => (b < 32 ? a << b : 0),
  7: (a, b) => (b < 32 ? a >>> b : 0),
  8: (a) => -a,
  9: (a, b) => a % b,
  10: (a, b) => a ^ b
}

const tests: Readonly<Record<number, (a: number, b: number) => boolean>> = {
  1: (a, b) => a === b,
  2: (a, b) => a > b,
  3: (a, b) => a >= b,
  4: (a, b) => (a & b) !== 0
}

/** Makes the judge of a classic BPF program, as tc and tcpdump write it. It does with a frame what the kernel does. */
export function judgeBy(program: string): (frame: SeenFrame) => Verdict {
  const instructions = parseProgram(program)
  return (frame) => {
    const result = run(instructions, frame)
    return typeof result === 'number'
      ? result === 0
        ? 'refused'
        : 'accepted'
      : result === beyond
        ? 'refused'
        : 'unknown'
  }
}

function load({ byteAt, known, size, tag }: SeenFrame, offset: number, bytes: number): number | symbol {
  if (offset >= beside) return besides[offset - beside]?.(tag) ?? unknown
  if (offset >= special) return unknown
  if (offset + bytes > size) return beyond
  if (offset + bytes > known) return unknown
  let value = 0
  for (let at = offset; at < offset + bytes; at++) value = value * 256 + byteAt(at)
  return value
}

/** How many bytes a load has, by its code. */
const loadSizes = [4, 2, 1, 0] as const

/** The result of a program; or why it has none. Jumps lead forward only, so it ends. */
function run(instructions: readonly Instruction[], frame: SeenFrame): number | symbol {
  let [a, x] = [0, 0]
  const words = new Array<number>(16).fill(0)
  for (let index = 0; index < instructions.length; index++) {
    const { code, jt, jf, k } = instructions[index] ?? { code: -1, jt: 0, jf: 0, k: 0 }
    const operand = (code & 0x08) === 0 ? k : x
    const mode = code >> 5
    let value: number | symbol = a
    switch (code & 0x07) {
      case 0:
      case 1: {
        const isLoad = mode === 1 || mode === 2
        if (mode === 0) value = k
        else if (isLoad) value = load(frame, mode === 1 ? k : (x + k) >>> 0, loadSizes[(code >> 3) & 3] ?? 0)
        else if (mode === 3) value = words[k] ?? 0
        else if (mode === 4) value = frame.size
        else {
          const length = load(frame, k, 1)
          value = typeof length === 'number' ? 4 * (length & 0xf) : length
        }
        if (typeof value !== 'number') return value
        if ((code & 0x07) === 0) a = value
        else x = value
        break
      }
      case 2:
        words[k] = a
        break
      case 3:
        words[k] = x
        break
      case 4: {
        const operation = code >> 4
        // The kernel ends a program that divides by 0.
        if ((operation === 3 || operation === 9) && operand === 0) return 0
        a = (calculations[operation]?.(a, operand) ?? 0) >>> 0
        break
      }
      case 5:
        if (code >> 4 === 0) index += k
        else index += tests[code >> 4]?.(a, operand) ? jt : jf
        break
      case 6:
        return (code & 0x10) === 0 ? k : a
      default:
        if (code < 0) return unknown
        if ((code & 0x80) === 0) x = a
        else a = x
    }
  }
  return unknown
}
