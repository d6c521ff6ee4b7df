/** The programs of shares and samples on the real kernel: mirrors straight to four interfaces, and which frames come to which. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parseFilters } from '../../src/host/parsers/filters.ts'
import { batchLine } from '../../src/host/quote-command.ts'
import type { Program, TcHook } from '../../src/host/snapshot.ts'
import { mirrorPref } from '../../src/host/tc-conventions.ts'
import { writeMirror } from '../../src/host/write-filters.ts'
import { assignBuckets } from '../../src/resources/feeds/assign-buckets.ts'
import { parseProgram } from '../../src/resources/programs/instructions.ts'
import { joinPrograms } from '../../src/resources/programs/join-programs.ts'
import { readSample, writeSample } from '../../src/resources/programs/sample-program.ts'
import { readShare, type Share, writeShare } from '../../src/resources/programs/share-program.ts'
import { type FlowHash, flowHashes } from '../../src/spec/items/balance.ts'
import { runInstructions } from '../lab/frames/classic-bpf.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  anyFrame,
  arpQuestion,
  type Flow,
  flow,
  fragments,
  frameOf,
  packet,
  randomNumbers,
  reverse,
  tagged,
  tagTypes,
  tunnels,
  udp,
  withoutFlow
} from '../resources/programs/any-frame.ts'

const card = 'ens192'
const members = [0, 1, 2, 3] as const
const hooks = ['ingress', 'egress'] as const

let lab: Lab

const tc = (lines: readonly (readonly string[])[]) =>
  lab.run(['tc', '-batch', '-'], { input: lines.map((words) => `${batchLine(words)}\n`).join('') })

beforeAll(async () => {
  lab = await createLab({ cables: [{ card }] })
  for (const member of members) {
    await lab.run(['ip', '-batch', '-'], {
      input: [
        `link add name tap${member} mtu 9000 type veth peer name in${member} mtu 9000`,
        ...[`tap${member}`, `in${member}`].flatMap((name) => [
          `link set dev ${name} addrgenmode none`,
          `link set dev ${name} up`
        ])
      ].join('\n')
    })
  }
  await tc([['qdisc', 'add', 'dev', card, 'clsact']])
})

afterEach(() =>
  tc(hooks.map((hook) => ['filter', 'del', 'dev', card, hook, 'pref', String(mirrorPref)])).catch(() => undefined)
)

afterAll(() => lab?.close())

/** Copies what each program accepts to the member of its place. */
async function mirror(programs: readonly Program[], at: readonly TcHook[] = hooks): Promise<void> {
  await tc(
    at.flatMap((tcHook) =>
      programs.map((program, member) =>
        writeMirror({ device: card, tcHook, handle: member + 1, program, target: `tap${member}`, cookie: `0${member}` })
      )
    )
  )
}

/** The programs that a hook's mirrors have, as they are read back. */
async function readPrograms(tcHook: TcHook): Promise<Program[]> {
  const output = await lab.run(['tc', '-json', '-batch', '-'], { input: `filter show dev ${card} ${tcHook}\n` })
  const filters = parseFilters({ device: card, tcHook }, JSON.parse(output))
  return filters.toSorted((one, other) => (one.handle ?? 0) - (other.handle ?? 0)).map(({ program }) => program ?? '')
}

interface CountedFilter {
  readonly options?: {
    readonly handle: string
    readonly actions?: readonly { readonly stats: { readonly packets: number } }[]
  }
}

/** How many frames each mirror of a hook has copied. */
async function readCounts(tcHook: TcHook): Promise<number[]> {
  const output = await lab.run(['tc', '-s', '-json', 'filter', 'show', 'dev', card, tcHook])
  const filters: readonly CountedFilter[] = JSON.parse(output)
  return filters
    .flatMap(({ options }) => (options ? [options] : []))
    .toSorted((one, other) => Number(one.handle) - Number(other.handle))
    .map(({ actions }) => actions?.[0]?.stats.packets ?? 0)
}

function sharesBy(hash: FlowHash): Share[] {
  return assignBuckets(members.map((_, member) => ({ name: `ids-${member}`, alive: true }))).map((buckets, member) => ({
    hash,
    buckets,
    rest: member === 0
  }))
}

/** The frames that a program accepts. */
function acceptedBy(program: Program, frames: readonly Buffer[]): Buffer[] {
  const instructions = parseProgram(program)
  return frames.filter((frame) => runInstructions(instructions, { frame }).result !== 0)
}

/** Sends the frames to one hook, and gives those that have come to each member. */
async function sendTo(
  tcHook: TcHook,
  frames: readonly Buffer[],
  expected: readonly (readonly Buffer[])[]
): Promise<string[][]> {
  const captures = await Promise.all(members.map((member) => lab.captureLink(`in${member}`, { bulk: true }, 'host')))
  await lab.send(frames, tcHook === 'ingress' ? 'sw0' : card)
  return Promise.all(
    captures.map(async (capture, member) => {
      const { frames, dropped } = await capture.stop({ count: expected[member]?.length ?? 0 })
      expect(dropped).toBe(0)
      return hexOf(frames)
    })
  )
}

const hexOf = (frames: readonly Buffer[]) => frames.map((frame) => frame.toString('hex')).sort()

/** Each frame once. What is cut within its outer tag never comes to a hook: the kernel drops it (skb_vlan_untag()). */
function distinct(frames: readonly Buffer[]): Buffer[] {
  const whole = frames.filter(
    (frame) => frame.length >= 20 || !tagTypes.includes(frame.length < 14 ? 0x8100 : frame.readUInt16BE(12))
  )
  return [...new Map(whole.map((frame) => [frame.toString('hex'), frame])).values()]
}

