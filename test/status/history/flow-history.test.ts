/** What a watch keeps of rates, silences and losses: a day of them, in a space that only the number of hops decides. */
import { describe, expect, test } from 'vitest'
import type { Sample } from '../../../src/host/read-counters.ts'
import type { FramePath, PathMirror } from '../../../src/status/counters/frame-path.ts'
import { addRates, mostTimes, openFlowHistory } from '../../../src/status/history/flow-history.ts'
import { mostHops, openRateRings, type Rate } from '../../../src/status/history/rate-rings.ts'
import { path, sampleOf } from '../counters/samples.ts'

const minute = 60
const day = 24 * 60 * minute

type Counts = Parameters<typeof sampleOf>[0]

/** A history of samples, one a minute: each says how many frames came in it, or has all its counts. */
function historyOf(samples: readonly (number | Counts)[], paths: readonly FramePath[] = [path]) {
  const history = openFlowHistory()
  let total = 0
  let idle = 0
  for (const [index, one] of samples.entries()) {
    const came = typeof one === 'number' ? one : 0
    total += came
    idle = came > 0 ? 0 : idle + minute
    const counts = {
      ...{ at: index * minute, received: total, mirror: total, bridge: total, ports: [total, total] as const },
      filter: { idle, installed: day + index * minute }
    }
    history.add(paths, sampleOf(typeof one === 'number' ? counts : { ...counts, ...one }))
  }
  return told(history, (samples.length - 1) * minute)
}

/** What it tells, in seconds of the samples' clock. */
function told(history: ReturnType<typeof openFlowHistory>, now: number, since = day) {
  return history.tell({ since: since * 1000, everyHop: true }, { monotonic: now * 1000, wall: now * 1000 })
}

const busy = Array.from({ length: 11 }, () => 600)
const zeros = (count: number) => Array.from({ length: count }, () => 0)

/** Minutes of each silence; a star for one that goes on. */
const silences = (history: ReturnType<typeof told>) =>
  history.silences.map(({ from, to }) => `${from / 60_000}-${to === null ? '*' : to / 60_000}`)

