import { expect, test } from 'vitest'
import { openTroubles } from '../../../../src/watch/degraded/backoff.ts'

const write = (time: number) => `${time} ms`
const notice = { code: 'STEP_FAILED', message: 'it failed' }
const trouble = (more: { readonly span?: string | null; readonly rests?: boolean } = {}) =>
  ({ span: 'span0', reason: 'failed', notice, rests: true, ...more }) as const

test('a span that fails again and again is left alone for longer and longer: 2 s, three times as long, 300 s at most', () => {
  const troubles = openTroubles()
  let now = 0
  const delays = [1, 2, 3, 4, 5, 6, 7].map(() => {
    troubles.add(trouble(), now)
    const begin = now
    now = troubles.next() ?? 0
    expect(troubles.rests('span0', now - 1)).toBe(true)
    expect(troubles.rests('span0', now)).toBe(false)
    return (now - begin) / 1000
  })
  expect(delays).toEqual([2, 6, 18, 54, 162, 300, 300])
})

test('success, or a new file, begins anew', () => {
  const troubles = openTroubles()
  for (const now of [0, 2000]) troubles.add(trouble(), now)
  expect(troubles.next()).toBe(8000)
  troubles.end('span0')
  expect([troubles.next(), troubles.list(write)]).toEqual([null, []])
  troubles.add(trouble(), 0)
  expect(troubles.next()).toBe(2000)
  troubles.clear()
  expect(troubles.list(write)).toEqual([])
})

test('what stands in the way of the plan alone is tried at every run, and that makes it no worse', () => {
  const troubles = openTroubles()
  for (const now of [0, 100, 200]) troubles.add(trouble({ rests: false }), now)
  expect(troubles.rests('span0', 300)).toBe(false)
  expect(troubles.next()).toBe(2000)
  troubles.add(trouble({ rests: false }), 2000)
  expect(troubles.next()).toBe(8000)
})

test('each span has its own; the next to be tried comes first', () => {
  const troubles = openTroubles()
  troubles.add(trouble({ span: null }), 1000)
  troubles.add(trouble(), 0)
  expect(troubles.next()).toBe(2000)
  expect([troubles.rests('span1', 1), troubles.rests(null, 1500)]).toEqual([false, true])
  expect(troubles.list(write)).toEqual([
    { span: null, reason: 'failed', notice, until: '3000 ms' },
    { span: 'span0', reason: 'failed', notice, until: '2000 ms' }
  ])
})

test('one that may fail again stays on the list meanwhile, and is left alone for longer if it does', () => {
  const troubles = openTroubles()
  troubles.add(trouble(), 0)
  troubles.watch('span0', 62_000)
  expect(troubles.rests('span0', 3000)).toBe(false)
  expect(troubles.list(write)).toHaveLength(1)
  troubles.add(trouble(), 10_000)
  expect(troubles.next()).toBe(16_000)
  troubles.watch('span1', 99_000)
  expect(troubles.list(write)).toHaveLength(1)
})

test('one that is tried before its time, because somebody asks for that, does not come later for it', () => {
  const troubles = openTroubles()
  troubles.add(trouble(), 0)
  troubles.add(trouble(), 500)
  expect(troubles.next()).toBe(2000)
  troubles.add(trouble(), 2000)
  expect(troubles.next()).toBe(8000)
})
