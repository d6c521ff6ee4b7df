import type { Sample } from '../../host/read-counters.ts'
import { linksOf } from '../../resources/desired-state.ts'
import { findMirror } from '../counters/counter-delta.ts'
import { type Hop, hopTitle, makeFlowReport } from '../counters/flow-report.ts'
import type { FramePath } from '../counters/frame-path.ts'
import { keyOfHop, type LossTime, trackLosses } from './loss-times.ts'
import { openRateRings, type Period, type Rate, type RatedHop } from './rate-rings.ts'
import { type CountedPath, type Silence, trackSilences } from './silences.ts'
import type { Timed } from './sparkline.ts'

/** Milliseconds from one sample to the next, at least: whoever samples the host does so when it is time for that anyway. */
const shortestPeriod = 45_000

/** Milliseconds that a silence or a loss is kept: a day. */
const longestKept = 24 * 60 * 60 * 1000

/** Silences and losses that are kept, of some 200 bytes each. */
export const mostTimes = 1000

/** Milliseconds since 1970, as the clock is set now. */
type Time = number

/** A silence in the answer of a watch. */
export interface ToldSilence extends Omit<Silence, 'from' | 'to'> {
  readonly from: Time
  readonly to: Time | null
}

/** A loss in the answer of a watch. */
export interface ToldLoss extends Omit<LossTime, 'from' | 'to'> {
  readonly from: Time
  readonly to: Time
}

/** The rates of a hop in the answer of a watch. */
export interface ToldHop extends RatedHop {
  /** Frames a second in each period; null: not known. */
  readonly frames: readonly (number | null)[]
  readonly bytes: readonly (number | null)[]
  /** Periods, by their place, in which the hop was there and its frames are not known. In others it was not there. */
  readonly unknown: readonly number[]
}

/** What was counted in a time. */
export interface FlowHistory {
  /** When counting began; null: it has not begun yet. */
  readonly began: Time | null
  /** The last count; null: there is none yet. */
  readonly counted: Time | null
  /** The spans that were counted last, in the order of the file. */
  readonly spans: readonly string[]
  readonly periods: readonly { readonly begin: Time; readonly end: Time }[]
  readonly hops: readonly ToldHop[]
  readonly silences: readonly ToldSilence[]
  readonly losses: readonly ToldLoss[]
  /** When the last silence or loss ended that was dropped to make room; null: none was. */
  readonly dropped: Time | null
}

/** Which part of a history is asked for. */
export interface HistoryRequest {
  /** Milliseconds until now. */
  readonly since: number
  /** The hops of every kind; else the mirrors alone, which tell how much came. */
  readonly everyHop: boolean
}

/** Makes an empty history: it keeps a day of rates, silences and losses, in a space that depends on the number of hops alone. */
export function openFlowHistory() {
  const rings = openRateRings()
  let times: (Silence | LossTime)[] = []
  let began: number | null = null
  let asked: number | null = null
  let dropped: number | null = null
  let last: { readonly sample: Sample; readonly spans: readonly string[] } | null = null
  const keep = (time: Silence | LossTime) => times.push(time)
  const [silences, losses] = [trackSilences(keep), trackLosses(keep)]

  const forget = (end: number) => {
    times = times.filter(({ to }) => to === null || to > end - longestKept)
    for (const { to } of times.splice(0, Math.max(0, times.length - mostTimes))) dropped = to ?? end
  }
  return {
    /** Whether it is time for a sample. @param now milliseconds of the monotonic clock. */
    isDue: (now: number): boolean => asked === null || now >= asked + shortestPeriod,
    /** No sample can be taken now: it is not time for one before the next period. */
    skip: (now: number): void => {
      asked = now
    },
    /** Adds what was counted since the last sample. */
    add: (paths: readonly FramePath[], sample: Sample): void => {
      const before = last
      asked = sample.at
      last = { sample: cutSample(paths, sample), spans: paths.map(({ span }) => span) }
      began ??= sample.at
      if (before === null || sample.at <= before.sample.at) return
      const period = { begin: before.sample.at, end: sample.at }
      const first = withoutOthers(before.sample, sample)
      const counted = paths.flatMap((path) =>
        before.spans.includes(path.span) ? [countPath(path, first, sample)] : []
      )
      rings.add(period, ratesOf(counted, period))
      silences.add(counted, sample, period)
      losses.add(counted, period)
      forget(sample.at)
    },
    /**
     * What was counted in a time until now.
     *
     * @param now the time by the monotonic clock, and by the wall clock as it is set now.
     */
    tell: ({ since, everyHop }: HistoryRequest, now: { monotonic: number; wall: number }): FlowHistory => {
      const start = now.monotonic - since
      const offset = now.wall - now.monotonic
      const timeOf = (time: number): Time => Math.round(offset + time)
      const orNull = (time: number | null) => (time === null ? null : timeOf(time))
      const { periods, series } = rings.since(start, ({ kind }) => everyHop || kind === 'mirror')
      const told = times.filter(({ to }) => to === null || to > start)
      return {
        began: orNull(began),
        counted: orNull(last?.sample.at ?? null),
        spans: last?.spans ?? [],
        periods: periods.map(({ begin, end }) => ({ begin: timeOf(begin), end: timeOf(end) })),
        hops: series.map(({ hop, frames, bytes, isUnknown }) => ({
          ...hop,
          frames: frames.map(shorten),
          bytes: everyHop ? bytes.map(shorten) : [],
          unknown: isUnknown.flatMap((is, index) => (is ? [index] : []))
        })),
        silences: told.flatMap((one) =>
          'cause' in one ? [] : [{ ...one, from: timeOf(one.from), to: orNull(one.to) }]
        ),
        losses: told.flatMap((one) => ('cause' in one ? [{ ...one, from: timeOf(one.from), to: timeOf(one.to) }] : [])),
        dropped: dropped === null || dropped < start ? null : timeOf(dropped)
      }
    }
  }
}

