import type { Program } from '../../host/snapshot.ts'
import { everyFrame } from '../../host/tc-conventions.ts'
import { codes, type Instruction, leap, parseProgram, printProgram } from './instructions.ts'

/** What follows a program that returns A: if A is 0, the frame is refused, as before; else the next program follows. */
const judgeA: readonly Instruction[] = [
  { code: codes.jumpIfEqual, jt: 0, jf: 1, k: 0 },
  { code: codes.return, jt: 0, jf: 0, k: 0 }
]

/**
 * Joins programs to one that accepts the frames that all of them accept. Its results are those of the last program.
 *
 * No program may rely on A and X being 0 when it begins. The programs of libpcap do not.
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
 * Has the frames that a program accepts go on to what follows it. Each `ret` becomes one jump, so no other jump of the program changes.
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
 * Whether a joined program has a part that ends right before an index. If more follows there, the part has jumps to the index in place
 * of the returns that accept.
 */
export function isBefore(end: number, part: readonly Instruction[], whole: readonly Instruction[]): boolean {
  const start = end - part.length
  const joined = end === whole.length ? part : leadOn(part)
  return start >= 0 && printProgram(whole.slice(start, end)) === printProgram(joined)
}

function isAccepting({ code, k }: Instruction): boolean {
  return code === codes.return && k !== 0
}
