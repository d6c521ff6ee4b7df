/** eBPF programs as a compiler would leave them in a file, for ip and bpftool: no compiler is needed. */
import { Buffer } from 'node:buffer'

const HEADER_BYTES = 64
const SECTION_BYTES = 64
const SYMBOL_BYTES = 24

/** Type, flags, link, info and entry size of a section, as elf(5) has them. */
interface Section {
  readonly name: string
  readonly type: number
  readonly flags?: number
  readonly link?: number
  readonly info?: number
  readonly entry?: number
  readonly data: Buffer
}

/** An object file with one program, of that name, that returns the number; libbpf takes its type from its section. */
export function writeProgram(section: 'tcx/ingress' | 'xdp' | 'xdp.frags', name: string, result: number): Buffer {
  const strings = Buffer.from(`\0${name}\0`)
  const code = writeCode(result)
  const [progbits, symtab, strtab] = [1, 2, 3]
  return writeElf([
    { name: '', type: 0, data: Buffer.alloc(0) },
    { name: section, type: progbits, flags: 0x6, data: code },
    { name: 'license', type: progbits, flags: 0x3, data: Buffer.from('Dual MIT/GPL\0') },
    { name: '.symtab', type: symtab, link: 4, info: 1, entry: SYMBOL_BYTES, data: symbols(code.length) },
    { name: '.strtab', type: strtab, data: strings }
  ])
}

/** The instructions of such a program: r0 = RESULT; exit (linux/bpf.h: BPF_ALU64 | BPF_MOV | BPF_K, BPF_JMP | BPF_EXIT). */
export function writeCode(result: number): Buffer {
  return Buffer.concat([instruction(0xb7, result), instruction(0x95, 0)])
}

function instruction(code: number, immediate: number): Buffer {
  return Buffer.concat([Buffer.from([code, 0, 0, 0]), words(immediate)])
}

/** The empty first symbol, then a global function that is all of section 1: name, info and other, section, value, size. */
function symbols(size: number): Buffer {
  return Buffer.concat([Buffer.alloc(SYMBOL_BYTES), words(1), Buffer.from([0x12, 0]), halves(1), longs(0, size)])
}

function writeElf(given: readonly Section[]): Buffer {
  const names = [...given.map(({ name }) => name), '.shstrtab']
  const starts = names.map((_, index) => Buffer.byteLength(names.slice(0, index).join('\0')) + (index > 0 ? 1 : 0))
  const sections = [...given, { name: '.shstrtab', type: 3, data: Buffer.from(`${names.join('\0')}\0`) }]
  const padded = sections.map(({ data }) => Buffer.concat([data, Buffer.alloc((8 - (data.length % 8)) % 8)]))
  const offsets = padded.map(
    (_, index) => HEADER_BYTES + padded.slice(0, index).reduce((sum, { length }) => sum + length, 0)
  )
  const body = Buffer.concat(padded)
  const table = sections.map((section, index) => sectionHeader(section, starts[index] ?? 0, offsets[index] ?? 0))
  return Buffer.concat([fileHeader(HEADER_BYTES + body.length, sections.length), body, ...table])
}

/** A relocatable file for EM_BPF, with its fields in the order of Elf64_Ehdr in elf(5). */
function fileHeader(tableStart: number, sections: number): Buffer {
  return Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, ...Array(9).fill(0)]),
    ...[halves(1, 247), words(1), longs(0, 0, tableStart), words(0)],
    halves(HEADER_BYTES, 0, 0, SECTION_BYTES, sections, sections - 1)
  ])
}

/** The fields in the order of Elf64_Shdr in elf(5). */
function sectionHeader(section: Section, name: number, offset: number): Buffer {
  const { type, flags = 0, link = 0, info = 0, entry = 0, data } = section
  return Buffer.concat([words(name, type), longs(flags, 0, offset, data.length), words(link, info), longs(8, entry)])
}

/** Numbers of 16, 32 and 64 bits, in the order of bytes of this machine: little-endian, as BPF is on it and the file says. */
const halves = (...numbers: number[]) => Buffer.from(Uint16Array.from(numbers).buffer)
const words = (...numbers: number[]) => Buffer.from(Uint32Array.from(numbers).buffer)
const longs = (...numbers: number[]) => Buffer.from(BigUint64Array.from(numbers, BigInt).buffer)
