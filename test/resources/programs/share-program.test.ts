import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { everyFrame } from '../../../src/host/tc-conventions.ts'
import { type Instruction, parseProgram } from '../../../src/resources/programs/instructions.ts'
import { joinPrograms } from '../../../src/resources/programs/join-programs.ts'
import { readShare, type Share, writeShare } from '../../../src/resources/programs/share-program.ts'
import { flowHashes } from '../../../src/spec/items/balance.ts'
import { checkProgram, runInstructions, type Seen } from '../../lab/frames/classic-bpf.ts'
import {
  anyFlow,
  anyFrame,
  anyPortFlow,
  anySeen,
  anyTags,
  arpQuestion,
  bucketOf,
  type Flow,
  flow,
  fragments,
  frameOf,
  packet,
  reverse,
  tagged,
  tcp,
  transportOf,
  tunnels,
  withoutFlow
} from './any-frame.ts'

const anyHash = fc.constantFrom(...flowHashes)

const bucketNumbers = Array.from({ length: 256 }, (_, bucket) => bucket)

const anyShare: fc.Arbitrary<Share> = fc.record({
  hash: anyHash,
  buckets: fc.subarray(bucketNumbers).map((buckets) => new Set(buckets)),
  rest: fc.boolean()
})

/** All buckets, each in one of several shares, of which one has the rest. */
const anySplit: fc.Arbitrary<Share[]> = fc.integer({ min: 1, max: 6 }).chain((count) =>
  fc
    .record({
      hash: anyHash,
      owners: fc.array(fc.nat(count - 1), { minLength: 256, maxLength: 256 }),
      rest: fc.nat(count - 1)
    })
    .map(({ hash, owners, rest }) =>
      Array.from({ length: count }, (_, member) => ({
        hash,
        buckets: new Set(bucketNumbers.filter((bucket) => owners[bucket] === member)),
        rest: rest === member
      }))
    )
)

describe.each(flowHashes)('the program of a share by %s', (hash) => {
  const program = writeShare({ hash, buckets: new Set([0, 255]), rest: true })

  test('is one that the kernel takes, and is short', () => {
    checkProgram(program)
    expect(Number(program.split(',')[0])).toBe({ addresses: 212, ports: 247, inner: 443 }[hash])
  })

  test.each(bucketNumbers.filter((bucket) => bucket % 31 < 2))('holds bucket %i alone, or all but it', (bucket) => {
    const one = parseProgram(writeShare({ hash, buckets: new Set([bucket]), rest: false }))
    const others = parseProgram(
      writeShare({ hash, buckets: new Set(bucketNumbers.filter((other) => other !== bucket)), rest: false })
    )
    for (let host = 0; host < 300; host++) {
      const seen = { frame: frameOf(packet(flow(0x0a000000 + host, 0xc0000201))) }
      const isIn = bucketOf(hash, seen) === bucket
      expect([one, others].map((share) => runInstructions(share, seen).result !== 0)).toEqual([isIn, !isIn])
    }
  })
})

describe('any frame', () => {
  const acceptedBy = (programs: readonly (readonly Instruction[])[], seen: Seen) => {
    const verdicts = programs.map((program) => runInstructions(program, seen))
    if (verdicts.some(({ isCut }) => isCut)) throw new Error('a load beyond the end')
    return verdicts.filter(({ result }) => result !== 0).length
  }

  test('is in exactly one share', () => {
    fc.assert(
      fc.property(anySplit, fc.array(anySeen, { minLength: 40, maxLength: 60 }), (shares, all) => {
        const programs = shares.map((share) => parseProgram(writeShare(share)))
        expect(all.filter((seen) => acceptedBy(programs, seen) !== 1)).toEqual([])
      }),
      { numRuns: 100 }
    )
  })

  test('is so wherever it is cut', () => {
    fc.assert(
      fc.property(anySplit, anyFrame, fc.boolean(), (shares, frame, isTagged) => {
        const programs = shares.map((share) => parseProgram(writeShare(share)))
        const lengths = Array.from({ length: frame.length + 1 }, (_, length) => length)
        const seen = (length: number) => ({ frame: frame.subarray(0, length), ...(isTagged && { tag: 7 }) })
        expect(lengths.filter((length) => acceptedBy(programs, seen(length)) !== 1)).toEqual([])
      }),
      { numRuns: 60 }
    )
  })
})

