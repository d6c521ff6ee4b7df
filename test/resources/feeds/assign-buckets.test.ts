import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignBuckets, type Slot } from '../../../src/resources/feeds/assign-buckets.ts'

const most = 32
const slots = (count: number, gone: readonly number[] = []) =>
  Array.from({ length: count }, (_, slot) => ({ name: `ids-${slot + 1}`, alive: !gone.includes(slot) }))

/** By bucket: the slot that has it. */
function ownersOf(alive: readonly Slot[]): (number | undefined)[] {
  const owners: (number | undefined)[] = Array.from({ length: 256 })
  for (const [slot, buckets] of assignBuckets(alive).entries()) for (const bucket of buckets) owners[bucket] = slot
  return owners
}

function spreadOf(count: number, gone: readonly number[]): number {
  const sizes = assignBuckets(slots(count, gone)).flatMap(({ size }, slot) => (gone.includes(slot) ? [] : [size]))
  return Math.max(...sizes) - Math.min(...sizes)
}

const anySlots = fc.uniqueArray(fc.record({ name: fc.string(), alive: fc.boolean() }), {
  minLength: 1,
  maxLength: 40,
  selector: ({ name }) => name
})

describe('buckets', () => {
  test('are each in one slot that is alive', () => {
    fc.assert(
      fc.property(anySlots, (some) => {
        const shares = assignBuckets(some)
        const isAnyAlive = some.some(({ alive }) => alive)
        expect(shares).toHaveLength(some.length)
        expect(shares.flatMap((buckets) => [...buckets]).sort((a, b) => a - b)).toEqual(
          isAnyAlive ? Array.from({ length: 256 }, (_, bucket) => bucket) : []
        )
        expect(shares.filter(({ size }, slot) => size > 0 && !some[slot]?.alive)).toEqual([])
      })
    )
  })

  test('move only from the slot that goes, and back to it', () => {
    fc.assert(
      fc.property(anySlots, fc.nat(39), (some, place) => {
        const slot = place % some.length
        const [with_, without] = [true, false].map((alive) =>
          ownersOf(some.map((one, index) => (index === slot ? { ...one, alive } : one)))
        )
        const moved = with_?.filter((owner, bucket) => owner !== without?.[bucket])
        expect(moved?.filter((owner) => owner !== slot)).toEqual([])
        expect(without).not.toContain(slot)
      })
    )
  })

  test('are where they are, in whatever order the slots are listed', () => {
    fc.assert(
      fc.property(anySlots, (some) => {
        const names = (slots: readonly Slot[]) => ownersOf(slots).map((owner) => slots[owner ?? -1]?.name)
        expect(names(some.toReversed())).toEqual(names(some))
      })
    )
  })

  test('stay, but for few, where a slot is more or less in the list, wherever that is', () => {
    for (let count = 2; count <= 16; count++) {
      for (let without = 0; without < count; without++) {
        const all = slots(count)
        const rest = all.filter((_, slot) => slot !== without)
        const [before, after] = [ownersOf(all), ownersOf(rest)]
        const staying = before.flatMap((owner, bucket) => (owner === without ? [] : [[owner, after[bucket]] as const]))
        const moved = staying.filter(([owner, now]) => all[owner ?? -1]?.name !== rest[now ?? -1]?.name)
        expect(moved.length / staying.length).toBeLessThan(0.12)
      }
    }
  })
})

describe('the largest slot has hardly more than the smallest', () => {
  const counts = Array.from({ length: most }, (_, index) => index + 1)

  test.each(counts)('of %i, also while one or two of them are gone', (count) => {
    const all = Array.from({ length: count }, (_, slot) => slot)
    const pairs = all.flatMap((one) => all.slice(one + 1).map((other) => [one, other]))
    const largest = (some: readonly (readonly number[])[]) => Math.max(...some.map((gone) => spreadOf(count, gone)))
    expect(largest([[]])).toBeLessThanOrEqual(1)
    if (count > 1) expect(largest(all.map((one) => [one]))).toBeLessThanOrEqual(2)
    if (count > 2) expect(largest(pairs)).toBeLessThanOrEqual(5)
  })
})

test('nobody has any where nobody is alive, and where nobody is', () => {
  expect(assignBuckets(slots(2, [0, 1])).map(({ size }) => size)).toEqual([0, 0])
  expect(assignBuckets([])).toEqual([])
})