const ends = (size: 4 | 16, host: number): Pick<Flow, 'source' | 'destination'> => ({
  source: Buffer.alloc(size, host),
  destination: Buffer.alloc(size, 200)
})

/** Frames of all kinds, of flows that are in all members. */
function allKinds(): Buffer[] {
  const flows = Array.from({ length: 24 }, (_, host): Flow[] =>
    ([4, 16] as const).map((size) => ({
      ...ends(size, host + 1),
      protocol: udp,
      sourcePort: 40_000,
      destinationPort: 53
    }))
  ).flat()
  const outer = flow(0xc0000201, 0xc0000202)
  const payloads = flows.flatMap((one) => [
    ...[one, reverse(one)].map((each) => packet(each)),
    ...fragments(one),
    ...[[0x8100], [0x88a8], [0x88a8, 0x8100], [0x88a8, 0x8100, 0x8100], [0x9100, 0x8100]].map((types) =>
      tagged(types, packet(one))
    ),
    ...Object.values(tunnels).map((wrap) => wrap(outer, packet(one)))
  ])
  const rest = [...withoutFlow(packet(outer)), frameOf(tagged([0x8100], arpQuestion))]
  const cut = [frameOf(packet(outer)), frameOf(tagged([0x8100], packet(outer)))].flatMap((frame) =>
    Array.from({ length: frame.length - 14 }, (_, index) => frame.subarray(0, 14 + index))
  )
  const any = fc.sample(anyFrame, { numRuns: 1000, seed: 7 }).map((frame) => Buffer.from(frame))
  return distinct([...payloads.map(frameOf), ...rest, ...cut, ...any.filter((frame) => frame.length >= 14)])
}

test('an outer tag is beside the frame at the ingress hook, and in its data at the egress hook', async () => {
  const isBeside = '4,32 0 0 4294963248,21 0 1 1,6 0 0 4294967295,6 0 0 0'
  await mirror([isBeside])
  const frames = tagTypes.map((type) => frameOf(tagged([type], packet(flow(1, 2)))))
  for (const port of ['sw0', card]) await lab.send(frames, port)
  // 0x9100 is no tag to the kernel.
  expect([await readCounts('ingress'), await readCounts('egress')]).toEqual([[2], [0]])
})

describe.each(flowHashes)('shares by %s', (hash) => {
  test('are taken by the kernel, and read back', async () => {
    const shares = sharesBy(hash)
    await mirror(shares.map(writeShare))
    for (const hook of hooks) expect((await readPrograms(hook)).map(readShare)).toEqual(shares)
  })

  test.each(hooks)('give each frame to exactly one, at the hook %s', async (hook) => {
    const shares = sharesBy(hash)
    await mirror(shares.map(writeShare))
    const frames = allKinds()
    // A tag that is in the data here is beside the frame at the ingress hook.
    const expected = shares.map((share) => acceptedBy(writeShare(share), frames))
    expect(expected.filter((some) => some.length > 100)).toHaveLength(members.length)
    expect(await sendTo(hook, frames, expected)).toEqual(expected.map(hexOf))
    const counts = await readCounts(hook)
    expect(counts).toEqual(expected.map(({ length }) => length))
    expect(counts.reduce((sum, count) => sum + count)).toBe(frames.length)
  })

  test('are even within 10 percent over 10,000 random flows, and hold both directions', async () => {
    const random = randomNumbers(3)
    const flows = Array.from({ length: 10_000 }, () =>
      flow(random(2 ** 32), random(2 ** 32), udp, [random(65_536), 53])
    )
    await mirror(sharesBy(hash).map(writeShare), ['ingress'])
    await lab.send(flows.map((one) => frameOf(packet(one))))
    const counts = await readCounts('ingress')
    expect(counts.reduce((sum, count) => sum + count)).toBe(flows.length)
    for (const count of counts) expect(Math.abs(count - 2500)).toBeLessThan(250)
    await lab.send(flows.map((one) => frameOf(packet(reverse(one)))))
    expect(await readCounts('ingress')).toEqual(counts.map((count) => 2 * count))
  })
})

test('a filter, a sample of flows, and a share are one program', async () => {
  const output = await lab.run(['tcpdump', '-ddd', '-y', 'EN10MB', '--', 'udp port 53'])
  const filter = output.trim().split('\n').join(',')
  const programs = sharesBy('addresses').map((share) =>
    joinPrograms([filter, writeSample({ kind: 'flows', take: 1, of: 4 }), writeShare(share)])
  )
  await mirror(programs, ['ingress'])
  expect((await readPrograms('ingress')).map(readSample)).toEqual(
    members.map(() => ({ kind: 'flows', take: 1, of: 4 }))
  )
  const flows = Array.from({ length: 2000 }, (_, host) =>
    [53, 80].map((port) => flow(0x0a000001 + host, 0xc0000250, udp, [4000, port]))
  )
  const frames = flows.flat().map((one) => frameOf(packet(one)))
  await lab.send(frames)
  const expected = programs.map((program) => acceptedBy(program, frames).length)
  expect(await readCounts('ingress')).toEqual(expected)
  expect(Math.abs(expected.reduce((sum, count) => sum + count) - 500)).toBeLessThan(80)
  for (const count of expected) expect(count).toBeGreaterThan(80)
})

test('a sample of frames is at random', async () => {
  await mirror([writeSample({ kind: 'frames', take: 1, of: 10 })], ['ingress'])
  const frame = frameOf(packet(flow(1, 2)))
  await lab.send(Array.from({ length: 10_000 }, () => frame))
  const [count = 0] = await readCounts('ingress')
  // The standard deviation is 30.
  expect(Math.abs(count - 1000)).toBeLessThan(250)
})