describe('silences', () => {
  test('three minutes without a frame, after ten with some, are one: it begins after the last frame', () => {
    expect(silences(historyOf([...busy, 0, 0]))).toEqual([])
    expect(silences(historyOf([...busy, 0, 0, 0]))).toEqual(['10-*'])
    const over = historyOf([...busy, 0, 0, 0, 0, 600])
    expect(silences(over)).toEqual(['10-15'])
    expect(over.silences[0]).toMatchObject({
      span: 'span0',
      source: 'ens192',
      title: 'ens192 ingress',
      before: 10,
      arrived: 0
    })
    expect(over.silences[0]?.asks).toContain('mirror session')
  })

  test('what comes now and then is never silent', () => {
    expect(silences(historyOf([...Array.from({ length: 30 }, (_, index) => (index % 4 === 0 ? 60 : 0))]))).toEqual([])
    expect(silences(historyOf(zeros(30)))).toEqual([])
  })

  test('two are two', () => {
    expect(silences(historyOf([...busy, ...zeros(5), ...busy, ...zeros(4)]))).toEqual(['10-16', '26-*'])
  })

  test('a max_idle counts in their place, from the last frame on', () => {
    const [mirror] = path.mirrors as [PathMirror]
    const own = { ...path, mirrors: [{ ...mirror, point: { ...mirror.point, maxIdle: 90_000 } }] }
    expect(silences(historyOf([600, 600, 0], [own]))).toEqual([])
    expect(silences(historyOf([600, 600, 0, 0], [own]))).toEqual(['1-*'])
    expect(silences(historyOf([600, 600, 0, 0, 600], [own]))).toEqual(['1-4'])
    // Before the watch began.
    const history = historyOf([0, { filter: { idle: 600, installed: day + minute } }].map((one) => one) as Counts[], [
      own
    ])
    expect(history.silences).toMatchObject([{ from: -540_000, to: null, before: 0 }])
  })

  test('of one source, one ends before the next begins', () => {
    const [mirror] = path.mirrors as [PathMirror]
    const own = { ...path, mirrors: [{ ...mirror, point: { ...mirror.point, maxIdle: 90_000 } }] }
    const late = (index: number, idle: number) => ({
      ...{ received: 1800, mirror: 1800, bridge: 1800, ports: [1800, 1800] as const },
      filter: { idle, installed: day + index * minute }
    })
    // The last frame came in the middle of a period.
    const { silences: found } = historyOf([600, 600, 0, 0, 600, late(5, 90), late(6, 150)], [own])
    expect(found.map(({ from, to }) => [from / 1000, to === null ? null : to / 1000])).toEqual([
      [60, 210],
      [210, null]
    ])
  })

  test('frames that the filter does not take are told from frames that do not come', () => {
    const taken = busy.length * 600
    const filtered = (index: number): Counts => ({
      ...{ received: taken + index * 50, mirror: taken, bridge: taken, ports: [taken, taken] },
      filter: { idle: index * minute, installed: 2 * day + index * minute }
    })
    const [mirror] = path.mirrors as [PathMirror]
    const selection = { expression: 'port 9', everyFrame: false }
    const own = { ...path, mirrors: [{ ...mirror, point: { ...mirror.point, selection } }] }
    const history = historyOf([...busy, filtered(1), filtered(2), filtered(3)], [own])
    expect(history.silences).toMatchObject([{ arrived: 150 }])
  })

  test('a mirror that is made again does not end one, and neither does a minute that nobody knows', () => {
    const total = busy.length * 600
    const again: Counts = {
      ...{ received: total, mirror: 0, bridge: total, ports: [total, total] },
      filter: { installed: 5, idle: 5 }
    }
    const since = (index: number): Counts => ({
      ...again,
      filter: { installed: 5 + index * minute, idle: 5 + index * minute }
    })
    expect(silences(historyOf([...busy, 0, 0, 0, again, since(1), since(2)]))).toEqual(['10-*'])
  })

  test('of a span that is looked at no longer, nobody knows how it goes on', () => {
    const history = openFlowHistory()
    const counts = [...busy, 0, 0, 0]
    let total = 0
    for (const [index, came] of counts.entries()) {
      total += came
      const at = index * minute
      history.add(
        [path],
        sampleOf({ at, received: total, mirror: total, bridge: total, filter: { installed: day + at } })
      )
    }
    history.add([], sampleOf({ at: counts.length * minute }))
    expect(silences(told(history, counts.length * minute))).toEqual(['10-13'])
    // And what is looked at again begins anew: what came meanwhile is the rate of no minute.
    history.add([path], sampleOf({ at: 20 * minute, received: 9e6, mirror: 9e6 }))
    history.add([path], sampleOf({ at: 21 * minute, received: 9e6, mirror: 9e6 }))
    const { hops } = told(history, 21 * minute)
    expect(Math.max(...hops.flatMap(({ frames }) => frames.map((rate) => rate ?? 0)))).toBe(10)
  })
})

/** `KIND CAUSE FRAMES/OF FROM-TO` in minutes. */
const losses = (history: ReturnType<typeof told>) =>
  history.losses.map(
    ({ kind, cause, frames, of, from, to }) => `${kind} ${cause} ${frames}/${of} ${from / 60_000}-${to / 60_000}`
  )

