import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Trigger } from '../../../../src/status/watch-state.ts'
import { type Latch, openLatch } from '../../../../src/watch/loop/run-queue.ts'

const noFailure = (error: unknown) => expect.unreachable(String(error))

/** Until it is idle: since its last run, longer than the longest rest. */
async function idle({ busySince, lastEnd }: Latch): Promise<void> {
  while (busySince() !== null || performance.now() - lastEnd() < 1100) await sleep(20)
}

test('whatever wakes it during a run makes one more, which is told all of it', async () => {
  const runs: (readonly Trigger[])[] = []
  const latch = openLatch(async (triggers) => {
    runs.push(triggers)
    await sleep(20)
  }, noFailure)
  latch.wake('start')
  expect(runs).toEqual([['start']])
  expect(latch.busySince()).not.toBeNull()
  for (let count = 0; count < 1000; count++) latch.wake(count % 2 ? 'link' : 'filter')
  await idle(latch)
  expect(runs).toEqual([['start'], ['filter', 'link']])
  expect(latch.busySince()).toBeNull()
  latch.wake('hook')
  expect(runs).toHaveLength(3)
  await latch.close()
})

test('a storm makes fewer and fewer runs, and the last event one more', async () => {
  let seen = 0
  let runs = 0
  let events = 0
  const begin = performance.now()
  const latch = openLatch(async () => {
    runs++
    seen = events
  }, noFailure)
  for (; events < 300; events++) {
    latch.wake('link')
    await sleep(5)
  }
  latch.wake('link')
  const seconds = (performance.now() - begin) / 1000
  await idle(latch)
  expect(seen).toBe(300)
  // Each second one, once the rests are at their longest.
  expect(runs).toBeLessThan(10 + seconds)
  await latch.close()
})

test('closing it waits for the run under way, and makes no more', async () => {
  let ended = 0
  const latch = openLatch(async () => {
    await sleep(50)
    ended++
  }, noFailure)
  latch.wake('start')
  latch.wake('link')
  await latch.close()
  latch.wake('link')
  await idle(latch)
  expect(ended).toBe(1)
})

test('a run that throws is the last one', async () => {
  const failures: unknown[] = []
  const latch = openLatch(
    async () => {
      throw new Error('no')
    },
    (error) => failures.push(error)
  )
  latch.wake('start')
  await sleep(10)
  latch.wake('link')
  await latch.close()
  expect(failures).toEqual([new Error('no')])
})
