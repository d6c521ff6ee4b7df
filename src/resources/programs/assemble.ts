import { codes, type Instruction, leap } from './instructions.ts'

/** An assembled program. */
export interface Assembled {
  readonly instructions: readonly Instruction[]
  /** By label: the index of the instruction that follows it. */
  readonly labels: ReadonlyMap<string, number>
}

/** Operands, by the labels of their instructions. */
export type Operands = Readonly<Record<string, number>>

/** Marks text as lines for {@link assemble}: no user reads it. */
export const asm = String.raw

/** A line that is an instruction. */
type Line = Operation | Jump

interface Operation {
  readonly code: number
  readonly k: number
}

interface Jump extends Operation {
  /** Labels; null: the next line. An unconditional jump has the first alone. */
  readonly targets: readonly [string | null, string | null]
}

/** Whether each target of a conditional jump is too far away, so that it needs an unconditional jump behind it. */
type Far = readonly [boolean, boolean]

interface Placed {
  readonly far: readonly Far[]
  /** The index of each line's instruction, and of the program's end. */
  readonly places: readonly number[]
}

/** How many instructions a conditional jump skips at most. */
const farthest = 255

/** The sizes of what is loaded: 32, 16 and 8 bits. */
const loads = { ld: 0x00, ldh: 0x08, ldb: 0x10 } as const

/** Data about the frame that is not in its bytes (SKF_AD_* in linux/filter.h). Its offsets begin at SKF_AD_OFF, beyond any frame. */
const ancillary = { vlan_avail: 0xfffff000 + 48, rand: 0xfffff000 + 56 } as const

const calculations = {
  ...{ add: 0x04, sub: 0x14, mul: 0x24, div: 0x34, or: 0x44, and: 0x54, lsh: 0x64, rsh: 0x74, mod: 0x94, xor: 0xa4 }
} as const

/** The code of each jump. A jump that the kernel lacks is written as its opposite, with the targets swapped. */
const jumps = {
  jeq: { code: codes.jumpIfEqual, isSwapped: false },
  jne: { code: codes.jumpIfEqual, isSwapped: true },
  jgt: { code: 0x25, isSwapped: false },
  jle: { code: 0x25, isSwapped: true },
  jge: { code: 0x35, isSwapped: false },
  jlt: { code: 0x35, isSwapped: true },
  jset: { code: 0x45, isSwapped: false }
} as const