describe('losses', () => {
  const lossy = (index: number, lost: number): Counts => ({
    ...{ at: index * minute, received: index * 1000, mirror: index * 1000, bridge: index * 1000 },
    ports: [index * 1000 - lost, index * 1000],
    links: {
      6: {
        tx: { packets: index * 1000 - lost, bytes: 0, errors: 0, dropped: lost },
        ...{ rx: { packets: 0, bytes: 0, errors: 0, dropped: 0, missed: 0, over: 0, fifo: 0 } }
      }
    }
  })

  test('they have a begin and an end, and what is lost again within five minutes is one', () => {
    const samples = [0, 0, 10, 10, 15, 15].map((lost, index) => lossy(index, lost))
    expect(losses(historyOf(samples))).toEqual(['port port_dropped 15/2000 1-4'])
    const later = [0, 10, ...Array.from({ length: 8 }, () => 10), 25].map((lost, index) => lossy(index, lost))
    expect(losses(historyOf(later))).toEqual(['port port_dropped 10/1000 0-1', 'port port_dropped 15/1000 9-10'])
  })

  test("the sockets' too, and the port of a container that came again is the same", () => {
    const socket = (drops: number) => [
      {
        inside: { sandbox: '/run/docker/netns/60', index: 7 },
        sockets: [{ cookie: '1', device: 'eth0', hears: 'every' as const, drops }]
      }
    ]
    const samples = [0, 0, 500].map((drops, index) => ({ ...lossy(index, 0), listeners: socket(drops) }))
    expect(losses(historyOf(samples))).toEqual(['sensor socket_full 500/1000 1-2'])
  })

  test('without a mirror, all that comes is lost', () => {
    const without = (index: number): Counts => ({
      ...{ at: index * minute, received: index * 1000, mirror: 0, bridge: 1000, ports: [1000, 1000], filter: null }
    })
    expect(losses(historyOf([lossy(0, 0), lossy(1, 0), without(2), without(3)]))).toEqual([
      'interface no_mirror 2000/2000 1-3'
    ])
  })

  test('a carrier that was gone for a moment is told, and one that is gone is not: that is an event', () => {
    const carrier = (running: boolean, carrierChanges: number) => ({ links: { 2: { running, carrierChanges } } })
    expect(losses(historyOf([carrier(true, 2), carrier(true, 4)]))).toEqual(['interface carrier_flap null/0 0-1'])
    expect(losses(historyOf([carrier(true, 2), carrier(false, 3)]))).toEqual([])
  })

  test('after a day, they go', () => {
    const history = openFlowHistory()
    const [first, second] = [lossy(0, 0), lossy(1, 10)]
    for (const one of [first, second]) history.add([path], sampleOf(one))
    history.add([path], sampleOf({ ...second, at: day + 30 }))
    expect(losses(told(history, day + 30, 2 * day))).toHaveLength(1)
    history.add([path], sampleOf({ ...second, at: day + 90 }))
    expect(told(history, day + 90, 2 * day)).toMatchObject({ losses: [], dropped: null })
  })

  test(`of more than ${mostTimes}, the oldest go, and it says so to whoever asks for that time`, () => {
    const many = openFlowHistory()
    const paths = Array.from({ length: mostTimes + 7 }, (_, index) => ({ ...path, span: `span${index}` }))
    for (const [index, lost] of [0, 10].entries()) many.add(paths, sampleOf(lossy(index, lost)))
    const { losses: first, dropped } = told(many, minute)
    expect(first).toHaveLength(mostTimes)
    expect(dropped).toBe(minute * 1000)
    expect(many.tell({ since: 0, everyHop: true }, { monotonic: 60_001, wall: 60_001 }).dropped).toBe(null)
  })
})

