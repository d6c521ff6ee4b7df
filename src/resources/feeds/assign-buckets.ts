import { type Buckets, bucketCount } from '../programs/share-program.ts'

/** A place among those that share the buckets. It stays while its member is gone. */
export interface Slot {
  readonly alive: boolean
}

/**
 * Gives each bucket to one slot that is alive. If none is alive, nobody gets any.
 *
 * Each bucket has a home slot, and an order in which it tries the other slots. It goes to the first one that is alive. When a slot
 * goes, only its buckets move, and they return with it. A new slot at the end takes only its own part from the others.
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

/** The buckets at home in each slot. Each new slot takes its part bucket by bucket, always from the slot that has the most. */
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
 * The slots in the order in which a bucket tries them: its home, then the others. Among the buckets of one home, each other slot is
 * second equally often. Among the buckets with the same first two, each remaining slot is third equally often, and so on.
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
