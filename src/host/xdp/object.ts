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
  const bytes = Buffer.alloc(8)
  bytes.writeUInt8(code, 0)
  bytes.writeInt32LE(immediate, 4)
  return bytes
}

/** The empty first symbol, then a global function that is all of section 1. */
function symbols(size: number): Buffer {
  const bytes = Buffer.alloc(2 * SYMBOL_BYTES)
  bytes.writeUInt32LE(1, SYMBOL_BYTES)
  bytes.writeUInt8(0x12, SYMBOL_BYTES + 4)
  bytes.writeUInt16LE(1, SYMBOL_BYTES + 6)
  bytes.writeBigUInt64LE(BigInt(size), SYMBOL_BYTES + 16)
  return bytes
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
  const header = Buffer.alloc(HEADER_BYTES)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  // A relocatable file for EM_BPF.
  for (const [value, at] of [
    [1, 16],
    [247, 18],
    [HEADER_BYTES, 52],
    [SECTION_BYTES, 58],
    [sections.length, 60],
    [sections.length - 1, 62]
  ] as const)
    header.writeUInt16LE(value, at)
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(HEADER_BYTES + body.length), 40)
  const table = sections.map((section, index) => sectionHeader(section, starts[index] ?? 0, offsets[index] ?? 0))
  return Buffer.concat([header, body, ...table])
}

function sectionHeader(
  { type, flags = 0, link = 0, info = 0, entry = 0, data }: Section,
  name: number,
  offset: number
): Buffer {
  const bytes = Buffer.alloc(SECTION_BYTES)
  for (const [value, at] of [
    [name, 0],
    [type, 4],
    [link, 40],
    [info, 44]
  ] as const)
    bytes.writeUInt32LE(value, at)
  for (const [value, at] of [
    [flags, 8],
    [offset, 24],
    [data.length, 32],
    [8, 48],
    [entry, 56]
  ] as const)
    bytes.writeBigUInt64LE(BigInt(value), at)
  return bytes
}
