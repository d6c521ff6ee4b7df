import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Trigger } from '../../../src/status/watch-state.ts'
import { openRunQueue, throttleAfter } from '../../../src/watch/loop/run-queue.ts'

const noFailure = (error: unknown) => expect.unreachable(String(error))

/** Waits until there was no run for longer than the longest pause. */
async function idle({ busySince, lastEnd }: ReturnType<typeof openRunQueue>): Promise<void> {
  while (busySince() !== null || performance.now() - lastEnd() < 1100) await sleep(20)
}

test('all wakes during a run make one more, which gets all their triggers', async () => {
  const runs: (readonly Trigger[])[] = []
  const runQueue = openRunQueue(async (triggers) => {
    runs.push(triggers)
    await sleep(20)
    return []
  }, noFailure)
  runQueue.wake('start')
  expect(runs).toEqual([['start']])
  expect(runQueue.busySince()).not.toBeNull()
  for (let count = 0; count < 1000; count++) runQueue.wake(count % 2 ? 'link' : 'filter')
  await expect.poll(() => runs.length).toBeGreaterThan(1)
  await idle(runQueue)
  expect(runs).toEqual([['start'], ['filter', 'link']])
  expect(runQueue.busySince()).toBeNull()
  runQueue.wake('hook')
  expect(runs).toHaveLength(3)
  await runQueue.close()
})

test.each([
  { what: 'an event each 5 ms', events: 300, pause: 5 },
  { what: 'one each 60 ms, which comes after the run before it and its pause', events: 40, pause: 60 }
])('a storm is throttled, and a run follows the last event: $what', async ({ events: most, pause }) => {
  let seen = 0
  let runs = 0
  let events = 0
  const begin = performance.now()
  const runQueue = openRunQueue(async () => {
    runs++
    seen = events
    return []
  }, noFailure)
  for (; events < most; events++) {
    runQueue.wake('link')
    await sleep(pause)
  }
  runQueue.wake('link')
  const seconds = (performance.now() - begin) / 1000
  await expect.poll(() => seen).toBe(most)
  // One run each second, once the pauses are at their longest.
  expect(runs).toBeLessThan(10 + seconds)
  await runQueue.close()
})

test('the first runs of a streak pause for a moment, and the next ones longer and longer, up to a second', () => {
  const pauses = (milliseconds: number) =>
    Array.from({ length: 10 }, (_, streak) => throttleAfter(milliseconds, streak))
  expect(pauses(20)).toEqual([10, 10, 100, 200, 400, 800, 1000, 1000, 1000, 1000])
  expect(pauses(500)).toEqual([10, 10, 250, 500, 1000, 1000, 1000, 1000, 1000, 1000])
})

test('what a run has waited is a part of its pause', () => {
  expect([0, 300, 995, 60_000].map((waited) => throttleAfter(20, 8, waited))).toEqual([1000, 700, 10, 10])
})

test('closing it waits for the run under way, and makes no more', async () => {
  let ended = 0
  const runQueue = openRunQueue(async () => {
    await sleep(50)
    ended++
    return []
  }, noFailure)
  runQueue.wake('start')
  runQueue.wake('link')
  await runQueue.close()
  runQueue.wake('link')
  await idle(runQueue)
  expect(ended).toBe(1)
})

test('a run that throws is the last one', async () => {
  const failures: unknown[] = []
  const runQueue = openRunQueue(
    async () => {
      throw new Error('no')
    },
    (error) => failures.push(error)
  )
  runQueue.wake('start')
  await sleep(10)
  runQueue.wake('link')
  await runQueue.close()
  expect(failures).toEqual([new Error('no')])
})

test('the first deadline that a run gives wakes, and none of those of an earlier run', async () => {
  const runs: (readonly Trigger[])[] = []
  const runQueue = openRunQueue(async (triggers) => {
    runs.push(triggers)
    const now = performance.now()
    if (runs.length > 1) return [[Infinity, 'retry']]
    return [
      [now + 3_600_000, 'interval'],
      [Infinity, 'file'],
      [now + 100, 'retry'],
      [now + 300, 'resume']
    ]
  }, noFailure)
  runQueue.wake('start')
  while (runs.length < 2) await sleep(20)
  await idle(runQueue)
  expect(runs).toEqual([['start'], ['retry']])
  await runQueue.close()
})
