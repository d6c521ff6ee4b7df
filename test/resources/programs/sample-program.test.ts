import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Program } from '../../../src/host/snapshot.ts'
import { everyFrame } from '../../../src/host/tc-conventions.ts'
import { parseProgram } from '../../../src/resources/programs/instructions.ts'
import { joinPrograms } from '../../../src/resources/programs/join-programs.ts'
import { readSample, writeSample } from '../../../src/resources/programs/sample-program.ts'
import { readShare, writeShare } from '../../../src/resources/programs/share-program.ts'
import { flowHashes } from '../../../src/spec/items/balance.ts'
import { checkProgram, runInstructions, runProgram, type Seen } from '../../lab/frames/classic-bpf.ts'
import { anyFlow, anySeen, arpQuestion, bucketOf, flow, fragments, frameOf, packet, reverse } from './any-frame.ts'

const anyRatio = fc
  .integer({ min: 1, max: 65_536 })
  .chain((of) => fc.record({ take: fc.integer({ min: 1, max: of }), of: fc.constant(of) }))

const taken = (program: Program, all: readonly Seen[]) => {
  const instructions = parseProgram(program)
  return all.filter((seen) => runInstructions(instructions, seen).result !== 0)
}

describe('a sample of flows', () => {
  test('takes whole flows, or nothing of them', () => {
    const program = writeSample({ kind: 'flows', take: 1, of: 2 })
    checkProgram(program)
    fc.assert(
      fc.property(anyFlow, (one) => {
        const frames = [packet(one), packet(reverse(one)), ...fragments(one)].map((payload) => ({
          frame: frameOf(payload)
        }))
        expect([0, frames.length]).toContain(taken(program, frames).length)
      })
    )
  })

  test('takes what is no flow of IP', () => {
    const frames = [frameOf(arpQuestion), frameOf(packet(flow(1, 2))).subarray(0, 30), Buffer.alloc(3)]
    for (const frame of frames)
      expect(runProgram(writeSample({ kind: 'flows', take: 1, of: 65_536 }), { frame }).result).not.toBe(0)
  })

  test('reads nothing beyond the end of a frame', () => {
    const program = parseProgram(writeSample({ kind: 'flows', take: 1, of: 3 }))
    fc.assert(
      fc.property(anySeen, (seen) => {
        expect(runInstructions(program, seen).isCut).toBe(false)
      }),
      { numRuns: 1000 }
    )
  })

  test('is as large as it says, and as even over the buckets as all flows are', () => {
    const flows = Array.from({ length: 20_000 }, (_, host) => ({
      frame: frameOf(packet(flow(0x0a010000 + host, 0xc0000250)))
    }))
    const sample = taken(writeSample({ kind: 'flows', take: 1, of: 10 }), flows)
    expect(Math.abs(sample.length - 2000)).toBeLessThan(150)
    const counts = [0, 0, 0, 0]
    for (const seen of sample) {
      const quarter = (bucketOf('addresses', seen) ?? 0) >>> 6
      counts[quarter] = (counts[quarter] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - sample.length / 4)).toBeLessThan(70)
  })
})

describe('a sample of frames', () => {
  test('takes frames by a random number alone', () => {
    const program = writeSample({ kind: 'frames', take: 2, of: 5 })
    checkProgram(program)
    const numbers = [0, 1, 2, 3, 4, 5, 0xffffffff]
    const results = numbers.map((random) => runProgram(program, { frame: Buffer.alloc(0), random }).result !== 0)
    expect(results).toEqual([true, true, false, false, false, true, true])
  })
})

describe('readSample', () => {
  const filter = '4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0'

  test.each(['flows', 'frames'] as const)(
    'gives back what was written, also behind a filter and before a share: of %s',
    (kind) => {
      fc.assert(
        fc.property(anyRatio, fc.constantFrom(...flowHashes), (ratio, hash) => {
          const share = { hash, buckets: new Set([3, 200]), rest: true }
          const sample = writeSample({ kind, ...ratio })
          const programs = [
            sample,
            joinPrograms([filter, sample]),
            joinPrograms([sample, writeShare(share)]),
            joinPrograms([filter, sample, writeShare(share)])
          ]
          expect(programs.map(readSample)).toEqual(programs.map(() => ({ kind, ...ratio })))
          expect(programs.map(readShare)).toEqual([null, null, share, share])
        }),
        { numRuns: 30 }
      )
    }
  )

  test('knows that there is none', () => {
    const share = writeShare({ hash: 'addresses', buckets: new Set([1]), rest: true })
    const sample = writeSample({ kind: 'frames', take: 1, of: 10 })
    const others = [everyFrame, '', filter, share, joinPrograms([filter, share]), joinPrograms([sample, filter])]
    expect(others.map(readSample)).toEqual(others.map(() => null))
  })
})