/** Of one flow, and so in one bucket. */
const sharesBucket = (hash: Share['hash'], frames: readonly Buffer[]) => {
  const buckets = new Set(frames.map((frame) => bucketOf(hash, { frame })))
  expect(buckets.size).toBe(1)
  expect([...buckets]).not.toContain(null)
}

describe('one bucket', () => {
  test.each(flowHashes)('holds both directions of a flow, by %s', (hash) => {
    fc.assert(
      fc.property(anyFlow, (one) => {
        sharesBucket(hash, [frameOf(packet(one)), frameOf(packet(reverse(one)))])
      })
    )
  })

  test('holds a whole flow by addresses: fragments, options, extension headers, and an error of its other end', () => {
    fc.assert(
      fc.property(anyFlow, (one) => {
        const options = Buffer.alloc(12)
        const packets = [
          packet(one),
          packet(one, { options, extensions: [0, 43] }),
          packet({ ...reverse(one), protocol: 1 })
        ]
        sharesBucket('addresses', [...packets, ...fragments(one)].map(frameOf))
      })
    )
  })

  test.each(flowHashes)('holds a frame wherever its outer tag is, behind so many others, by %s', (hash) => {
    fc.assert(
      fc.property(anyFrame, anyTags(6), fc.nat(0xffff), (frame, tags, tag) => {
        const [type, bytes] = frame.length < 14 ? [0, frame] : [frame.readUInt16BE(12), frame.subarray(14)]
        const payload = tagged(tags, { type, bytes })
        const inData = bucketOf(hash, { frame: frameOf(tagged([0x8100], payload)) })
        expect(bucketOf(hash, { frame: frameOf(payload), tag })).toBe(inData)
      })
    )
  })

  test.each(flowHashes)('holds a flow with 0 to 3 tags, and with one more beside the frame, by %s', (hash) => {
    fc.assert(
      fc.property(anyFlow, anyTags(3), (one, tags) => {
        const frame = frameOf(tagged(tags, packet(one)))
        const plain = bucketOf(hash, { frame: frameOf(packet(one)) })
        expect([bucketOf(hash, { frame }), bucketOf(hash, { frame, tag: 5 })]).toEqual([plain, plain])
      })
    )
  })

  test('by ports holds what has none to read with what has the same addresses', () => {
    fc.assert(
      fc.property(anyPortFlow, (one) => {
        const byAddresses = bucketOf('addresses', { frame: frameOf(packet(one)) })
        const cut = frameOf(packet(one)).subarray(0, one.source.length === 4 ? 14 + 20 + 3 : 14 + 40 + 3)
        const lying = frameOf(packet(one))
        if (one.source.length === 4) lying[14] = 0x44
        const others = [
          packet({ ...one, protocol: 1 }),
          packet(one, { fragment: 0x2000, extensions: [44] }),
          ...fragments(one)
        ]
        const frames = [...others.map(frameOf), cut, ...(one.source.length === 4 ? [lying] : [])]
        expect(new Set(frames.map((frame) => bucketOf('ports', { frame })))).toEqual(new Set([byAddresses]))
      })
    )
  })

  test('by ports holds a flow with options', () => {
    const one = flow(0x0a000001, 0x0a000002, tcp)
    sharesBucket('ports', [frameOf(packet(one)), frameOf(packet(reverse(one), { options: Buffer.alloc(40) }))])
  })
})

describe('ports', () => {
  test.each([6, 17, 132])('tell flows of one pair of hosts apart: protocol %i', (protocol) => {
    const ports = Array.from({ length: 400 }, (_, index) => [40_000 + index, 443])
    const frames = ports.map((pair) => frameOf(packet(flow(0x0a000001, 0x0a000002, protocol, pair))))
    expect(new Set(frames.map((frame) => bucketOf('ports', { frame }))).size).toBeGreaterThan(180)
    expect(new Set(frames.map((frame) => bucketOf('addresses', { frame }))).size).toBe(1)
  })
})

