/** What one call may take, of a daemon that drips, floods, or says nothing: it has limits as a whole. */
import type { ServerResponse } from 'node:http'
import { beforeEach, expect, test } from 'vitest'
import { callDocker, connectDocker, followEvents } from '../../../src/host/docker/docker-client.ts'
import { dockerEvents } from '../../../src/watch/triggers/host-events.ts'
import { serveDocker, untimed } from '../../lab/docker/pretended-docker.ts'

let answersPing: boolean
let answer: (url: string, response: ServerResponse) => void

beforeEach(() => {
  answersPing = true
})

serveDocker(({ url = '' }, response) => {
  if (url === '/_ping' && answersPing) response.setHeader('api-version', '1.45').end('OK')
  else answer(url, response)
})

/** The shortest limit of a call, in milliseconds. A slow machine needs a longer one to be answered at all. */
const shortest = 400

/** Connects within that limit, or within twice as long, and so on: whatever this machine keeps. */
async function connect(milliseconds = shortest) {
  for (; ; milliseconds *= 2) {
    const daemon = await connectDocker({ ...untimed, milliseconds })
    if (!('reason' in daemon)) return { ...daemon, milliseconds }
    if (!daemon.reason.message.includes('did not end within')) throw new Error(daemon.reason.message)
  }
}

/** A byte every now and then, so that it is never silent for long. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 20)
  response.once('close', () => clearInterval(timer))
}

const late = (call: string, milliseconds: number) =>
  `Docker's answer to ${call} did not end within ${milliseconds / 1000} s, so spanplan gave up`

test('an answer that drips is given up', async () => {
  answer = (_, response) => drip(response)
  const { docker, milliseconds } = await connect()
  const message = late('GET /networks', milliseconds)
  await expect(docker.listNetworks()).rejects.toMatchObject({ message, diagnostics: [{ code: 'DOCKER_FAILED' }] })
})

test('so is one that never begins, a refusal that drips, and a daemon that does not say whether it is there', async () => {
  answer = () => undefined
  const client = await connect()
  const { docker, milliseconds } = client
  await expect(docker.listNetworks()).rejects.toThrow(late('GET /networks', milliseconds))
  answer = (_, response) => drip(response.writeHead(500))
  await expect(docker.listNetworks()).rejects.toThrow(late('GET /networks', milliseconds))
  const call = { call: 'removeNetwork', network: 'span' } as const
  await expect(callDocker(client, call)).rejects.toThrow(late('DELETE /networks/span', milliseconds))
  answersPing = false
  answer = () => undefined
  const silent = connectDocker({ ...untimed, milliseconds: shortest })
  await expect(silent).resolves.toMatchObject({
    reason: {
      code: 'DOCKER_UNREACHABLE',
      message: expect.stringContaining(late('GET /_ping', shortest)),
      // It runs: a start does nothing.
      hint: 'restart it: systemctl restart docker'
    }
  })
})

test('an answer without an end is given up once it is too large', async () => {
  let sent = 0
  answer = (_, response) => {
    const flood = () => {
      for (let room = true; room && !response.destroyed; sent += 10_000) room = response.write('x'.repeat(10_000))
    }
    response.on('drain', flood)
    flood()
  }
  const { docker } = await connect(untimed.milliseconds)
  await expect(docker.listNetworks()).rejects.toThrow('is larger than')
  // It was not read to the end of the time.
  expect(sent).toBeLessThan(10_000_000)
})

test('what is whole is answered as ever: JSON, nothing, and a refusal in the words of the daemon', async () => {
  const bodies: Record<string, string> = { '/networks': '[{"Id":"1"}]', '/containers/json?all=true': '[]' }
  answer = (url, response) => {
    if (url.startsWith('/networks/')) response.writeHead(404).end('{"message":"no such network"}')
    else response.end(bodies[url] ?? url)
  }
  const client = await connect(untimed.milliseconds)
  const { docker, api } = client
  expect(api).toBe('1.45')
  expect(await docker.listNetworks()).toEqual([{ Id: '1' }])
  expect(await docker.listContainers({ all: true })).toEqual([])
  await expect(docker.getNetwork('span').remove()).rejects.toMatchObject({ statusCode: 404 })
  await callDocker(client, { call: 'dropNote', network: 'span' })
  const call = { call: 'removeNetwork', network: 'span' } as const
  await expect(callDocker(client, call)).rejects.toThrow('Docker refused: no such network')
})

/** Follows the events of a daemon that begins them at once: within a limit that this machine keeps, as connect(). */
async function follow(onEvent: () => void, signal: AbortSignal, atLeast = shortest) {
  const client = await connect(atLeast)
  let onStart = () => {}
  const begun = new Promise<null>((resolve) => {
    onStart = () => resolve(null)
  })
  const ended = followEvents(client, dockerEvents, { onStart, onEvent }, signal).catch((error: unknown) =>
    String(error)
  )
  const failure = await Promise.race([begun, ended])
  if (failure === null) return { ...client, ended }
  expect(failure).toContain(late('GET /events', client.milliseconds))
  return follow(onEvent, signal, 2 * client.milliseconds)
}

test('events have to begin in time, and go on for as long as they like', async () => {
  answer = () => undefined
  const stop = new AbortController()
  let [started, events] = [0, 0]
  const follower = { onStart: () => started++, onEvent: () => events++ }
  const deaf = await connect()
  await expect(followEvents(deaf, dockerEvents, follower, stop.signal)).rejects.toThrow(
    late('GET /events', deaf.milliseconds)
  )
  expect(started).toBe(0)
  const writers: ServerResponse[] = []
  answer = (url, response) => {
    if (!url.startsWith('/events')) return
    response.flushHeaders()
    writers.push(response)
  }
  const { docker, ended, milliseconds } = await follow(() => events++, stop.signal)
  // The limit of a call that begins only now is over later than that of the events would be.
  await expect(docker.listNetworks()).rejects.toThrow(late('GET /networks', milliseconds))
  writers.at(-1)?.write('{}\n{"Act')
  await expect.poll(() => events).toBe(1)
  stop.abort()
  expect(await ended).toContain('abort')
})
