import { describe, expect, test } from 'vitest'
import { assemble } from '../../../src/resources/programs/assemble.ts'
import { parseProgram, printProgram } from '../../../src/resources/programs/instructions.ts'
import { checkProgram, runProgram } from '../../lab/frames/classic-bpf.ts'

const written = (text: string) => printProgram(assemble(text).instructions)

describe('the assembler', () => {
  test('writes what tcpdump compiles from the same lines', () => {
    // tcpdump -ddd -y EN10MB arp
    const text = `
      ldh [12]
      jeq #0x806, accept, refuse ; ARP
    accept:
      ret #262144
    refuse:
      ret #0`
    expect(written(text)).toBe('4,40 0 0 12,21 0 1 2054,6 0 0 262144,6 0 0 0')
  })

  test.each([
    ['ldh [x + 12]', '72 0 0 12'],
    ['jeq #7, there', '21 1 0 7'],
    ['jne #7, there', '21 0 1 7'],
    ['jlt #7, there', '53 0 1 7'],
    ['jle x, there', '45 0 1 0'],
    ['jset #0xff, there', '69 1 0 255'],
    ['jmp there', '5 0 0 1']
  ])('%s', (line, instruction) => {
    const [, first] = written(`${line}\n ret #0\n there:\n ret #1`).split(',')
    expect(first).toBe(instruction)
  })

  test('says which line is not an instruction, and which label is not there, or lies before the jump', () => {
    expect(() => assemble('ld [y + 12]')).toThrow('ld [y + 12]')
    expect(() => assemble('frob #1')).toThrow('frob')
    expect(() => assemble('jmp nowhere\n ret #0')).toThrow('nowhere')
    expect(() => assemble('here:\n ld len\n jmp here')).toThrow('here')
  })

  test.each([0, 253, 254, 255, 256, 257, 600])('jumps over %i instructions, both ways', (count) => {
    const between = 'ld len\n'.repeat(count)
    const text = `
      ld len
      jeq #1, one, other
    ${between}
    one:
      ret #1
    ${between}
    other:
      ret #2`
    expect([1, 2].map((length) => runProgram(written(text), { frame: Buffer.alloc(length) }).result)).toEqual([1, 2])
    checkProgram(written(text))
  })

  test('lengthens jumps that another one puts out of reach', () => {
    const nested = Array.from({ length: 4 }, (_, n) => `jeq #${n}, end${n}\n`).join('')
    const ends = Array.from({ length: 4 }, (_, n) => `end${n}:\n ret #${n + 1}\n`).join('')
    const text = `ld len\n${nested}${'ld len\n'.repeat(250)}ret #9\n${ends}`
    const results = [0, 1, 2, 3, 4].map((length) => runProgram(written(text), { frame: Buffer.alloc(length) }).result)
    expect(results).toEqual([1, 2, 3, 4, 9])
  })

  test('says where each label is', () => {
    const { instructions, labels } = assemble(`ld len\n jeq #1, far\n here:\n ${'ld len\n'.repeat(300)} far:\n ret #0`)
    expect(labels.get('here')).toBe(3)
    expect(instructions[labels.get('far') ?? 0]).toMatchObject({ code: 6 })
  })
})

test('a program is read as it was written', () => {
  const program = '3,40 0 0 12,21 0 1 2048,6 0 0 4294967295'
  expect(printProgram(parseProgram(program))).toBe(program)
})
