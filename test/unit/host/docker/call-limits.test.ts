/** What one call may take, of a daemon that drips, floods, or says nothing: it has limits as a whole. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { callDocker, connectDocker, followEvents } from '../../../../src/host/docker/docker-client.ts'

let folder: string
let server: Server
let answer: (url: string, response: ServerResponse) => void

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  const path = join(folder, 'docker.sock')
  process.env.DOCKER_HOST = `unix://${path}`
  server = createServer(({ url = '' }, response) => {
    if (url === '/_ping') response.setHeader('api-version', '1.45').end('OK')
    else answer(url, response)
  })
  await once(server.listen(path), 'listening')
})
afterEach(async () => {
  delete process.env.DOCKER_HOST
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

const limits = { milliseconds: 400, bytes: 100_000 }
/** For what is to be in time on any machine. */
const wide = { ...limits, milliseconds: 3000 }

async function connect(within = limits) {
  const daemon = await connectDocker(within)
  if ('reason' in daemon) throw new Error(daemon.reason.message)
  return daemon
}

/** A byte every now and then, so that it is never silent for long. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 20)
  response.once('close', () => clearInterval(timer))
}

const late = "Docker's answer to GET /networks did not end within 0.4 s, so spanplan gave up"

test('an answer that drips is given up', async () => {
  answer = (_, response) => drip(response)
  const { docker } = await connect()
  await expect(docker.listNetworks()).rejects.toMatchObject({ message: late, diagnostics: [{ code: 'DOCKER_FAILED' }] })
})

test('so is one that never begins, a refusal that drips, and a daemon that does not say whether it is there', async () => {
  answer = () => undefined
  const client = await connect()
  const { docker } = client
  await expect(docker.listNetworks()).rejects.toThrow(late)
  answer = (_, response) => drip(response.writeHead(500))
  await expect(docker.listNetworks()).rejects.toThrow(late)
  const call = { call: 'removeNetwork', network: 'span' } as const
  await expect(callDocker(client, call)).rejects.toThrow("Docker's answer to DELETE /networks/span did not end within")
  server.removeAllListeners('request')
  expect(await connectDocker(limits)).toMatchObject({
    reason: {
      code: 'DOCKER_UNREACHABLE',
      message: expect.stringContaining('GET /_ping did not end within 0.4 s'),
      // It runs: a start does nothing.
      hint: expect.stringMatching(/^restart it: systemctl restart docker; /)
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
  const { docker } = await connect()
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
  const client = await connect(wide)
  const { docker, api } = client
  expect(api).toBe('1.45')
  expect(await docker.listNetworks()).toEqual([{ Id: '1' }])
  expect(await docker.listContainers({ all: true })).toEqual([])
  await expect(docker.getNetwork('span').remove()).rejects.toMatchObject({ statusCode: 404 })
  await callDocker(client, { call: 'dropNote', network: 'span' })
  const call = { call: 'removeNetwork', network: 'span' } as const
  await expect(callDocker(client, call)).rejects.toThrow('Docker refused: no such network')
})

test('events have to begin in time, and go on for as long as they like', async () => {
  answer = () => undefined
  const stop = new AbortController()
  let [started, events] = [0, 0]
  const follower = { onStart: () => started++, onEvent: () => events++ }
  await expect(followEvents(await connect(), follower, stop.signal)).rejects.toThrow('GET /events did not end within')
  expect(started).toBe(0)
  const writers: ServerResponse[] = []
  answer = (_, response) => {
    response.flushHeaders()
    writers.push(response)
  }
  const followed = followEvents(await connect(wide), follower, stop.signal)
  await expect.poll(() => started).toBe(1)
  // Longer than any other call may take.
  await new Promise((resolve) => setTimeout(resolve, 1.5 * wide.milliseconds))
  writers[0]?.write('{}')
  await expect.poll(() => events).toBe(1)
  stop.abort()
  await expect(followed).rejects.toThrow()
})
