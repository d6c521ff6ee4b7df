import type { Program } from '../../host/snapshot.ts'
import { type Assembled, asm, assemble, fillIn, readOperand } from './assemble.ts'
import { hashFrames } from './hash-frames.ts'
import { accepting, type Instruction, parseProgram, printProgram } from './instructions.ts'
import { isBefore } from './join-programs.ts'
import { findShare } from './share-program.ts'

/** So many of so many: 1 of 10. */
export interface Ratio {
  readonly take: number
  /** At most 65,536: of the 24 bits that decide about a flow, the remainder stays even to 0.4 %. */
  readonly of: number
}

/** A sample: of whole flows, or of single frames. */
export interface Sample extends Ratio {
  readonly kind: 'flows' | 'frames'
}

/**
 * Writes the program that accepts a sample of all flows, of each both directions and all fragments, and all that is not IP. A flow's
 * bucket depends on other bits of the hash, so that a sample is spread over the buckets as all flows are.
 */
export function sampleFlows(ratio: Ratio): Program {
  return printProgram(writeSample({ kind: 'flows', ...ratio }))
}

/** Writes the program that accepts single frames at random. */
export function sampleFrames(ratio: Ratio): Program {
  return printProgram(writeSample({ kind: 'frames', ...ratio }))
}

/** Reads which sample a program ends with, or has before its share, also behind others that it is joined of; null: none. */
export function readSample(program: Program): Sample | null {
  const instructions = parseProgram(program)
  const end = findShare(instructions)?.start ?? instructions.length
  for (const kind of ['flows', 'frames'] as const) {
    const template = templateOf(kind)
    const found = instructions.slice(Math.max(end - template.instructions.length, 0), end)
    const sample = { kind, take: readOperand(template, 'take', found), of: readOperand(template, 'of', found) }
    if (isBefore(end, writeSample(sample), instructions)) return sample
  }
  return null
}

function writeSample({ kind, take, of }: Sample): Instruction[] {
  return fillIn(templateOf(kind), { take, of })
}

const templates = new Map<Sample['kind'], Assembled>()

function templateOf(kind: Sample['kind']): Assembled {
  const template = templates.get(kind) ?? assemble(asm`${numbers[kind]()}${decide}`)
  templates.set(kind, template)
  return template
}

/** What the lines leave in A. */
const numbers = {
  flows: () => asm`${hashFrames('addresses')}
    rsh #8`,
  frames: () => asm`ld rand`
} as const satisfies Record<Sample['kind'], () => string>

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
