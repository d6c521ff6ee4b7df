import type { LinkCounters, MirrorCounters } from '../../host/parsers/counters.ts'
import type { Sample } from '../../host/read-counters.ts'
import type { PathMirror } from './frame-path.ts'

/**
 * How far a counter has come from one sample to the next. A sample reads some counters a moment before others: `least` and
 * `most` are what it may have been at one and the same moment.
 */
export interface CounterDelta {
  readonly count: number
  readonly least: number
  readonly most: number
  /** What is counted was made anew meanwhile: `count` is what came since, and nothing can be made of a difference. */
  readonly reset: boolean
}

/** Two samples of one thing; `first` is missing where it was not there, or was another. */
export interface Pair<Counters> {
  readonly first: Counters | undefined
  readonly later: Counters
}

/**
 * Seconds by which tc's times may be wrong together. They are whole ones, of a clock that NTP does not slew, as it does
 * ours: by 500 ppm at most.
 */
function slack(elapsed: number): number {
  return 2 + elapsed / 1000
}

/** What a sample has of a link; none if it is not there. */
export function findLink(index: number | null, { links }: Sample): LinkCounters | undefined {
  return links.find((link) => link.index === index)
}

/** What a sample has of a mirror; none if it is not there. */
export function findMirror(mirror: PathMirror, { mirrors }: Sample): MirrorCounters | undefined {
  return mirrors.find(
    ({ device, tcHook, handle }) => device === mirror.device && tcHook === mirror.tcHook && handle === mirror.handle
  )
}

/** A link's counters; none if it is not there any more. */
export function pairLinks(index: number | null, first: Sample, later: Sample): Pair<LinkCounters> | undefined {
  const now = findLink(index, later)
  return now && { first: findLink(index, first), later: now }
}

/** A mirror's counters; none if it is not there any more. */
export function pairMirrors(mirror: PathMirror, first: Sample, later: Sample): Pair<MirrorCounters> | undefined {
  const [before, now] = [findMirror(mirror, first), findMirror(mirror, later)]
  if (now === undefined) return undefined
  const elapsed = (later.at - first.at) / 1000
  // One that was there all the time, and that the first sample did not look at.
  if (before === undefined && now.installed > elapsed + slack(elapsed)) return { first: now, later: now }
  const anew = before === undefined || now.installed < before.installed + elapsed - slack(elapsed)
  return { first: anew ? undefined : before, later: now }
}

/** Of a counter that is read once in each sample. */
export function deltaOf<Counters>(
  { first, later }: Pair<Counters>,
  read: (counters: Counters) => number
): CounterDelta {
  const [before, now] = [first === undefined ? 0 : read(first), read(later)]
  const reset = first === undefined || now < before
  const count = reset ? now : now - before
  return { count, least: count, most: count, reset }
}

/** Of the frames that a link has received or sent, which are read twice in each sample. */
export function frameDelta(
  pair: Pair<LinkCounters>,
  way: 'rx' | 'tx',
  [first, later]: readonly [Sample, Sample]
): CounterDelta {
  const delta = deltaOf(pair, (link) => link[way].packets)
  if (pair.first === undefined || delta.reset) return delta
  const soon = (sample: Sample, link: LinkCounters) =>
    sample.totals.find(({ name }) => name === link.name)?.[way] ?? link[way].packets
  return {
    ...delta,
    least: pair.later[way].packets - soon(first, pair.first),
    most: soon(later, pair.later) - pair.first[way].packets
  }
}

/** Of several counters together. */
export function sum(growths: readonly CounterDelta[]): CounterDelta {
  const add = (read: (delta: CounterDelta) => number) => growths.reduce((total, delta) => total + read(delta), 0)
  return {
    count: add(({ count }) => count),
    least: add(({ least }) => least),
    most: add(({ most }) => most),
    reset: growths.some(({ reset }) => reset)
  }
}

/** What came in and certainly did not go on, beside what is known to be lost. */
export function missing(came: CounterDelta, went: CounterDelta, known = 0): number {
  return came.reset || went.reset ? 0 : Math.max(0, came.least - went.most - known)
}
