import { type Buckets, bucketCount } from '../programs/share-program.ts'

/** A place among those that share the buckets. Who is in it may be gone for a while. */
export interface Slot {
  readonly alive: boolean
}

/**
 * Gives each bucket to one slot that is alive; without any, to none.
 *
 * Each bucket has a home, and an order of all other slots. It is in the first of these that is alive: when a slot goes, only its
 * buckets move, and they return with it. One slot more at the end takes from each of the others as many as it has to.
 */
export function assignBuckets(slots: readonly Slot[]): Buckets[] {
  const shares = slots.map(() => new Set<number>())
  for (const [home, buckets] of findHomes(slots.length).entries()) {
    for (const [index, bucket] of buckets.entries()) {
      const host = findAlive(preferences(home, index, slots.length), slots)
      if (host !== null) shares[host]?.add(bucket)
    }
  }
  return shares
}

function findAlive(order: Iterable<number>, slots: readonly Slot[]): number | null {
  for (const slot of order) if (slots[slot]?.alive) return slot
  return null
}

/** The buckets at home in each slot: with each slot more, it takes its part, one at a time, from who has the most. */
function findHomes(count: number): number[][] {
  const homes: number[][] = []
  for (let size = 1; size <= count; size++) {
    const taken: number[] = size === 1 ? Array.from({ length: bucketCount }, (_, bucket) => bucket) : []
    while (size > 1 && taken.length < Math.floor(bucketCount / size)) taken.push(takeFromLargest(homes))
    homes.push(taken)
  }
  return homes
}

function takeFromLargest(homes: readonly number[][]): number {
  const largest = homes.reduce((most, home) => (home.length > most.length ? home : most))
  return largest.pop() ?? 0
}

/**
 * The slots in the order in which a bucket goes to them: its home, then the others. Among the buckets of one home, each of the others
 * comes first equally often; among those that have the same first, each of the rest comes second equally often, and so on.
 */
function* preferences(home: number, index: number, count: number): Generator<number> {
  yield home
  const others = Array.from({ length: count - 1 }, (_, step) => (home + 1 + step) % count)
  for (let left = index; others.length > 0; ) {
    const [place, rest] = [left % others.length, Math.floor(left / others.length)]
    yield* others.splice(place, 1)
    left = rest
  }
}
