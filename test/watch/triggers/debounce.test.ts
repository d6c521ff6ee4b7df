import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { debounce } from '../../../src/watch/triggers/debounce.ts'

test('a burst of calls acts once, soon after its end; a later call acts again', async () => {
  let acts = 0
  const wake = debounce(() => acts++)
  for (let count = 0; count < 1000; count++) wake()
  expect(acts).toBe(0)
  await sleep(200)
  expect(acts).toBe(1)
  wake()
  await sleep(200)
  expect(acts).toBe(2)
})

test('a burst that does not end acts after the longest wait; after close() nothing acts', async () => {
  let acts = 0
  const wake = debounce(() => acts++)
  for (let count = 0; count < 120; count++) {
    wake()
    await sleep(10)
  }
  expect(acts).toBeGreaterThan(0)
  const before = acts
  wake()
  wake.close()
  await sleep(200)
  expect(acts).toBe(before)
})