describe('rates', () => {
  const ratesOf = (history: ReturnType<typeof told>, kind: string) =>
    history.hops.filter((hop) => hop.kind === kind).map(({ title, frames, bytes }) => [title, frames, bytes])

  test('of every hop, in each minute', () => {
    const history = historyOf([0, 600, 0, 1200])
    expect(history.periods.map(({ begin, end }) => [begin / 60_000, end / 60_000])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3]
    ])
    expect(ratesOf(history, 'interface')).toEqual([['ens192', [10, 0, 20], [1000, 0, 2000]]])
    expect(ratesOf(history, 'mirror')).toEqual([['ens192 ingress', [10, 0, 20], [1000, 0, 2000]]])
    expect(ratesOf(history, 'bridge')).toHaveLength(1)
    expect(ratesOf(history, 'port').map(([title]) => title)).toEqual(['suricata (veth6)', 'zeek (veth8)'])
    expect(history).toMatchObject({ began: 0, counted: 180_000, spans: ['span0'], silences: [], losses: [] })
  })

  test('the wall clock may have been set meanwhile: all times are told by it as it is now', () => {
    const history = openFlowHistory()
    for (const at of [0, 60]) history.add([path], sampleOf({ at }))
    const { periods } = history.tell({ since: 120_000, everyHop: false }, { monotonic: 90_000, wall: 5_090_000 })
    expect(periods).toEqual([{ begin: 5_000_000, end: 5_060_000 }])
  })

  test.each<[string, Counts]>([
    ['a counter that has begun again', { received: 5, mirror: 5, bridge: 5, ports: [5, 5], filter: { installed: 3 } }],
    [
      "a number that is another link's by now",
      {
        ...{ received: 9e9, mirror: 9e9, bridge: 9e9, ports: [9e9, 9e9] },
        links: { 2: { name: 'new' }, 4: { name: 'b' } }
      }
    ]
  ])('%s is no rate, and no negative one', (_, later) => {
    const start = { received: 1000, mirror: 1000, bridge: 1000, ports: [1000, 1000] as const }
    const { hops } = historyOf([start, later])
    const rates = hops.filter(({ kind }) => kind === 'interface' || kind === 'bridge').flatMap(({ frames }) => frames)
    expect(rates.every((rate) => rate === null)).toBe(true)
    expect(hops.flatMap(({ frames }) => frames).every((rate) => rate === null || rate >= 0)).toBe(true)
  })

  test('a hook that the last sample had not asked for has counted nobody knows what', () => {
    const history = openFlowHistory()
    history.add([path], { ...sampleOf({ at: 0 }), mirrors: [] })
    history.add([path], sampleOf({ at: 60, mirror: 5000, filter: { installed: day } }))
    expect(ratesOf(told(history, 60), 'mirror')).toEqual([['ens192 ingress', [null], [null]]])
  })

  test('a sum of which a part is not known is not known; a mirror that is gone has no part in it', () => {
    const [mirror] = path.mirrors as [PathMirror]
    const both: FramePath = {
      ...path,
      mirrors: [mirror, { ...mirror, point: { ...mirror.point, tcHook: 'egress' }, handles: [99] }]
    }
    const sum = (...looks: readonly FramePath[]) => {
      const history = openFlowHistory()
      for (const [index, look] of looks.entries()) {
        history.add([look], sampleOf({ at: index * minute, received: 600 * index, mirror: 600 * index }))
      }
      const { periods, hops } = told(history, looks.length * minute)
      return addRates(
        periods,
        hops.filter(({ kind }) => kind === 'mirror')
      ).map(({ value }) => value)
    }
    // Nothing has the filter of the second mirror.
    expect(sum(path, path, both, both)).toEqual([10, null, null])
    expect(sum(both, both, path)).toEqual([null, 10])
  })

  test('two samples of one time, or of an earlier one, are no period', () => {
    const history = openFlowHistory()
    for (const at of [60, 60, 30]) history.add([path], sampleOf({ at }))
    expect(told(history, 60).periods).toEqual([])
  })

  test('it is time for a sample after 45 seconds, also where none could be taken', () => {
    const history = openFlowHistory()
    expect(history.isDue(0)).toBe(true)
    history.add([path], sampleOf({ at: 0 }))
    expect([44_999, 45_000].map(history.isDue)).toEqual([false, true])
    history.skip(45_000)
    expect([89_999, 90_000].map(history.isDue)).toEqual([false, true])
  })
})

