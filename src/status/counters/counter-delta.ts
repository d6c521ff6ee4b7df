import { groupBy } from '../../host/host-index.ts'
import type { LinkCounters, MirrorCounters } from '../../host/parsers/counters.ts'
import type { Listener, Sample } from '../../host/read-counters.ts'
import { type ContainerInterface, hookKey } from '../../host/snapshot.ts'
import { placeOf } from '../../resources/desired-state.ts'
import { memoized } from '../../resources/kind.ts'
import type { PathMirror } from './frame-path.ts'

/**
 * How much a counter grew from one sample to the next. A sample reads some counters a moment before others. So `least` and
 * `most` bound the growth between two moments that are the same for all counters.
 */
export interface CounterDelta {
  readonly count: number
  readonly least: number
  readonly most: number
  /** The counter began at 0 again between the samples: `count` is what came since then, and is compared with no other delta. */
  readonly reset: boolean
}

/** The counters of one interface or filter in two samples; `first` is missing where the first sample does not have it. */
export interface CounterPair<Counters> {
  readonly first: Counters | undefined
  readonly later: Counters
}

/**
 * Seconds by which two times of tc and our clock may differ. tc gives whole seconds, of a clock that NTP does not slew. NTP
 * slews ours by 500 ppm at most.
 */
function tolerance(elapsed: number): number {
  return 2 + elapsed / 1000
}

/** The counters of a link in a sample; undefined: the link is not there. */
export function findLink(index: number | null, { links }: Sample): LinkCounters | undefined {
  return links.find((link) => link.index === index)
}

/** The packet sockets of an interface in a container, in a sample; undefined: they were not asked for. */
export function findListener({ sandbox, index }: ContainerInterface, { listeners }: Sample): Listener | undefined {
  return listeners.find(({ inside }) => inside.sandbox === sandbox && inside.index === index)
}

/** The mirrors of a sample by their hooks: each hop asks for its own. */
const mirrorsAt = memoized(({ mirrors }: Pick<Sample, 'mirrors'>) => groupBy(mirrors, hookKey))

type MirrorPlace = Pick<PathMirror, 'point' | 'handles'>

/** The counters of the mirrors at a hook in a sample, together; undefined: no filter of these is there. */
export function findMirror({ point, handles }: MirrorPlace, sample: Sample): MirrorCounters | undefined {
  const found = mirrorsAt(sample)(hookKey(placeOf(point))).filter(({ handle }) => handles.includes(handle))
  const [first, ...others] = found
  return first && others.reduce(addMirror, first)
}

/** A copy that is lost at one of them is lost at all of them together. */
function addMirror(one: MirrorCounters, other: MirrorCounters): MirrorCounters {
  const sum = (counter: 'packets' | 'bytes' | 'overlimits' | 'drops') => one[counter] + other[counter]
  return {
    ...one,
    packets: sum('packets'),
    bytes: sum('bytes'),
    overlimits: sum('overlimits'),
    drops: sum('drops'),
    target: other.target === '*' ? '*' : one.target,
    installed: Math.min(one.installed, other.installed),
    idle: Math.min(one.idle, other.idle),
    ...(one.policer && other.policer && { policer: addPolicer(one.policer, other.policer) })
  }
}

type Policer = NonNullable<MirrorCounters['policer']>

function addPolicer(one: Policer, other: Policer): Policer {
  const [packets, bytes] = [one.packets + other.packets, one.bytes + other.bytes]
  return { packets, bytes, exceeded: one.exceeded + other.exceeded }
}

/** The counters of a link in two samples; undefined: the later one does not have it. */
export function pairLinks(index: number | null, first: Sample, later: Sample): CounterPair<LinkCounters> | undefined {
  const counters = findLink(index, later)
  return counters && { first: findLink(index, first), later: counters }
}

/** The counters of a mirror in two samples; undefined: the later one does not have it. */
export function pairMirrors(
  mirror: MirrorPlace,
  first: Sample,
  later: Sample
): CounterPair<MirrorCounters> | undefined {
  const [before, now] = [findMirror(mirror, first), findMirror(mirror, later)]
  if (now === undefined) return undefined
  const elapsed = (later.at - first.at) / 1000
  // The filter was there all the time; only the first sample did not ask for it.
  if (before === undefined && now.installed > elapsed + tolerance(elapsed)) return { first: now, later: now }
  const isNew = before === undefined || now.installed < before.installed + elapsed - tolerance(elapsed)
  return { first: isNew ? undefined : before, later: now }
}

/** The delta of a counter that is read once in each sample. */
export function counterDelta<Counters>(
  { first, later }: CounterPair<Counters>,
  read: (counters: Counters) => number
): CounterDelta {
  const [before, now] = [first === undefined ? 0 : read(first), read(later)]
  const reset = first === undefined || now < before
  const count = reset ? now : now - before
  return { count, least: count, most: count, reset }
}

/** The delta of the frames that a link has received or sent. These are read twice in each sample. */
export function frameDelta(
  pair: CounterPair<LinkCounters>,
  direction: 'rx' | 'tx',
  [first, later]: readonly [Sample, Sample]
): CounterDelta {
  const delta = counterDelta(pair, (link) => link[direction].packets)
  if (pair.first === undefined || delta.reset) return delta
  const readLast = (sample: Sample, link: LinkCounters) =>
    sample.totals.find(({ name }) => name === link.name)?.[direction] ?? link[direction].packets
  return {
    ...delta,
    least: pair.later[direction].packets - readLast(first, pair.first),
    most: readLast(later, pair.later) - pair.first[direction].packets
  }
}

/** The delta of several counters together. */
export function sumDeltas(deltas: readonly CounterDelta[]): CounterDelta {
  const add = (read: (delta: CounterDelta) => number) => deltas.reduce((total, delta) => total + read(delta), 0)
  return {
    count: add(({ count }) => count),
    least: add(({ least }) => least),
    most: add(({ most }) => most),
    reset: deltas.some(({ reset }) => reset)
  }
}

/**
 * The frames that certainly did not get from one hop to the next.
 *
 * @param known how many of them are known to be lost.
 */
export function missingFrames(before: CounterDelta, after: CounterDelta, known = 0): number {
  return before.reset || after.reset ? 0 : Math.max(0, before.least - after.most - known)
}
