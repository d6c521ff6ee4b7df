import { type Buckets, bucketCount } from '../programs/share-program.ts'

/** A place among those that share the buckets. It stays while its member is gone. */
export interface Slot {
  readonly name: string
  readonly alive: boolean
}

/**
 * Gives each bucket to one slot that is alive. If none is alive, nobody gets any.
 *
 * Each bucket has a home slot, and an order in which it tries the other slots. It goes to the first one that is alive. When a slot
 * goes, only its buckets move, and they return with it. One slot more or less in the list moves few buckets between the others. The order
 * of the list does not matter.
 */
export function assignBuckets(slots: readonly Slot[]): Buckets[] {
  const sorted = slots.toSorted((one, other) => (one.name < other.name ? -1 : Number(one.name !== other.name)))
  const shares = new Map(slots.map((slot) => [slot, new Set<number>()]))
  for (const [home, buckets] of findHomes(sorted.map(({ name }) => name)).entries()) {
    for (const [index, bucket] of buckets.entries()) {
      const host = findAlive(preferences(home, index, sorted.length), sorted)
      if (host !== undefined) shares.get(host)?.add(bucket)
    }
  }
  return slots.map((slot) => shares.get(slot) ?? new Set())
}

function findAlive(order: Iterable<number>, slots: readonly Slot[]): Slot | undefined {
  for (const slot of order) if (slots[slot]?.alive) return slots[slot]
  return undefined
}

/**
 * The buckets at home in each slot, by rendezvous: a bucket chooses the slot whose name and the bucket together have the highest hash, among
 * those that have room. All get the same number, or one more. The names decide, and not who was there before.
 */
function findHomes(names: readonly string[]): number[][] {
  const homes: number[][] = names.map(() => [])
  const seeds = names.map(hashName)
  const room = Math.floor(bucketCount / names.length)
  for (let bucket = 0; bucket < bucketCount && names.length > 0; bucket++) {
    const rank = (slot: number) => mix((seeds[slot] ?? 0) ^ mix(bucket + 1))
    // What is left at the end, where the number of slots does not divide that of buckets, is one for each.
    const least = Math.min(...homes.map(({ length }) => length))
    const open = homes.flatMap(({ length }, slot) => (length < room || (least === room && length === room) ? slot : []))
    homes[open.reduce((best, slot) => (rank(slot) > rank(best) ? slot : best))]?.push(bucket)
  }
  return homes
}

/** FNV-1a, of 32 bits. */
function hashName(name: string): number {
  return Buffer.from(name).reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5)
}

/** The last step of MurmurHash3, of 32 bits: with each bit of the word, half of the result's bits change. */
function mix(word: number): number {
  const first = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
  return (second ^ (second >>> 16)) >>> 0
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
