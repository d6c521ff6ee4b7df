/**
 * Runs classic BPF programs as the kernel does, and is as strict as its checker (bpf_check_classic() in net/core/filter.c). It shares nothing
 * with what `filter test` judges by, which is held against it.
 */
import type { Program } from '../../../src/host/snapshot.ts'
import { type Instruction, parseProgram } from '../../../src/resources/programs/instructions.ts'

/** What a program sees. */
export interface Seen {
  readonly frame: Buffer
  /** An outer VLAN tag that is beside the frame: its TCI. */
  readonly tag?: number
  readonly random?: number
}

export interface Verdict {
  readonly result: number
  /** Whether a load beyond the frame's end has ended the program. */
  readonly isCut: boolean
}

const cut = Symbol('a load beyond the end')
const wordCount = 16
const longest = 4096

type Alu = (a: number, b: number) => number

const calculations: Readonly<Record<number, Alu>> = {
  0: (a, b) => a + b,
  1: (a, b) => a - b,
  2: Math.imul,
  3: (a, b) => Math.trunc(a / b),
  4: (a, b) => a | b,
  5: (a, b) => a & b,
  6: (a, b) => a << b,
  7: (a, b) => a >>> b,
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

/** All that the kernel takes, but what reads beside the frame. */
const known = new Set([
  ...[0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60, 0x81, 0x01, 0x61, 0xb1, 0x02, 0x03, 0x07, 0x87, 0x06, 0x16],
  ...[0, 1, 2, 3, 4, 5, 6, 7, 9, 10].flatMap((operation) => [operation * 16 + 0x04, operation * 16 + 0x0c]),
  ...[0x84, 0x05],
  ...[1, 2, 3, 4].flatMap((test) => [test * 16 + 0x05, test * 16 + 0x0d])
])

/** Throws where the kernel refuses a program. */
export function checkProgram(program: Program): void {
  const instructions = parseProgram(program)
  if (Number(program.split(',')[0]) !== instructions.length || instructions.length > longest)
    throw new Error('its length')
  for (const [index, { code, jt, jf, k }] of instructions.entries()) {
    const isWithin = (skip: number) => index + 1 + skip < instructions.length
    const isWrong =
      !known.has(code) ||
      (code === 0x05 && !isWithin(k)) ||
      (code % 8 === 5 && code !== 0x05 && ![jt, jf].every((skip) => skip < 256 && isWithin(skip))) ||
      ([0x34, 0x94].includes(code) && k === 0) ||
      ([0x64, 0x74].includes(code) && k >= 32) ||
      ([0x02, 0x03, 0x60, 0x61].includes(code) && k >= wordCount)
    if (isWrong) throw new Error(`instruction ${index}: ${[code, jt, jf, k].join(' ')}`)
  }
  if (![0x06, 0x16].includes(instructions.at(-1)?.code ?? 0)) throw new Error('its end')
  checkWords(instructions)
}

/** Every word of the scratch memory is written before it is read, whatever way leads there. */
function checkWords(instructions: readonly Instruction[]): void {
  const arriving = new Map<number, number>()
  const all = 2 ** wordCount - 1
  const arrive = (index: number, written: number) => arriving.set(index, (arriving.get(index) ?? all) & written)
  arrive(0, 0)
  for (const [index, { code, jt, jf, k }] of instructions.entries()) {
    const written = arriving.get(index) ?? all
    if ((code === 0x60 || code === 0x61) && (written & (1 << k)) === 0)
      throw new Error(`${index} reads M[${k}] too early`)
    if (code === 0x05) arrive(index + 1 + k, written)
    else if (code % 8 === 5) for (const skip of [jt, jf]) arrive(index + 1 + skip, written)
    else if (code !== 0x06 && code !== 0x16)
      arrive(index + 1, code === 0x02 || code === 0x03 ? written | (1 << k) : written)
  }
}

/** Runs a program. Unlike the kernel, it throws if A or X is read before it is written. */
export function runProgram(program: Program, seen: Seen): Verdict {
  return runInstructions(parseProgram(program), seen)
}

/** The same, without reading the program again for each frame. */
export function runInstructions(instructions: readonly Instruction[], seen: Seen): Verdict {
  try {
    return { result: run(instructions, seen), isCut: false }
  } catch (error) {
    if (error === cut) return { result: 0, isCut: true }
    throw error
  }
}

function run(instructions: readonly Instruction[], seen: Seen): number {
  let a: number | undefined
  let x: number | undefined
  const words: (number | undefined)[] = []
  const known = (value: number | undefined): number => {
    if (value === undefined) throw new Error('what was not written is read')
    return value
  }
  for (let index = 0; ; index++) {
    const instruction = instructions[index]
    if (instruction === undefined) throw new Error('it runs beyond its end')
    const { code, jt, jf, k } = instruction
    const operand = () => ((code & 0x08) === 0 ? k : known(x))
    const size = ([4, 2, 1] as const)[(code >> 3) & 3] ?? 4
    switch (code & 0x07) {
      case 0:
        if (code >> 5 === 0) a = k
        else if (code >> 5 === 1) a = load(seen, k, size)
        else if (code >> 5 === 2) a = load(seen, (known(x) + k) >>> 0, size)
        else if (code >> 5 === 3) a = known(words[k])
        else a = seen.frame.length
        break
      case 1:
        if (code >> 5 === 0) x = k
        else if (code >> 5 === 3) x = known(words[k])
        else if (code >> 5 === 4) x = seen.frame.length
        else x = 4 * (load(seen, k, 1) & 0xf)
        break
      case 2:
        words[k] = known(a)
        break
      case 3:
        words[k] = known(x)
        break
      case 4: {
        const b = code === 0x84 ? 0 : operand()
        const operation = code >> 4
        // The kernel ends a program that divides by a register of 0.
        if ((operation === 3 || operation === 9) && b === 0) return 0
        if ((operation === 6 || operation === 7) && b >= 32) throw new Error(`a shift by ${b}`)
        a = (calculations[operation]?.(known(a), b) ?? Number.NaN) >>> 0
        break
      }
      case 5:
        if (code === 0x05) index += k
        else index += tests[code >> 4]?.(known(a), operand()) ? jt : jf
        break
      case 6:
        return code === 0x16 ? known(a) : k
      default:
        if (code === 0x07) x = known(a)
        else a = known(x)
    }
  }
}

function load({ frame, tag, random = 0 }: Seen, offset: number, size: 1 | 2 | 4): number {
  if (offset >= 0xfffff000) {
    const beside: Readonly<Record<number, number>> = {
      44: tag ?? 0,
      48: tag === undefined ? 0 : 1,
      56: random,
      60: tag === undefined ? 0 : 0x8100
    }
    const value = beside[offset - 0xfffff000]
    if (value === undefined) throw new Error(`what is beside the frame at ${offset}`)
    return value
  }
  if (offset + size > frame.length) throw cut
  return frame.readUIntBE(offset, size)
}
