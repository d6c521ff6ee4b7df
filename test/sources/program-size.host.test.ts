import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseFilters } from '../../src/host/parsers/filters.ts'
import { longestLimited, longestProgram } from '../../src/host/parsers/pcap.ts'
import { batchLine } from '../../src/host/quote-command.ts'
import type { Program } from '../../src/host/snapshot.ts'
import { writeMirror } from '../../src/host/write-filters.ts'
import { writeCookie } from '../../src/resources/marks.ts'
import { createLab, type Lab } from '../lab/lab.ts'

/** As long as a name may be. */
const card = 'c23456789012345'
const bridge = 'b23456789012345'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ cables: [{ card }] })
  await lab.run(['ip', 'link', 'add', 'dev', bridge, 'type', 'bridge'])
  await lab.run(['tc', 'qdisc', 'add', 'dev', card, 'clsact'])
})

afterAll(() => lab?.close())

function programOf(length: number): Program {
  return [length, ...Array.from({ length: length - 1 }, () => '40 0 0 12'), '6 0 0 4294967295'].join(',')
}

async function addMirror(program: Program, limit: number | null = null): Promise<void> {
  const all = new Set(['up', 'promiscuous', 'clsact'] as const)
  const cookie = writeCookie('default', { before: all, managed: all })
  const place = { device: card, tcHook: 'ingress' } as const
  const words = writeMirror({ ...place, handle: 0xffffffff, program, target: bridge, cookie, limit })
  await lab.run(['tc', '-batch', '-'], { input: `${batchLine(words)}\n` })
}

describe('the largest program', () => {
  test('is taken, and read back whole', async () => {
    const program = programOf(longestProgram)
    await addMirror(program)
    // As spanplan asks: a tc 7.3 that is asked for this alone has room for 4 KB.
    const input = `filter show dev ${card} ingress\n`
    const output = await lab.run(['tc', '-json', '-batch', '-'], { input })
    expect(parseFilters({ device: card, tcHook: 'ingress' }, JSON.parse(output))).toMatchObject([{ program }])
  })

  test('has room for the policer where there is a limit, and only just: this kernel refuses that, once tc has it together', async () => {
    await expect(addMirror(programOf(longestLimited), 1e15)).rejects.toThrow('Failed to load TC action module')
    await expect(addMirror(programOf(longestLimited + 96), 1e15)).rejects.toThrow('message exceeded bound')
  })

  test('could hardly be larger', async () => {
    await expect(addMirror(programOf(longestProgram + 96))).rejects.toThrow('message exceeded bound')
  })
})
