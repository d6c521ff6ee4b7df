/** What a watch keeps of its events: a day of them, and not more than fits. */
import { expect, test } from 'vitest'
import { type KeptEvent, longestKept, openEventHistory } from '../../../src/watch/events/event-history.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const eventAt = (time: number, text = 'x', span: string | null = 'span0'): KeptEvent => ({
  at: new Date(time).toISOString(),
  span,
  isTrouble: false,
  text,
  event: { type: 'stopped' }
})

test('it gives back what it got, from a time on', () => {
  const history = openEventHistory()
  const events = [0, 1000, 2000].map((after) => eventAt(start + after))
  for (const [index, event] of events.entries()) history.add([event], start + 1000 * index, 1000 * index)
  expect(history.since(start)).toEqual({ events, dropped: null })
  expect(history.since(start + 1000).events).toEqual(events.slice(1))
  expect(history.since(start + 2001).events).toEqual([])
  // As a request that is no number asks.
  expect(history.since(Number.NaN).events).toEqual([])
})

test('after a day, an event goes, and nobody misses it', () => {
  const history = openEventHistory()
  history.add([eventAt(start)], start, 0)
  const last = eventAt(start + longestKept + 1)
  history.add([last], start + longestKept + 1, longestKept + 1)
  expect(history.since(0)).toEqual({ events: [last], dropped: null })
})

test('of more than a megabyte, the oldest go, and it says so to whoever asks for that time', () => {
  const history = openEventHistory()
  const long = 'x'.repeat(1000)
  for (let index = 0; index < 2000; index++) history.add([eventAt(start + index, long)], start + index, index)
  const { events, dropped } = history.since(start)
  expect(JSON.stringify(events).length).toBeLessThan(1_100_000)
  expect(events.at(-1)?.at).toBe(new Date(start + 1999).toISOString())
  expect(events.length).toBeGreaterThan(800)
  expect(dropped).toBe(new Date(start + 2000 - events.length - 1).toISOString())
  expect(history.since(start + 1500).dropped).toBe(null)
})

test('one that alone is too long is not kept', () => {
  const history = openEventHistory()
  history.add([eventAt(start, 'x'.repeat(2_000_000))], start, 0)
  expect(history.since(start)).toEqual({ events: [], dropped: new Date(start).toISOString() })
})

test('a clock that is set takes nothing away', () => {
  const history = openEventHistory()
  const events = [eventAt(start), eventAt(start + 2 * longestKept), eventAt(start + 1000)]
  for (const [index, event] of events.entries()) history.add([event], Date.parse(event.at), 1000 * index)
  expect(history.since(0)).toEqual({ events, dropped: null })
})

test('a span that tells much pushes nothing of the others out', () => {
  const history = openEventHistory()
  const first = [eventAt(start, 'x', 'span1'), eventAt(start, 'x', null), eventAt(start, 'y', 'span1')]
  history.add(first, start, 0)
  for (let index = 0; index < 5000; index++)
    history.add([eventAt(start + index, 'x'.repeat(500))], start + index, index)
  const { events, dropped } = history.since(0)
  expect(events.slice(0, 3)).toEqual(first)
  expect(dropped).not.toBe(null)
})
