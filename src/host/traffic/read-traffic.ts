import { setTimeout as sleep } from 'node:timers/promises'
import { type Diagnostic, nullIfForeseen } from '../../errors.ts'
import { forEachConcurrently } from '../exec.ts'
import { readSample, type Sample } from '../read-counters.ts'
import type { Link } from '../snapshot.ts'
import { canBeHeard, type Ear, findDeafness, listen } from './listen.ts'
import type { FrameTally } from './tally-frames.ts'

/** What an interface has received meanwhile. */
export interface LinkTraffic {
  readonly framesPerSecond: number
  readonly bitsPerSecond: number
  /** A sample of it; null: nobody has listened. */
  readonly tally: FrameTally | null
}

/** What interfaces have received, for some time. */
export interface TrafficReading {
  /** The time between the two ends. */
  readonly seconds: number
  /** By the index of the link. One that has gone, or was made again, is not there. */
  readonly links: ReadonlyMap<number, LinkTraffic>
  /** Why nobody has listened; null: somebody has. */
  readonly deafness: Diagnostic | null
}

/** Interfaces on which somebody listens at a time. */
const mostEars = 32

/**
 * Reads what all interfaces receive, by their counters, and listens meanwhile on some.
 *
 * @param heard the links on which to listen. At most 32: of the others, only the counters are read.
 * @param milliseconds for how long.
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readTraffic(
  heard: readonly Pick<Link, 'index' | 'name' | 'mac'>[],
  milliseconds: number
): Promise<TrafficReading> {
  const deafness = heard.length === 0 ? null : await findDeafness()
  const ears = new Map<number, Ear>()
  const begun = deafness === null ? heard.filter(({ name }) => canBeHeard(name)).slice(0, mostEars) : []
  try {
    await forEachConcurrently(begun, async (link) => {
      const ear = await listen(link).catch(nullIfForeseen)
      if (ear !== null) ears.set(link.index, ear)
    })
    const first = await readCounters()
    await sleep(milliseconds)
    const last = await readCounters()
    return { ...compare(first, last, await endAll(ears)), deafness }
  } finally {
    await endAll(ears)
  }
}

const readCounters = () => readSample({ tcHooks: [], interfaces: [], senderTables: [] })

async function endAll(ears: ReadonlyMap<number, Ear>): Promise<ReadonlyMap<number, FrameTally | null>> {
  return new Map(await Promise.all([...ears].map(async ([index, ear]) => [index, await ear.end()] as const)))
}

function compare(first: Sample, last: Sample, tallies: ReadonlyMap<number, FrameTally | null>) {
  const seconds = (last.at - first.at) / 1000
  const before = new Map(first.links.map((link) => [link.index, link]))
  const links = last.links.flatMap(({ index, rx }): [number, LinkTraffic][] => {
    const old = before.get(index)?.rx
    if (old === undefined) return []
    const rate = (kind: 'packets' | 'bytes') => Math.max(0, rx[kind] - old[kind]) / seconds
    const rates = { framesPerSecond: rate('packets'), bitsPerSecond: 8 * rate('bytes') }
    return [[index, { ...rates, tally: tallies.get(index) ?? null }]]
  })
  return { seconds, links: new Map(links) }
}
