import type { Program } from '../../host/snapshot.ts'
import { type FlowHash, flowHashes } from '../../spec/items/balance.ts'
import { type Assembled, asm, assembleOnce, fillIn, readOperand } from './assemble.ts'
import { hashFrames } from './hash-frames.ts'
import { accepting, type Instruction, parseProgram, printProgram } from './instructions.ts'
import { isBefore } from './join-programs.ts'

/** Each flow is in one of so many buckets. */
export const bucketCount = 256

/** A set of buckets, by their numbers from 0. */
export type Buckets = ReadonlySet<number>

/** A part of all frames: the flows in some of the buckets. */
export interface Share {
  readonly hash: FlowHash
  readonly buckets: Buckets
  /** Whether what has no bucket is in it: what is not IP, or cut before its addresses end. */
  readonly rest: boolean
}

/** The bits of a word, as a power of 2. */
const wordBits = 5

/** The words that the set is written in. */
const words = Array.from({ length: bucketCount >>> wordBits }, (_, word) => word)

/**
 * Writes the program that accepts a share.
 *
 * If several shares have each bucket once, and one of them has the rest, each frame is in exactly one share, whatever its bytes.
 */
export function writeShare(share: Share): Program {
  return printProgram(instructionsOf(share))
}

/** Reads the share that a program ends with, also if others are joined before it; null: it ends with none. */
export function readShare(program: Program): Share | null {
  return findShare(parseProgram(program))?.share ?? null
}

/** Replaces the share that a program ends with. A program without a share stays as it is. */
export function replaceShare(program: Program, share: Share): Program {
  const instructions = parseProgram(program)
  const start = findShare(instructions)?.start
  return start === undefined ? program : printProgram([...instructions.slice(0, start), ...instructionsOf(share)])
}

/** Finds the share that a program ends with, and where it begins. */
export function findShare(
  instructions: readonly Instruction[]
): { readonly share: Share; readonly start: number } | null {
  for (const hash of flowHashes) {
    const template = templateOf(hash)
    const start = instructions.length - template.instructions.length
    const share = { hash, ...readOperands(template, instructions.slice(Math.max(start, 0))) }
    if (isBefore(instructions.length, instructionsOf(share), instructions)) return { share, start }
  }
  return null
}

/** The programs of all shares of one hash are the same but for the words of the set, and what becomes of the rest. */
const templateOf = assembleOnce((hash: FlowHash) => asm`${hashFrames(hash)}${findBucket}`)

/** Accepts the flows in the set, and the rest if the operand at `rest` is not 0. The words of the set are the operands at `word0` to `word7`. */
const findBucket = asm`
    ${chooseWord(7, words)}
  rest:
    ret #0
  accept:
    ret #${accepting}
  refuse:
    ret #0`

/** A tree of jumps to the word of a bucket: each of the bucket's upper bits, from the highest, chooses half of the words. */
function chooseWord(bit: number, among: readonly number[]): string {
  const [first = 0] = among
  if (among.length === 1) {
    return asm`
    and #${2 ** wordBits - 1}
    tax
  word${first}:
    ld #0
    rsh x
    jset #1, accept, refuse`
  }
  const half = among.length / 2
  return asm`
    jset #${2 ** bit}, from${first + half}
    ${chooseWord(bit - 1, among.slice(0, half))}
  from${first + half}:
    ${chooseWord(bit - 1, among.slice(half))}`
}

function instructionsOf({ hash, buckets, rest }: Share): Instruction[] {
  const set = words.map((word) => [`word${word}`, writeWord(buckets, word)])
  return fillIn(templateOf(hash), { ...Object.fromEntries(set), rest: rest ? accepting : 0 })
}

function writeWord(buckets: Buckets, word: number): number {
  const bits = [...buckets].filter((bucket) => bucket >>> wordBits === word)
  return bits.reduce((sum, bucket) => sum + 2 ** (bucket % 2 ** wordBits), 0)
}

function readOperands(template: Assembled, filled: readonly Instruction[]): Pick<Share, 'buckets' | 'rest'> {
  const buckets = words.flatMap((word) => readWord(readOperand(template, `word${word}`, filled), word))
  return { buckets: new Set(buckets), rest: readOperand(template, 'rest', filled) !== 0 }
}

function readWord(bits: number, word: number): number[] {
  const numbers = Array.from({ length: 2 ** wordBits }, (_, bit) => bit)
  return numbers.filter((bit) => (bits >>> bit) % 2 === 1).map((bit) => word * 2 ** wordBits + bit)
}
