import { expect, test } from 'vitest'
import { share } from '../../../../src/watch/serve/cached-promise.ts'

test('who asks meanwhile, or soon after, gets the same', async () => {
  let taken = 0
  const get = share(async () => {
    taken += 1
    await new Promise((resolve) => setImmediate(resolve))
    return taken
  }, 60_000)
  expect(await Promise.all([get(), get(), get()])).toEqual([1, 1, 1])
  expect(await get()).toBe(1)
})

test('after a while it is got anew', async () => {
  let taken = 0
  const get = share(async () => ++taken, 0)
  expect([await get(), await get()]).toEqual([1, 2])
})

test('an error is shared too, and does not stay', async () => {
  let taken = 0
  const fail = () => Promise.reject(new Error(`${++taken}`))
  const [lasting, passing] = [share(fail, 60_000), share(fail, 0)]
  await expect(lasting()).rejects.toThrow('1')
  await expect(lasting()).rejects.toThrow('1')
  await expect(passing()).rejects.toThrow('2')
  await expect(passing()).rejects.toThrow('3')
})
