import type { Hop } from '../counters/flow-report.ts'

/** A hop whose rates are kept. */
export interface RatedHop {
  readonly span: string
  readonly kind: Hop['kind']
  /** What it is called now: the interface of a container has another name after a restart. */
  readonly title: string
  readonly device: string
  /** What is counted are copies: a frame that several receivers take is counted for each. */
  readonly countsCopies: boolean
}

/** What a hop counted in one period: frames, and bytes with their Ethernet headers, a second. */
export interface Rate {
  /** The same for one hop all the time, whatever it is called. */
  readonly key: string
  readonly hop: RatedHop
  /** null: the hop was there, and nobody knows what it has counted. */
  readonly frames: number | null
  /** null: they are not counted. */
  readonly bytes: number | null
}

/** A time, in milliseconds of the monotonic clock. */
export interface Period {
  readonly begin: number
  readonly end: number
}

/** What is kept for a hop that was there, where its rate is not known. NaN is kept where there was no such hop. */
const unknown = -1

/** The rates of one hop, one for each period. */
export interface RateSeries {
  readonly hop: RatedHop
  /** null: not known. */
  readonly frames: readonly (number | null)[]
  readonly bytes: readonly (number | null)[]
  /** Whether the hop was there and its frames are not known, in each period. */
  readonly isUnknown: readonly boolean[]
}

/** Of the last hour, each period is kept: there are no more than one in 45 seconds. */
const mostFine = 80

/** Of a day, periods of ten minutes. */
const mostCoarse = 144
const coarseLength = 10 * 60 * 1000

/** Milliseconds: a hop that has counted nothing for so long is forgotten. */
const longestSilence = mostCoarse * coarseLength

/** Hops whose rates are kept, of some 1,800 bytes each. A span with one interface and one sensor has five. */
export const mostHops = 3000

/** Numbers of one hop: of frames and of bytes. */
const numbers = 2 * (mostFine + mostCoarse)

/** Where the numbers of each ring begin. */
const [fineFrames, fineBytes, coarseFrames, coarseBytes] = [0, mostFine, 2 * mostFine, 2 * mostFine + mostCoarse]

/** A hop, its numbers, and when they came last. */
interface Kept {
  hop: RatedHop
  readonly data: Float32Array
  last: number
}

/** Makes empty rings of rates: their size depends on the number of hops, and never on the time. */
export function openRateRings() {
  const kept = new Map<string, Kept>()
  const [fine, coarse]: [Period[], Period[]] = [[], []]
  let [fineCount, coarseCount] = [0, 0]
  let coarseBegin: number | null = null

  const find = ({ key, hop }: Rate, end: number, makeRoom: () => boolean): Kept | null => {
    const known = kept.get(key)
    if (known !== undefined) return known
    if (kept.size >= mostHops && !makeRoom()) return null
    const added = { hop, data: new Float32Array(numbers).fill(Number.NaN), last: end }
    kept.set(key, added)
    return added
  }
  const forgetGone = (end: number) => {
    for (const [key, { last }] of kept) if (last < end - longestSilence) kept.delete(key)
  }
  /** Gives what forgets, each time, the hop that has counted nothing for the longest; false: all have counted something just now. */
  const openEviction = (present: ReadonlySet<string>) => {
    let gone: string[] | null = null
    return () => {
      gone ??= [...kept]
        .filter(([key]) => !present.has(key))
        .sort(([, one], [, other]) => other.last - one.last)
        .map(([key]) => key)
      return kept.delete(gone.pop() ?? '')
    }
  }
  /** The means of what came in the periods since the last coarse one. */
  const addCoarse = (begin: number, end: number) => {
    const slot = coarseCount % mostCoarse
    coarse[slot] = { begin, end }
    coarseCount++
    const slots = fine.flatMap((period, index) => (period.begin >= begin ? [[index, period] as const] : []))
    for (const { data } of kept.values()) {
      for (const [from, to] of [
        [fineFrames, coarseFrames],
        [fineBytes, coarseBytes]
      ] as const) {
        let [sum, time, isThere] = [0, 0, false]
        for (const [index, period] of slots) {
          const rate = data[from + index] ?? Number.NaN
          if (rate === unknown) isThere = true
          if (!(rate >= 0)) continue
          sum += rate * (period.end - period.begin)
          time += period.end - period.begin
        }
        data[to + slot] = time > 0 ? sum / time : isThere ? unknown : Number.NaN
      }
    }
  }
  return {
    /** Adds what was counted in a period, which follows the one before. What is not in it is not known. */
    add: ({ begin, end }: Period, rates: readonly Rate[]): void => {
      const slot = fineCount % mostFine
      fine[slot] = { begin, end }
      fineCount++
      for (const { data } of kept.values()) {
        data[fineFrames + slot] = Number.NaN
        data[fineBytes + slot] = Number.NaN
      }
      forgetGone(end)
      const makeRoom = openEviction(new Set(rates.map(({ key }) => key)))
      for (const rate of rates) {
        const one = find(rate, end, makeRoom)
        if (one === null) continue
        one.hop = rate.hop
        one.last = end
        one.data[fineFrames + slot] = rate.frames ?? unknown
        one.data[fineBytes + slot] = rate.bytes ?? Number.NaN
      }
      coarseBegin ??= begin
      if (end - coarseBegin < coarseLength) return
      addCoarse(coarseBegin, end)
      coarseBegin = end
    },
    /** The periods that end after a time, in their order, and the rates of the hops in them. */
    since: (start: number, isWanted: (hop: RatedHop) => boolean): { periods: Period[]; series: RateSeries[] } => {
      const oldest = Math.min(...fine.map(({ begin }) => begin))
      const older = inOrder(coarse, coarseCount, mostCoarse).filter(({ period }) => period.begin < oldest)
      const boundary = older.at(-1)?.period.end ?? -Infinity
      const newer = inOrder(fine, fineCount, mostFine).filter(({ period }) => period.end > boundary)
      const isLate = ({ period }: Slot) => period.end > start
      const [coarseSlots, fineSlots] = [older.filter(isLate), newer.filter(isLate)]
      const read = (data: Float32Array, coarseAt: number, fineAt: number) => [
        ...coarseSlots.map(({ index }) => data[coarseAt + index] ?? Number.NaN),
        ...fineSlots.map(({ index }) => data[fineAt + index] ?? Number.NaN)
      ]
      return {
        periods: [...coarseSlots, ...fineSlots].map(({ period }) => period),
        series: [...kept.values()].flatMap(({ hop, data }) => {
          if (!isWanted(hop)) return []
          const frames = read(data, coarseFrames, fineFrames)
          if (frames.every(Number.isNaN)) return []
          const bytes = read(data, coarseBytes, fineBytes)
          const isUnknown = frames.map((rate) => rate === unknown)
          return [{ hop, frames: frames.map(orNull), bytes: bytes.map(orNull), isUnknown }]
        })
      }
    }
  }
}

const orNull = (rate: number) => (rate >= 0 ? rate : null)

interface Slot {
  readonly index: number
  readonly period: Period
}

/** The slots of a ring, the oldest first. */
function inOrder(ring: readonly Period[], count: number, most: number): Slot[] {
  const slots = ring.map((period, index) => ({ index, period }))
  const next = count % most
  return ring.length < most ? slots : [...slots.slice(next), ...slots.slice(0, next)]
}