/** What hops have counted together, in each period. A sum of which a part is not known is not known. */
export function addRates(periods: FlowHistory['periods'], hops: readonly ToldHop[]): Timed[] {
  const partly = new Set(hops.flatMap(({ unknown }) => unknown))
  return periods.map(({ begin, end }, index) => {
    const known = hops.flatMap(({ frames }) => frames[index] ?? [])
    const isKnown = known.length > 0 && !partly.has(index)
    return { begin, end, value: isKnown ? known.reduce((sum, rate) => sum + rate, 0) : null }
  })
}

/** Four digits are more than a sample is exact to. */
function shorten(rate: number | null): number | null {
  return rate === null ? null : Number(rate.toPrecision(4))
}

/** What the next sample is compared with: the links of the paths, of all those that a host may have. */
function cutSample(paths: readonly FramePath[], sample: Sample): Sample {
  const indexes = new Set(
    paths.flatMap(({ bridge, mirrors, ports, outputs }) => [
      bridge,
      ...linksOf(mirrors.map(({ point }) => point)).map(({ index }) => index),
      ...[...mirrors, ...outputs].map(({ underlay }) => underlay?.index ?? null),
      ...[...ports, ...outputs].map(({ index }) => index)
    ])
  )
  const links = sample.links.filter(({ index }) => indexes.has(index))
  const names = new Set(links.map(({ name }) => name))
  return { ...sample, links, totals: sample.totals.filter(({ name }) => names.has(name)) }
}

/** Without the links whose number is another link's by now, which counts by itself. */
function withoutOthers(first: Sample, later: Sample): Sample {
  const names = new Map(later.links.map(({ index, name }) => [index, name]))
  return { ...first, links: first.links.filter(({ index, name }) => names.get(index) === name) }
}

function countPath(path: FramePath, first: Sample, later: Sample): CountedPath {
  const { hops } = makeFlowReport(path, first, later)
  // Of a filter that was not asked for, the first sample tells nothing, and the report takes it for one that has counted nothing.
  const isNew = (hop: Hop) =>
    hop.kind === 'mirror' &&
    path.mirrors.some((mirror) => mirror.point === hop.point && findMirror(mirror, first) === undefined)
  return { path, hops, isKnown: (hop) => hop.frames !== null && !hop.reset && !isNew(hop) }
}

/** A sensor gets what its port sends. Mirrors come first: where there is no room for all, they tell how much came. */
function ratesOf(counted: readonly CountedPath[], { begin, end }: Period): Rate[] {
  const rates = counted.flatMap(({ path, hops, isKnown }) =>
    hops.flatMap((hop): Rate[] => {
      if (hop.kind === 'sensor') return []
      const { kind, device } = hop
      const { frames, bytes } = isKnown(hop) ? hop : { frames: null, bytes: null }
      const perSecond = (count: number | null) => (count === null ? null : (1000 * count) / (end - begin))
      return [
        {
          key: JSON.stringify([path.span, keyOfHop(hop)]),
          hop: {
            span: path.span,
            kind,
            title: hopTitle(hop),
            device,
            countsCopies: kind === 'mirror' && hop.countsCopies
          },
          frames: perSecond(frames),
          bytes: perSecond(bytes)
        }
      ]
    })
  )
  const isMirror = ({ hop }: Rate) => hop.kind === 'mirror'
  return [...rates.filter(isMirror), ...rates.filter((rate) => !isMirror(rate))]
}
