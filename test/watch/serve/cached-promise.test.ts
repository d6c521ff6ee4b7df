import { expect, test } from 'vitest'
import { cachePromise } from '../../../src/watch/serve/cached-promise.ts'

test('callers while it is being got, and soon after, get the same', async () => {
  let calls = 0
  const get = cachePromise(
    async () => {
      calls += 1
      await new Promise((resolve) => setImmediate(resolve))
      return calls
    },
    () => 60_000
  )
  expect(await Promise.all([get(), get(), get()])).toEqual([1, 1, 1])
  expect(await get()).toBe(1)
})

test('after its lifetime it is got again', async () => {
  let calls = 0
  const get = cachePromise(
    async () => ++calls,
    () => 0
  )
  expect([await get(), await get()]).toEqual([1, 2])
})

test('an error is cached too, and expires too', async () => {
  let calls = 0
  const fail = () => Promise.reject(new Error(`${++calls}`))
  const [lasting, passing] = [cachePromise(fail, () => 60_000), cachePromise(fail, () => 0)]
  await expect(lasting()).rejects.toThrow('1')
  await expect(lasting()).rejects.toThrow('1')
  await expect(passing()).rejects.toThrow('2')
  await expect(passing()).rejects.toThrow('3')
})
