import { expect, test } from 'vitest'
import { leaveToWatch } from '../../src/cli/leave-to-watch.ts'
import { serveRequests } from '../../src/run-dir/socket.ts'
import { answerTime, watchSocket } from '../../src/watch/serve/ask-watch.ts'
import { useOwnRunFolder } from '../lab/fixtures/own-run-dir.ts'

useOwnRunFolder()

const selection = { interface: 'ens192', phase: 'up', file: ['spans.yaml'] }

test('what a watch has taken of the time to wait is not there for the lock, too', async () => {
  let resolve = (_: boolean) => {}
  const promise = new Promise<boolean>((done) => {
    resolve = done
  })
  const server = await serveRequests(watchSocket('busy'), { state: () => ({}), interface: () => promise })
  try {
    // The clock that the watch shares with the hook has steps of 10 ms.
    expect(await leaveToWatch({ ...selection, lockTimeout: answerTime })).toBeLessThan(answerTime / 10)
  } finally {
    resolve(true)
    await server.close()
  }
})

test('where no watch runs, all of it is; where one does the work, or there is none, the hook is not run', async () => {
  const lockTimeout = 600_000
  expect(await leaveToWatch({ ...selection, lockTimeout })).toBeGreaterThan(lockTimeout / 2)
  expect(await leaveToWatch({ ...selection, phase: 'nonsense', lockTimeout })).toBeGreaterThan(lockTimeout / 2)
  expect(await leaveToWatch({ ...selection, phase: 'pre-up', lockTimeout })).toBeNull()
  const server = await serveRequests(watchSocket('idle'), { state: () => ({}), interface: () => true })
  expect(await leaveToWatch({ ...selection, lockTimeout })).toBeNull()
  await server.close()
})
