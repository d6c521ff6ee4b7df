/** What a plan costs grows with the number of spans, and not with its square: counted, for time says more about the machine. */
import { fileURLToPath } from 'node:url'
import { expect, test, vi } from 'vitest'
import { indexHost } from '../../src/host/host-index.ts'
import type { Link } from '../../src/host/snapshot.ts'
import { breakLoops } from '../../src/plan/loops.ts'
import { type PlanView, planTarget } from '../../src/plan/plan-view.ts'
import { makeTarget } from '../../src/plan/target.ts'
import { mirrorHandle } from '../../src/resources/marks.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { everySpan } from '../../src/spec/scope.ts'
import { type CapturedHost, readingOf } from '../lab/fixtures/host-file.ts'
import { readSnapshot } from '../lab/fixtures/plan-case.ts'
import { hostOfSensors, spanOfSensor } from './many-sensors.ts'

// The real function, whose calls are counted: how often it is called is what is tested.
vi.mock(import('../../src/resources/marks.ts'), async (load) => {
  const marks = await load()
  return { ...marks, mirrorHandle: vi.fn(marks.mirrorHandle) }
})

/** Twenty spans in sync, each of an interface of its own. */
const whole = readSnapshot(fileURLToPath(new URL('../fixtures/scale/', import.meta.url)), 'host.json')

/** The number in a name such as many7, if7 or of7; 0: it has none. */
const numberOf = (name: string): number => Number(/^(?:many|if|of)(\d+)$/.exec(name)?.[1] ?? 0)

/** The host of the first spans alone. */
function hostOf(spans: number): CapturedHost {
  return {
    ...whole,
    links: whole.links.filter(({ name }) => numberOf(name) <= spans),
    qdiscs: whole.qdiscs.filter(({ device }) => numberOf(device) <= spans),
    filters: whole.filters.filter(({ device }) => numberOf(device) <= spans)
  }
}

/** So many links more, which are nobody's. */
function besides(host: CapturedHost, count: number): CapturedHost {
  const [model] = host.links.filter(({ name }) => name === 'lo')
  if (model === undefined) throw new Error('the host has no lo')
  const foreign = Array.from({ length: count }, (_, n): Link => ({ ...model, name: `foreign${n}`, index: 10_000 + n }))
  return { ...host, links: [...host.links, ...foreign] }
}

const spanOfInterface = (n: number): string => `  many${n}: {sources: [{interface: if${n}}]}\n`

/** An object that says each time that something of it is looked at. */
function watched<Item extends object>(item: Item, looked: () => void): Item {
  return new Proxy(item, {
    get(target, key, receiver) {
      looked()
      return Reflect.get(target, key, receiver)
    }
  })
}

function planSpans(spans: number, host: CapturedHost, spanOf: (n: number) => string): PlanView {
  const lines = Array.from({ length: spans }, (_, n) => spanOf(n + 1))
  const isRead = host.docker.state === 'read'
  const bytes = Buffer.from(`version: 1\n${isRead ? '' : 'name: many\n'}spans:\n${lines.join('')}`)
  const spec = loadSpec([{ path: 'spans.yaml', bytes }])
  const scope = { name: spec.name, spans: everySpan }
  return planTarget(makeTarget(spec, { scope, deferDocker: !isRead, subnetSeed: 'subnet' }), readingOf(host))
}

/** Plans the first spans on a host, and counts how often anything that was read of the host is looked at. */
function countReads(spans: number, host: CapturedHost, changes: number, spanOf = spanOfInterface): number {
  let reads = 0
  const counted = <Item extends object>(item: Item): Item => watched(item, () => reads++)
  const { docker } = host
  const looked = {
    ...host,
    links: host.links.map(counted),
    qdiscs: host.qdiscs.map(counted),
    filters: host.filters.map(counted),
    docker:
      docker.state === 'read'
        ? { ...docker, networks: docker.networks.map(counted), containers: docker.containers.map(counted) }
        : docker
  }
  expect(planSpans(spans, looked, spanOf).plan.changes).toHaveLength(changes)
  return reads
}