describe('the rings', () => {
  const rateOf = (key: string, frames: number): Rate => ({
    ...{ key, frames, bytes: frames * 100 },
    hop: { span: 'span0', kind: 'mirror', title: key, device: key, countsCopies: false }
  })
  const all = () => true

  /** Two days, a sample in 50 seconds; the frames are the number of the minute. */
  function twoDays() {
    const rings = openRateRings()
    for (let end = 50; end <= 2 * day; end += 50) {
      rings.add({ begin: (end - 50) * 1000, end: end * 1000 }, [rateOf('a', end), rateOf('b', 1)])
    }
    return rings
  }

  test('the last hour in minutes, the rest of a day in tens of them, without a gap', () => {
    const { periods, series } = twoDays().since(-Infinity, all)
    expect(periods.length).toBeLessThanOrEqual(80 + 144)
    expect((periods.at(0)?.begin ?? Infinity) / 1000).toBeLessThanOrEqual(day)
    expect(periods.at(-1)?.end).toBe(2 * day * 1000)
    for (const [index, { begin }] of periods.entries()) if (index > 0) expect(begin).toBe(periods[index - 1]?.end)
    const fine = periods.filter(({ begin, end }) => end - begin === 50_000)
    expect(fine.length * 50).toBeGreaterThanOrEqual(3000)
    // The mean of a period is in its middle.
    const [first] = series
    for (const [index, { begin, end }] of periods.entries()) {
      expect(first?.frames[index]).toBeCloseTo((begin + end) / 2000 + 25, -1)
    }
    expect(series[1]?.frames.every((rate) => rate === 1)).toBe(true)
  })

  test('from a time on', () => {
    const { periods } = twoDays().since((2 * day - 600) * 1000, all)
    expect(periods).toHaveLength(12)
  })

  test('a hop that is not there is not known, also where another one was in its place', () => {
    const rings = openRateRings()
    for (let index = 0; index < 200; index++) {
      const period = { begin: index * 60_000, end: (index + 1) * 60_000 }
      rings.add(period, index < 100 ? [rateOf('a', 1), rateOf('b', 2)] : [rateOf('b', 2)])
    }
    const { periods, series } = rings.since(-Infinity, all)
    const [a] = series
    for (const [index, { begin }] of periods.entries()) {
      expect(Number.isNaN(a?.frames[index] ?? Number.NaN)).toBe(begin >= 100 * 60_000)
    }
  })

  test(`no more than ${mostHops} hops are kept: of those that are gone, the oldest goes; who comes last has no place`, () => {
    const rings = openRateRings()
    const names = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, index) => rateOf(`${prefix}${index}`, 1))
    rings.add({ begin: 0, end: 60_000 }, [...names('old', 10), ...names('a', mostHops - 10)])
    const next = [...names('a', mostHops - 10), ...names('new', 20)]
    rings.add({ begin: 60_000, end: 120_000 }, next)
    const titles = rings.since(-Infinity, all).series.map(({ hop }) => hop.title)
    expect(titles).toHaveLength(mostHops)
    expect(titles.filter((title) => title.startsWith('new'))).toHaveLength(10)
    expect(titles.filter((title) => title.startsWith('old'))).toHaveLength(0)
  })

  test('a hundred spans with a sensor each take a megabyte, for as long as it may be', () => {
    const rings = openRateRings()
    const rates = Array.from({ length: 500 }, (_, index) => rateOf(`hop ${index}`, index))
    const before = process.memoryUsage().arrayBuffers
    for (let index = 0; index < 2000; index++) rings.add({ begin: index * 60_000, end: (index + 1) * 60_000 }, rates)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6)
    expect(rings.since(-Infinity, all).series).toHaveLength(500)
  })
})

test('what the next sample is compared with has the links of the paths alone', () => {
  const history = openFlowHistory()
  const many = (at: number): Sample => {
    const sample = sampleOf({ at, received: at, mirror: at, bridge: at })
    const [link] = sample.links
    const others =
      link === undefined ? [] : Array.from({ length: 1000 }, (_, index) => ({ ...link, index: 100 + index }))
    return { ...sample, links: [...others, ...sample.links] }
  }
  for (const at of [0, 60]) history.add([path], many(at))
  expect(told(history, 60).hops).toHaveLength(5)
})
