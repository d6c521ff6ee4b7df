/** What a plan costs grows with the number of spans, and not with its square: counted, for time says more about the machine. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Link } from '../../../src/host/snapshot.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { makeTarget } from '../../../src/plan/target.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { everySpan } from '../../../src/spec/scope.ts'
import { readSnapshot } from './case.ts'
import { type CapturedHost, factsOf } from './host-file.ts'

/** Twenty spans in sync, each of an interface of its own. */
const whole = readSnapshot(fileURLToPath(new URL('../../fixtures/scale/', import.meta.url)), 'host.json')

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

/** Plans the first spans on a host, and counts how often anything of its links, qdiscs and filters is looked at. */
function countReads(spans: number, host: CapturedHost): number {
  let reads = 0
  const counted = <Item extends object>(item: Item): Item =>
    new Proxy(item, {
      get(target, key, receiver) {
        reads++
        return Reflect.get(target, key, receiver)
      }
    })
  const lines = Array.from({ length: spans }, (_, n) => `  many${n + 1}: {sources: [{interface: if${n + 1}}]}\n`)
  const bytes = Buffer.from(`version: 1\nname: many\nspans:\n${lines.join('')}`)
  const spec = loadSpec([{ path: 'spans.yaml', bytes }])
  const target = makeTarget(spec, {
    scope: { name: spec.name, spans: everySpan },
    deferDocker: true,
    subnetSeed: 'subnet'
  })
  const { plan } = planTarget(
    target,
    factsOf({
      ...host,
      links: host.links.map(counted),
      qdiscs: host.qdiscs.map(counted),
      filters: host.filters.map(counted)
    })
  )
  const known = host.filters.length > 0
  expect(plan.changes.length).toBe(known ? 0 : spans * 5)
  return reads
}

test('twice the spans, in sync, are twice the work', () => {
  const half = countReads(10, hostOf(10))
  expect(half).toBeGreaterThan(0)
  expect(countReads(20, hostOf(20))).toBeLessThan(2.2 * half)
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
  expect(countReads(20, bare(20))).toBeLessThan(2.2 * countReads(10, bare(10)))
})

test('a foreign link costs the same beside ten spans and beside twenty', () => {
  const foreign = 100
  const costs = [10, 20].map(
    (spans) => countReads(spans, besides(hostOf(spans), foreign)) - countReads(spans, hostOf(spans))
  )
  const [beside10 = 0, beside20 = 0] = costs
  expect(beside20).toBeLessThan(1.1 * beside10)
  expect(beside10 / foreign).toBeLessThan(60)
})