test('twice the spans, in sync, are twice the work', () => {
  const half = countReads(10, hostOf(10), 0)
  expect(half).toBeGreaterThan(0)
  expect(countReads(20, hostOf(20), 0)).toBeLessThan(2.2 * half)
})

test('twice the spans, to be made, are twice the work', () => {
  const bare = (spans: number): CapturedHost => ({
    ...hostOf(spans),
    links: hostOf(spans)
      .links.filter(({ name }) => !name.startsWith('many'))
      .map((link) => ({ ...link, promiscuous: false })),
    qdiscs: [],
    filters: []
  })
  expect(countReads(20, bare(20), 100)).toBeLessThan(2.2 * countReads(10, bare(10), 50))
})

test('a foreign link costs the same beside ten spans and beside twenty', () => {
  const foreign = 100
  const costs = [10, 20].map(
    (spans) => countReads(spans, besides(hostOf(spans), foreign), 0) - countReads(spans, hostOf(spans), 0)
  )
  const [beside10 = 0, beside20 = 0] = costs
  expect(beside20).toBeLessThan(1.1 * beside10)
  expect(beside10 / foreign).toBeLessThan(60)
})

test('twice the spans with sensors, in sync, are twice the work', () => {
  const reads = (spans: number) => countReads(spans, hostOfSensors(spans, { bridges: true }), 0, spanOfSensor)
  expect(reads(40)).toBeLessThan(2.2 * reads(20))
})

test('twice the spans with sensors, whose bridges have gone, are twice the work', () => {
  const reads = (spans: number) => countReads(spans, hostOfSensors(spans, { bridges: false }), 4 * spans, spanOfSensor)
  expect(reads(40)).toBeLessThan(2.2 * reads(20))
})

test('twice the spans that the file has no more, and whose bridges have gone, are twice the handles', () => {
  const handles = (spans: number) => {
    const host = hostOfSensors(spans, { bridges: false })
    vi.mocked(mirrorHandle).mockClear()
    planSpans(1, host, spanOfSensor)
    return vi.mocked(mirrorHandle).mock.calls.length
  }
  const half = handles(20)
  expect(half).toBeGreaterThan(20)
  expect(handles(40)).toBeLessThan(2.2 * half)
})

/** How often a span is looked at while loops are looked for, on a host that differs from that of the plan. */
function countLoopReads(
  spans: number,
  spanOf: (n: number) => string,
  loops: number,
  change: (link: Link) => Link = (link) => link
): number {
  const host = hostOfSensors(spans, { bridges: true })
  const { desired } = planSpans(spans, host, spanOf)
  let count = 0
  const looked = desired.spans.map((span) => watched(span, () => count++))
  expect(breakLoops(looked, [], indexHost({ ...host, links: host.links.map(change) })).loops).toHaveLength(loops)
  return count
}

const spanInRow = (n: number) => `  many${n}: {sources: [{interface: ${n === 1 ? 'if1' : `many${n - 1}`}}]}\n`

/** The link, as a port of the span that copies from it. */
const asPort = (link: Link): Link => {
  const port = { isolated: false, learning: true, flooding: true }
  return link.name.startsWith('if') ? { ...link, master: `many${numberOf(link.name)}`, port } : link
}

test('to look for loops in twice the spans, each of which copies from the one before, is twice the work', () => {
  const reads = (spans: number) => countLoopReads(spans, spanInRow, 0)
  expect(reads(40)).toBeLessThan(2.2 * reads(20))
})

test('so it is where the last one of the file feeds the row, and copies its own frames', () => {
  const reads = (spans: number) => {
    const spanOf = (n: number) => (n === spans ? spanOfInterface(n) : spanInRow(n + 2).replace(/many\d+/, `many${n}`))
    return countLoopReads(spans, spanOf, 1, asPort)
  }
  expect(reads(40)).toBeLessThan(2.2 * reads(20))
})

test('to find twice the loops is twice the work', () => {
  const reads = (spans: number) => countLoopReads(spans, spanOfInterface, spans, asPort)
  expect(reads(40)).toBeLessThan(2.2 * reads(20))
})
