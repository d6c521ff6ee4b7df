import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Program } from '../../../src/host/snapshot.ts'
import { dropProgram, everyFrame } from '../../../src/host/tc-conventions.ts'
import { parseProgram } from '../../../src/resources/programs/instructions.ts'
import { joinPrograms } from '../../../src/resources/programs/join-programs.ts'
import { writeSample } from '../../../src/resources/programs/sample-program.ts'
import { writeShare } from '../../../src/resources/programs/share-program.ts'
import { checkProgram, runInstructions, runProgram, type Seen } from '../../lab/frames/classic-bpf.ts'
import { anySeen, flow, frameOf, packet, tagged, tcp } from './any-frame.ts'

const compiled: Readonly<Record<string, Program>> = JSON.parse(
  readFileSync('test/fixtures/host/tcpdump-programs.json', 'utf8')
)

/** Programs that return what they have in A: 0 for frames of an even length. */
const odd = '3,128 0 0 0,84 0 0 1,22 0 0 0'
/** One of several results. */
const lengths = '7,128 0 0 0,37 0 1 100,22 0 0 0,37 0 1 60,6 0 0 0,84 0 0 3,22 0 0 0'

const share = writeShare({ hash: 'addresses', buckets: new Set(Array.from({ length: 128 }, (_, n) => n)), rest: false })

const anyProgram = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...Object.values(compiled)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      everyFrame,
      dropProgram,
      odd,
      lengths,
      share,
      writeSample({ kind: 'flows', take: 1, of: 2 })
    )
  }
)

/** More of what filters are about than just any frame is. */
const anyUsual: fc.Arbitrary<Seen> = fc
  .record({
    host: fc.constantFrom(0x0a000001, 0x0a000002, 0xc0000201),
    protocol: fc.constantFrom(1, 6, 17),
    port: fc.constantFrom(22, 53, 80, 443),
    tags: fc.constantFrom([], [0x8100]),
    tag: fc.constantFrom(undefined, 99, 100, 101),
    size: fc.nat(80)
  })
  .map(({ host, protocol, port, tags, tag, size }) => {
    const payload = packet(flow(host, 0x0a000003, protocol, [1024, port]), { data: Buffer.alloc(size) })
    return { frame: frameOf(tagged(tags, payload)), ...(tag !== undefined && { tag }) }
  })

describe('joined programs', () => {
  test('accept what each of them accepts', () => {
    const counts = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(
        fc.array(anyProgram, { maxLength: 4 }),
        fc.array(fc.oneof(anySeen, anyUsual), { minLength: 20, maxLength: 30 }),
        (programs, all) => {
          const joined = joinPrograms(programs)
          checkProgram(joined)
          const instructions = parseProgram(joined)
          for (const seen of all) {
            const isAccepted = programs.every((program) => runProgram(program, seen).result !== 0)
            counts[isAccepted ? 'accepted' : 'refused']++
            expect(runInstructions(instructions, seen).result !== 0).toBe(isAccepted)
          }
        }
      ),
      { numRuns: 150 }
    )
    expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(300)
  })

  test('are as long as the programs together, and have the results of the last', () => {
    const web = compiled['tcp port 80 or 443'] ?? ''
    const joined = joinPrograms([web, share])
    expect(joined.split(',')[0]).toBe(String(parseProgram(web).length + parseProgram(share).length))
    const seen = { frame: frameOf(packet(flow(0x0a000001, 0x0a000002, tcp, [40_000, 443]))) }
    expect(runProgram(joinPrograms([share, web]), seen).result).toBe(runProgram(share, seen).result === 0 ? 0 : 262_144)
  })

  test('are one program where the others accept every frame', () => {
    const arp = compiled.arp ?? ''
    expect(joinPrograms([everyFrame, arp, everyFrame])).toBe(arp)
    expect(joinPrograms([everyFrame, everyFrame])).toBe(everyFrame)
    expect(joinPrograms([])).toBe(everyFrame)
  })

  test('may be as long as a program can be', () => {
    const long = [1900, ...Array.from({ length: 1898 }, () => '21 0 0 7'), '6 0 0 1', '6 0 0 0']
    const first = [1901, '128 0 0 0', ...long.slice(1)].join(',')
    const joined = joinPrograms([first, odd])
    checkProgram(joined)
    expect([1, 2].map((length) => runProgram(joined, { frame: Buffer.alloc(length) }).result)).toEqual([1, 0])
  })
})
