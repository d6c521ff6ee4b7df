import { expect, test } from 'vitest'
import { openBackoff } from '../../../../src/watch/degraded/backoff.ts'

const write = (time: number) => `${time} ms`
const diagnostic = { code: 'STEP_FAILED', message: 'it failed' }
const trouble = (more: { readonly span?: string | null; readonly rests?: boolean } = {}) =>
  ({ span: 'span0', reason: 'failed', diagnostic, rests: true, ...more }) as const

test('a span that fails again and again is left alone for longer and longer: 2 s, three times as long, 300 s at most', () => {
  const backoff = openBackoff()
  let now = 0
  const delays = [1, 2, 3, 4, 5, 6, 7].map(() => {
    backoff.add(trouble(), now)
    const begin = now
    now = backoff.next() ?? 0
    expect(backoff.rests('span0', now - 1)).toBe(true)
    expect(backoff.rests('span0', now)).toBe(false)
    return (now - begin) / 1000
  })
  expect(delays).toEqual([2, 6, 18, 54, 162, 300, 300])
})

test('success, or a new file, begins anew', () => {
  const backoff = openBackoff()
  for (const now of [0, 2000]) backoff.add(trouble(), now)
  expect(backoff.next()).toBe(8000)
  backoff.end('span0')
  expect([backoff.next(), backoff.list(write)]).toEqual([null, []])
  backoff.add(trouble(), 0)
  expect(backoff.next()).toBe(2000)
  backoff.clear()
  expect(backoff.list(write)).toEqual([])
})

test('what stands in the way of the plan alone is tried at every run, and that makes it no worse', () => {
  const backoff = openBackoff()
  for (const now of [0, 100, 200]) backoff.add(trouble({ rests: false }), now)
  expect(backoff.rests('span0', 300)).toBe(false)
  expect(backoff.next()).toBe(2000)
  backoff.add(trouble({ rests: false }), 2000)
  expect(backoff.next()).toBe(8000)
})

test('each span has its own; the next to be tried comes first', () => {
  const backoff = openBackoff()
  backoff.add(trouble({ span: null }), 1000)
  backoff.add(trouble(), 0)
  expect(backoff.next()).toBe(2000)
  expect([backoff.rests('span1', 1), backoff.rests(null, 1500)]).toEqual([false, true])
  expect(backoff.list(write)).toEqual([
    { span: null, reason: 'failed', diagnostic, until: '3000 ms' },
    { span: 'span0', reason: 'failed', diagnostic, until: '2000 ms' }
  ])
})

test('one that may fail again stays on the list meanwhile, and is left alone for longer if it does', () => {
  const backoff = openBackoff()
  backoff.add(trouble(), 0)
  backoff.watch('span0', 62_000)
  expect(backoff.rests('span0', 3000)).toBe(false)
  expect(backoff.list(write)).toHaveLength(1)
  backoff.add(trouble(), 10_000)
  expect(backoff.next()).toBe(16_000)
  backoff.watch('span1', 99_000)
  expect(backoff.list(write)).toHaveLength(1)
})

test('one that is tried before its time, because somebody asks for that, does not come later for it', () => {
  const backoff = openBackoff()
  backoff.add(trouble(), 0)
  backoff.add(trouble(), 500)
  expect(backoff.next()).toBe(2000)
  backoff.add(trouble(), 2000)
  expect(backoff.next()).toBe(8000)
})
