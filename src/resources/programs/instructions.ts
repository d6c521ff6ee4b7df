import type { Program } from '../../host/snapshot.ts'

/** One instruction of a classic BPF program (struct sock_filter in linux/filter.h). */
export interface Instruction {
  readonly code: number
  /** How many instructions a conditional jump skips if its test holds: 255 at most. */
  readonly jt: number
  /** The same if it does not. */
  readonly jf: number
  /** The operand. An unconditional jump skips as many instructions: 32 bits. */
  readonly k: number
}

/** The result that accepts a frame: for cls_bpf, -1 means the class of the filter itself. */
export const accepting = 0xffffffff

/** Instructions that end a program, or lead on. */
export const codes = { jump: 0x05, jumpIfEqual: 0x15, return: 0x06, returnA: 0x16 } as const

/** Reads the instructions of a program as tc and tcpdump write it: `N,code jt jf k,…`. */
export function parseProgram(program: Program): Instruction[] {
  const [, ...lines] = program.split(',')
  return lines.map((line) => {
    const [code = 0, jt = 0, jf = 0, k = 0] = line.trim().split(' ').map(Number)
    return { code, jt, jf, k }
  })
}

/** Writes a program as tc reads it. */
export function printProgram(instructions: readonly Instruction[]): Program {
  return [instructions.length, ...instructions.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`)].join(',')
}

/** An unconditional jump. */
export function leap(k: number): Instruction {
  return { code: codes.jump, jt: 0, jf: 0, k }
}
