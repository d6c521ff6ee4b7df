/** What a watch keeps of its events: a day of them, and not more than fits. */
import { expect, test } from 'vitest'
import { type KeptEvent, longestKept, openEventHistory } from '../../../src/watch/events/event-history.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const eventAt = (time: number, text = 'x'): KeptEvent => ({
  at: new Date(time).toISOString(),
  span: 'span0',
  isTrouble: false,
  text,
  event: { type: 'stopped' }
})

test('it gives back what it got, from a time on', () => {
  const history = openEventHistory()
  const events = [0, 1000, 2000].map((after) => eventAt(start + after))
  for (const [index, event] of events.entries()) history.add([event], start + 1000 * index)
  expect(history.since(start)).toEqual({ events, dropped: null })
  expect(history.since(start + 1000).events).toEqual(events.slice(1))
  expect(history.since(start + 2001).events).toEqual([])
  // As a request that is no number asks.
  expect(history.since(Number.NaN).events).toEqual([])
})

test('after a day, an event goes, and nobody misses it', () => {
  const history = openEventHistory()
  history.add([eventAt(start)], start)
  const last = eventAt(start + longestKept + 1)
  history.add([last], start + longestKept + 1)
  expect(history.since(0)).toEqual({ events: [last], dropped: null })
})

test('of more than a megabyte, the oldest go, and it says so to whoever asks for that time', () => {
  const history = openEventHistory()
  const long = 'x'.repeat(1000)
  for (let index = 0; index < 2000; index++) history.add([eventAt(start + index, long)], start + index)
  const { events, dropped } = history.since(start)
  expect(JSON.stringify(events).length).toBeLessThan(1_100_000)
  expect(events.at(-1)?.at).toBe(new Date(start + 1999).toISOString())
  expect(events.length).toBeGreaterThan(800)
  expect(dropped).toBe(new Date(start + 2000 - events.length - 1).toISOString())
  expect(history.since(start + 1500).dropped).toBe(null)
})

test('one that alone is too long is not kept', () => {
  const history = openEventHistory()
  history.add([eventAt(start, 'x'.repeat(2_000_000))], start)
  expect(history.since(start)).toEqual({ events: [], dropped: new Date(start).toISOString() })
})
