/** A container that ends while it is looked at: Docker has said that it runs, and its namespace is gone. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readDocker } from '../../../src/host/docker/read-docker.ts'

const running = JSON.parse(readFileSync('test/fixtures/host/docker-inspect.json', 'utf8'))
const listed = {
  Id: running.Id,
  Names: [running.Name],
  State: 'running',
  Labels: {},
  NetworkSettings: { Networks: {} }
}
const other = 'a'.repeat(64)
const [network] = JSON.parse(readFileSync('test/fixtures/host/docker-networks.json', 'utf8'))
const request = {
  programmed: () => [],
  routed: () => [],
  networks: new Set<string>(),
  sourceNetworks: new Set<string>(),
  senders: () => false,
  modules: () => [],
  bridges: new Set<string>(),
  removable: () => false,
  containers: [{ container: running.Name.slice(1) }],
  tables: false,
  deferDocker: false
}

/** What is read of the container, of which Docker says one thing after the other, and then the last again. */
async function readStates(folder: string, states: readonly object[], networkMode = 'none') {
  const path = join(folder, 'docker.sock')
  let asked = 0
  const server = createServer(({ url = '' }, response) => {
    if (url === '/_ping') response.setHeader('api-version', '1.45').end('OK')
    else if (url.startsWith('/networks')) response.end(JSON.stringify([{ ...network, Id: other, Name: 'shop' }]))
    else if (url.startsWith('/containers/json'))
      response.end(JSON.stringify([listed, { ...listed, Id: other, Names: ['/web'] }]))
    else {
      const HostConfig = { ...running.HostConfig, NetworkMode: networkMode }
      response.end(JSON.stringify({ ...running, HostConfig, State: { ...running.State, ...states[asked++] } }))
    }
  })
  await once(server.listen(path), 'listening')
  process.env.DOCKER_HOST = `unix://${path}`
  try {
    const state = await readDocker(request)
    if (state.state !== 'read') throw new Error(`not read: ${state.state}`)
    return {
      asked,
      running: state.containers.map((one) => one.running),
      modes: state.containers.map((one) => one.networkMode),
      veths: state.containers.map((one) => one.veths)
    }
  } finally {
    delete process.env.DOCKER_HOST
    server.closeAllConnections()
    server.close()
  }
}

test('a container whose namespace is gone is asked for once more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  try {
    running.NetworkSettings.SandboxKey = join(folder, 'gone')
    expect(await readStates(folder, [{ Running: true }, { Running: false }])).toMatchObject({
      asked: 2,
      running: [false]
    })
    expect(await readStates(folder, [{ Running: false }])).toMatchObject({ asked: 1, running: [false] })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a container whose file is no namespace yet, or none any more, is asked for once more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  try {
    running.NetworkSettings.SandboxKey = join(folder, 'file')
    await writeFile(running.NetworkSettings.SandboxKey, '')
    const states = [{ Running: true }, { Running: false, Status: 'exited' }]
    expect(await readStates(folder, states, 'shop')).toMatchObject({ asked: 2, running: [false] })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('no right is missing to see the interfaces of a container that is still without a namespace, or without one again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  try {
    for (const file of [join(folder, 'gone'), '']) {
      running.NetworkSettings.SandboxKey = file
      expect(await readStates(folder, [{ Running: true }, { Running: true }])).toMatchObject({
        running: [true],
        veths: [[]]
      })
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})

test.each([
  [`container:${other}`, 'container:web'],
  [`container:${'b'.repeat(64)}`, 'container:bbbbbbbbbbbb'],
  [other, 'shop'],
  ['b'.repeat(64), 'bbbbbbbbbbbb'],
  ['container:web', 'container:web'],
  ['host', 'host']
])('the network mode %s is %s', async (mode, written) => {
  const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  try {
    expect((await readStates(folder, [{ Running: false }], mode)).modes).toEqual([written])
  } finally {
    await rm(folder, { recursive: true })
  }
})
