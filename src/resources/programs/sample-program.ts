import type { Program } from '../../host/snapshot.ts'
import type { SampleSpec } from '../../spec/items/share-keys.ts'
import { asm, assembleOnce, fillIn, readOperand } from './assemble.ts'
import { hashFrames } from './hash-frames.ts'
import { accepting, type Instruction, parseProgram, printProgram } from './instructions.ts'
import { isBefore } from './join-programs.ts'
import { findShare } from './share-program.ts'

/**
 * Writes the program that accepts a sample of the frames.
 *
 * `flows`: a part of all flows, with both directions and all fragments of each, and all frames that are not IP. Other bits of the hash
 * decide about a flow's bucket, so the flows of a sample are spread over the buckets as all flows are. `of` is at most 65,536: of the 24
 * bits of the hash that decide, the remainder is even to 0.4 % then.
 *
 * `frames`: single frames at random.
 */
export function writeSample(sample: SampleSpec): Program {
  return printProgram(instructionsOf(sample))
}

/** Reads the sample that a program ends with, or that comes before its share; null: the program has none. */
export function readSample(program: Program): SampleSpec | null {
  const instructions = parseProgram(program)
  const end = findShare(instructions)?.start ?? instructions.length
  for (const kind of ['flows', 'frames'] as const) {
    const template = templateOf(kind)
    const found = instructions.slice(Math.max(end - template.instructions.length, 0), end)
    const sample = { kind, take: readOperand(template, 'take', found), of: readOperand(template, 'of', found) }
    if (isBefore(end, instructionsOf(sample), instructions)) return sample
  }
  return null
}

function instructionsOf({ kind, take, of }: SampleSpec): Instruction[] {
  return fillIn(templateOf(kind), { take, of })
}

const templateOf = assembleOnce((kind: SampleSpec['kind']) => asm`${numbers[kind]()}${decide}`)

/** What the lines leave in A. */
const numbers = {
  flows: () => asm`${hashFrames('addresses')}
    rsh #8`,
  frames: () => asm`ld rand`
} as const satisfies Record<SampleSpec['kind'], () => string>

/** The remainder of A decides, with the ratio in the operands at `of` and `take`. */
const decide = asm`
  of:
    mod #1
  take:
    jge #1, refuse
  rest:
    ret #${accepting}
  refuse:
    ret #0`