/** What a line may be, and what it means. */
const grammar: readonly (readonly [RegExp, (...words: string[]) => Line])[] = [
  [/^(ldb|ldh|ld) \[x \+ (\d+)\]$/, (size, k) => ({ code: 0x40 + pick(loads, size), k: Number(k) })],
  [/^(ldb|ldh|ld) \[(\d+)\]$/, (size, k) => ({ code: 0x20 + pick(loads, size), k: Number(k) })],
  [/^ld (vlan_avail|rand)$/, (what) => ({ code: 0x20, k: pick(ancillary, what) })],
  [/^ld len$/, () => ({ code: 0x80, k: 0 })],
  [/^(ldx?) #(\w+)$/, (into, k) => ({ code: into === 'ldx' ? 0x01 : 0x00, k: Number(k) })],
  [/^(ldx?) M\[(\d+)\]$/, (into, k) => ({ code: into === 'ldx' ? 0x61 : 0x60, k: Number(k) })],
  [/^(stx?) M\[(\d+)\]$/, (from, k) => ({ code: from === 'stx' ? 0x03 : 0x02, k: Number(k) })],
  [/^tax$/, () => ({ code: 0x07, k: 0 })],
  [/^txa$/, () => ({ code: 0x87, k: 0 })],
  [/^ret #(\w+)$/, (k) => ({ code: codes.return, k: Number(k) })],
  [/^ret a$/, () => ({ code: codes.returnA, k: 0 })],
  [/^jmp (\w+)$/, (target = '') => ({ code: codes.jump, k: 0, targets: [target, null] })],
  [/^(j\w+) (x|#\w+), (\w+)(?:, (\w+))?$/, (name, operand, then, otherwise) => jump(name, operand, then, otherwise)],
  [/^(\w+) (x|#\w+)$/, (name, operand) => calculate(pick(calculations, name), operand)]
]

/**
 * Assembles a classic BPF program from the kernel's own notation (tools/bpf/bpf_asm, Documentation/networking/filter.rst): one
 * instruction a line, labels that end with a colon, comments behind a semicolon.
 *
 * A conditional jump skips 255 instructions at most. If its target is further away, it gets an unconditional jump behind it.
 */
export function assemble(text: string): Assembled {
  const { lines, labels } = parse(text)
  // A jump that becomes longer may move the target of another jump out of reach.
  let placed = place(lines.map(() => [false, false]))
  for (let isWhole = false; !isWhole; ) {
    const far = lines.map((line, index) => findFar(line, skipsOf(line, index, labels, placed), placed.far[index]))
    isWhole = String(far) === String(placed.far)
    placed = place(far)
  }
  return {
    instructions: lines.flatMap((line, index) => encode(line, skipsOf(line, index, labels, placed), placed.far[index])),
    labels: new Map([...labels].map(([label, line]) => [label, placed.places[line] ?? 0]))
  }
}

/** Assembles the program of each key once. */
export function assembleOnce<Key>(write: (key: Key) => string): (key: Key) => Assembled {
  const programs = new Map<Key, Assembled>()
  return (key) => {
    const program = programs.get(key) ?? assemble(write(key))
    programs.set(key, program)
    return program
  }
}

/** The instructions, with other operands at some labels. */
export function fillIn({ instructions, labels }: Assembled, operands: Operands): Instruction[] {
  const filled = [...instructions]
  for (const [label, k] of Object.entries(operands)) {
    const index = labels.get(label) ?? -1
    const instruction = filled[index]
    if (instruction) filled[index] = { ...instruction, k }
  }
  return filled
}

/** Reads an operand from instructions that may be these with other operands. */
export function readOperand({ labels }: Assembled, label: string, filled: readonly Instruction[]): number {
  return filled[labels.get(label) ?? -1]?.k ?? 0
}

/** The lines, and by label the index of the line that follows it. */
function parse(text: string): { readonly lines: Line[]; readonly labels: Map<string, number> } {
  const lines: Line[] = []
  const labels = new Map<string, number>()
  for (const raw of text.split('\n')) {
    const line = raw.replace(/;.*/, '').trim()
    if (line === '') continue
    if (line.endsWith(':')) labels.set(line.slice(0, -1), lines.length)
    else lines.push(parseLine(line))
  }
  return { lines, labels }
}

function parseLine(text: string): Line {
  for (const [pattern, read] of grammar) {
    const [match, ...words] = pattern.exec(text) ?? []
    if (match !== undefined) return read(...words)
  }
  throw new SyntaxError(`not an instruction of classic BPF: ${text}`)
}

function jump(name = '', operand = '', then = '', otherwise: string | null = null): Jump {
  const { code, isSwapped } = pick(jumps, name)
  return { ...calculate(code, operand), targets: isSwapped ? [otherwise, then] : [then, otherwise] }
}

/** The same code, with 8 added, takes X for an operand. */
function calculate(code: number, operand = ''): Operation {
  return operand === 'x' ? { code: code + 0x08, k: 0 } : { code, k: Number(operand.slice(1)) }
}

function pick<Value>(table: Readonly<Record<string, Value>>, name = ''): Value {
  const value = table[name]
  if (value === undefined) throw new SyntaxError(`not an instruction of classic BPF: ${name}`)
  return value
}

function place(far: readonly Far[]): Placed {
  const places = [0]
  for (const isFar of far) places.push((places.at(-1) ?? 0) + 1 + isFar.filter(Boolean).length)
  return { far, places }
}

/** How many instructions there are between a jump and each of its targets. */
function skipsOf(line: Line, index: number, labels: ReadonlyMap<string, number>, { places }: Placed): number[] {
  if (!('targets' in line)) return []
  return line.targets.map((label) => {
    const target = label === null ? index + 1 : (labels.get(label) ?? 0)
    if (target <= index) throw new SyntaxError(`no label ${label} behind a jump to it`)
    return (places[target] ?? 0) - (places[index] ?? 0) - 1
  })
}

function findFar(line: Line, [jt = 0, jf = 0]: readonly number[], [before, after]: Far = [false, false]): Far {
  const isConditional = line.code !== codes.jump
  return [before || (isConditional && jt > farthest), after || (isConditional && jf > farthest)]
}

function encode({ code, k }: Line, [jt = 0, jf = 0]: readonly number[], far: Far = [false, false]): Instruction[] {
  if (code === codes.jump) return [leap(jt)]
  const [isThenFar, isElseFar] = far
  // The jumps behind it are nearer to their targets: the first by one instruction, a second by two.
  const leaps = [...(isThenFar ? [leap(jt - 1)] : []), ...(isElseFar ? [leap(jf - (isThenFar ? 2 : 1))] : [])]
  return [{ code, jt: isThenFar ? 0 : jt, jf: isElseFar ? leaps.length - 1 : jf, k }, ...leaps]
}
