import { EventEmitter, once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runFile } from '../../src/run-dir/folder.ts'
import { type SocketServer, sendRequest, serveRequests } from '../../src/run-dir/socket.ts'

/** Milliseconds: only what hangs takes so long. */
const patience = 600_000

let folder: string
let server: SocketServer | null

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spanplan-run-'))
  vi.stubEnv('SPANPLAN_RUN_DIR', folder)
  server = null
})
afterEach(async () => {
  await server?.close()
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

test('each request gets its answer, at once or later; any other request gets none', async () => {
  server = await serveRequests('sock', { now: () => ({ a: 'ü\u001b' }), later: async () => null, echo: (text) => text })
  expect(statSync(runFile('sock')).mode & 0o777).toBe(0o600)
  expect(await sendRequest('sock', 'now', patience)).toEqual({ a: 'ü\u001b' })
  expect(await sendRequest('sock', 'later', patience)).toBeNull()
  expect(await sendRequest('sock', 'echo', patience)).toBe('')
  expect(await sendRequest('sock', 'echo to {"a b": 1}', patience)).toBe('to {"a b": 1}')
  for (const request of ['', 'other', 'constructor', '__proto__', ' now', 'x'.repeat(20_000)]) {
    await expect(sendRequest('sock', request, patience)).rejects.toThrow()
  }
  expect(await sendRequest('sock', 'now', patience)).toEqual({ a: 'ü\u001b' })
})

test('a server gives the answers that are due before it stops, and leaves no socket', async () => {
  const events = new EventEmitter()
  const requested = once(events, 'request')
  server = await serveRequests('sock', {
    wait: () => {
      events.emit('request')
      return once(events, 'answer')
    }
  })
  const sent = sendRequest('sock', 'wait', patience)
  await requested
  const closed = server.close()
  events.emit('answer', 'done')
  await closed
  expect(await sent).toEqual(['done'])
  expect(existsSync(runFile('sock'))).toBe(false)
})

test('an answer that does not come is not waited for', async () => {
  const end = new AbortController()
  const ended = once(end.signal, 'abort')
  server = await serveRequests('sock', { hang: () => ended })
  await expect(sendRequest('sock', 'hang', 10)).rejects.toThrow('no answer came within 0.01 s')
  end.abort()
})

test('what a process that was killed has left is replaced; a link or a file is not connected to', async () => {
  writeFileSync(runFile('sock'), '')
  await expect(sendRequest('sock', 'now', patience)).rejects.toThrow('belongs neither to this user nor to root')
  server = await serveRequests('sock', { now: () => 1 })
  expect(await sendRequest('sock', 'now', patience)).toBe(1)
  symlinkSync(runFile('sock'), runFile('link'))
  await expect(sendRequest('link', 'now', patience)).rejects.toThrow('belongs neither to this user nor to root')
})

test('nothing is asked where others may write to the run directory', async () => {
  server = await serveRequests('sock', { now: () => 1 })
  chmodSync(folder, 0o777)
  await expect(sendRequest('sock', 'now', patience)).rejects.toThrow('cannot be used')
})
