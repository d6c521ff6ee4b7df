import type { Program } from '../../host/snapshot.ts'
import { everyFrame } from '../../host/tc-conventions.ts'
import { codes, type Instruction, leap, parseProgram, printProgram } from './instructions.ts'

/** Behind a program that returns A: 0 refuses the frame, as it did before, and all else leads on. */
const judgeA: readonly Instruction[] = [
  { code: codes.jumpIfEqual, jt: 0, jf: 1, k: 0 },
  { code: codes.return, jt: 0, jf: 0, k: 0 }
]

/**
 * Joins programs to one that accepts the frames that each of them accepts. The last one's results are its results.
 *
 * No program may rely on A and X being 0 when it begins. libpcap's never read what they have not written.
 */
export function joinPrograms(programs: readonly Program[]): Program {
  const narrowing = programs.filter((program) => program !== everyFrame)
  const [last, ...others] = narrowing.toReversed()
  if (last === undefined) return everyFrame
  if (others.length === 0) return last
  const before = others.toReversed().flatMap((program) => leadOn(parseProgram(program)))
  return printProgram([...before, ...parseProgram(last)])
}

/**
 * Makes what a program accepts go on behind the program. Each `ret` is replaced by one jump, so that all jumps within the program
 * stay as they are.
 */
function leadOn(instructions: readonly Instruction[]): Instruction[] {
  const behind = instructions.some(({ code }) => code === codes.returnA) ? judgeA : []
  const end = instructions.length
  const replaced = instructions.map((instruction, index) => {
    if (instruction.code === codes.returnA) return leap(end - index - 1)
    return isAccepting(instruction) ? leap(end + behind.length - index - 1) : instruction
  })
  return [...replaced, ...behind]
}

/**
 * Whether a part is in a joined program, right before an index. If more follows, jumps to that index are in the place of what accepts
 * frames.
 */
export function isBefore(end: number, part: readonly Instruction[], whole: readonly Instruction[]): boolean {
  const start = end - part.length
  const joined = end === whole.length ? part : leadOn(part)
  return start >= 0 && printProgram(whole.slice(start, end)) === printProgram(joined)
}

function isAccepting({ code, k }: Instruction): boolean {
  return code === codes.return && k !== 0
}
