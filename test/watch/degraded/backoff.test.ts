import { expect, test } from 'vitest'
import { openBackoff } from '../../../src/watch/degraded/backoff.ts'

const write = (time: number) => `${time} ms`
const diagnostic = { code: 'STEP_FAILED', message: 'it failed' } as const
const problem = (more: { readonly span?: string | null; readonly backsOff?: boolean } = {}) =>
  ({ span: 'span0', reason: 'failed', diagnostic, backsOff: true, ...more }) as const

test('a span that fails again and again is left alone for longer and longer: 2 s, three times as long, 300 s at most', () => {
  const backoff = openBackoff()
  let now = 0
  const delays = [1, 2, 3, 4, 5, 6, 7].map(() => {
    backoff.add(problem(), now)
    const begin = now
    now = backoff.next()
    expect(backoff.backedOff('span0', now - 1)).toBe('but seals')
    expect(backoff.backedOff('span0', now)).toBeNull()
    return (now - begin) / 1000
  })
  expect(delays).toEqual([2, 6, 18, 54, 162, 300, 300])
})

test('the delays begin again after a success, and after a new file', () => {
  const backoff = openBackoff()
  for (const now of [0, 2000]) backoff.add(problem(), now)
  expect(backoff.next()).toBe(8000)
  backoff.remove('span0')
  expect([backoff.next(), backoff.list(write)]).toEqual([Infinity, []])
  backoff.add(problem(), 0)
  expect(backoff.next()).toBe(2000)
  backoff.clear()
  expect(backoff.list(write)).toEqual([])
})

test('a span that only cannot be planned is tried at each run, and its delay does not grow by that', () => {
  const backoff = openBackoff()
  for (const now of [0, 100, 200]) backoff.add(problem({ backsOff: false }), now)
  expect(backoff.backedOff('span0', 300)).toBeNull()
  expect(backoff.next()).toBe(2000)
  backoff.add(problem({ backsOff: false }), 2000)
  expect(backoff.next()).toBe(8000)
})

test('each span has a delay of its own; the next attempt is the first of all', () => {
  const backoff = openBackoff()
  backoff.add(problem({ span: null }), 1000)
  backoff.add(problem(), 0)
  expect(backoff.next()).toBe(2000)
  expect([backoff.backedOff('span1', 1), backoff.backedOff(null, 1500)]).toEqual([null, 'but seals'])
  expect(backoff.list(write)).toEqual([
    { span: null, reason: 'failed', diagnostic, until: '3000 ms', rest: 2000, container: null, thing: null },
    { span: 'span0', reason: 'failed', diagnostic, until: '2000 ms', rest: 2000, container: null, thing: null }
  ])
})

test('what keeps sensors from sending is tried while the rest of the span is left alone, until that has failed too', () => {
  const backoff = openBackoff()
  backoff.add(problem(), 0)
  expect(backoff.backedOff('span0', 1000)).toBe('but seals')
  backoff.add(problem(), 1000, true)
  expect([backoff.backedOff('span0', 1001), backoff.next()]).toEqual(['whole', 2000])
  backoff.add(problem(), 2000)
  expect([backoff.backedOff('span0', 2001), backoff.next()]).toEqual(['but seals', 8000])
})

test('an attempt on demand, before it was due, does not delay the next one', () => {
  const backoff = openBackoff()
  backoff.add(problem(), 0)
  backoff.add(problem(), 500)
  expect(backoff.next()).toBe(2000)
  backoff.add(problem(), 2000)
  expect(backoff.next()).toBe(8000)
})