describe('inner', () => {
  const outerOf = (version: number): Flow => ({
    source: Buffer.alloc(version, 1),
    destination: Buffer.alloc(version, 2),
    protocol: 17,
    sourcePort: 50_000,
    destinationPort: 4789
  })
  const wrapped = Object.entries(tunnels).flatMap(([name, wrap]) =>
    [4, 16].map((size) => [`${name} in IPv${size === 4 ? 4 : 6}`, wrap, outerOf(size)] as const)
  )

  test.each(wrapped)('%s: the flow in the tunnel decides', (name, wrap, outer) => {
    fc.assert(
      fc.property(anyFlow, anyTags(/^GRE/.test(name) ? 0 : 3), anyTags(3), (inner, innerTags, tags) => {
        const frame = (one: Flow) => frameOf(tagged(tags, wrap(outer, tagged(innerTags, packet(one)))))
        const byAddresses = bucketOf('addresses', { frame: frameOf(packet(inner)) })
        expect([inner, reverse(inner)].map((one) => bucketOf('inner', { frame: frame(one) }))).toEqual([
          byAddresses,
          byAddresses
        ])
      }),
      { numRuns: 30 }
    )
  })

  test.each(wrapped)('%s: the outer addresses decide where no flow is in the tunnel', (_, wrap, outer) => {
    const byAddresses = bucketOf('addresses', { frame: frameOf(packet(outer)) })
    const whole = frameOf(wrap(outer, packet(flow(0x0a000001, 0x0a000002))))
    const innerAddresses = whole.length - 16 - 8 - 8
    const frames = [
      frameOf(wrap(outer, arpQuestion)),
      // Cut within the inner addresses, and anywhere before them.
      ...Array.from({ length: innerAddresses + 7 - 54 }, (_, index) => whole.subarray(0, 54 + index))
    ]
    expect(new Set(frames.map((frame) => bucketOf('inner', { frame })))).toEqual(new Set([byAddresses]))
  })

  test('the outer addresses decide about fragments, and about what only looks like a tunnel', () => {
    const outer = outerOf(4)
    const byAddresses = bucketOf('addresses', { frame: frameOf(packet(outer)) })
    const inner = packet(flow(0x0a000001, 0x0a000002))
    const plain = Buffer.concat([Buffer.alloc(8), frameOf(inner)])
    const vxlan: Buffer = tunnels.VXLAN?.(outer, inner).bytes.subarray(28) ?? Buffer.alloc(0)
    const greHeader = (flags: number, protocol: number) => {
      const header = Buffer.alloc(4)
      header.writeUInt16BE(flags, 0)
      header.writeUInt16BE(protocol, 2)
      return packet({ ...outer, protocol: 47 }, { data: Buffer.concat([header, inner.bytes]) })
    }
    const frames = {
      'without the flag of VXLAN': packet(outer, { data: plain }),
      'to another port': packet({ ...outer, destinationPort: 4790 }, { data: vxlan }),
      'a first fragment': packet(outer, { data: vxlan, fragment: 0x2000 }),
      'a later fragment': packet(outer, { data: Buffer.concat([transportOf(outer, vxlan)]), fragment: 3 }),
      'GRE with a route': greHeader(0x4000, 0x0800),
      "PPTP's GRE": greHeader(1, 0x0800),
      'GRE of another protocol': greHeader(0, 0x8847),
      'ERSPAN III of a packet': packet(
        { ...outer, protocol: 47 },
        {
          data: Buffer.concat([
            Buffer.from('100022eb00000001', 'hex'),
            Buffer.alloc(10),
            Buffer.from('0800', 'hex'),
            frameOf(inner)
          ])
        }
      )
    }
    const buckets = Object.entries(frames).map(([what, payload]) => [
      what,
      bucketOf('inner', { frame: frameOf(payload) })
    ])
    expect(Object.fromEntries(buckets)).toEqual(Object.fromEntries(buckets.map(([what]) => [what, byAddresses])))
  })
})

test('what is no flow of IP has no bucket', () => {
  const frames = [...withoutFlow(packet(flow(1, 2))), frameOf(packet(flow(1, 2))).subarray(0, 33), Buffer.alloc(0)]
  for (const hash of flowHashes)
    expect(frames.map((frame) => bucketOf(hash, { frame }))).toEqual(frames.map(() => null))
})

describe('readShare', () => {
  test('gives back what was written, also behind other programs', () => {
    fc.assert(
      fc.property(anyShare, (share) => {
        const program = writeShare(share)
        expect(readShare(program)).toEqual(share)
        const filter = '4,40 0 0 12,21 0 1 2054,6 0 0 262144,6 0 0 0'
        expect(readShare(joinPrograms([filter, everyFrame, program]))).toEqual(share)
      })
    )
  })

  test('knows that there is none', () => {
    const share = writeShare({ hash: 'addresses', buckets: new Set([1]), rest: true })
    const others = [everyFrame, '', joinPrograms([share, '2,128 0 0 0,22 0 0 0']), share.replace('2654435761', '7')]
    expect(share).toContain('2654435761')
    expect(others.map(readShare)).toEqual(others.map(() => null))
  })
})
