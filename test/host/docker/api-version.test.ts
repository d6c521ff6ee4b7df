/** A Docker that refuses old versions of its API, as Docker 29 does: no call names a version, so that each is of the daemon's newest. */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { beforeEach, expect, test } from 'vitest'
import type { DockerCall } from '../../../src/host/docker/docker-calls.ts'
import { callDocker, connectDocker, followEvents } from '../../../src/host/docker/docker-client.ts'
import { readDocker } from '../../../src/host/docker/read-docker.ts'
import { dockerEvents } from '../../../src/watch/triggers/host-events.ts'
import { serveDocker, untimed } from '../../lab/docker/pretended-docker.ts'

/** Docker 29's, and the newest that it has. */
const versions = { least: 44, most: 52 }

let refused: string[]

beforeEach(() => {
  refused = []
})
serveDocker(answer)

const read = (name: string) => readFileSync(`test/fixtures/host/${name}.json`, 'utf8')
const container = JSON.parse(read('docker-inspect'))

/** In the words of its middleware (daemon/server/middleware/version.go). */
function answer({ url = '', method }: IncomingMessage, response: ServerResponse): void {
  response.setHeader('api-version', `1.${versions.most}`)
  const [, minor] = /^\/v1\.(\d+)\//.exec(url) ?? []
  if (minor !== undefined && (Number(minor) < versions.least || Number(minor) > versions.most)) {
    refused.push(url)
    const message = `client version 1.${minor} is too old. Minimum supported API version is 1.${versions.least}`
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ message }))
    return
  }
  const path = url.replace(/^\/v1\.\d+/, '').replace(/\?.*/, '')
  if (path === '/_ping') response.end('OK')
  else if (path === '/networks') response.end(read('docker-networks'))
  else if (path === '/containers/json') {
    response.end(JSON.stringify([{ Id: container.Id, Names: [container.Name], State: 'running', Labels: {} }]))
  } else if (path.startsWith('/containers/')) response.end(JSON.stringify(container))
  else if (method === 'DELETE') response.writeHead(204).end()
  else if (path === '/networks/create') response.writeHead(201).end('{"Id": "1"}')
  else response.end()
}

const place = { network: 'span0', container: 'zeek' }
const calls: DockerCall[] = [
  {
    call: 'createNetwork',
    network: 'span0',
    driver: 'bridge',
    internal: true,
    ipv6: false,
    attachable: false,
    pools: [],
    options: {},
    labels: {}
  },
  { call: 'createNote', network: 'note', labels: {} },
  { ...place, call: 'connect', options: {}, aliases: [], address: null },
  { ...place, call: 'disconnect', port: null },
  { call: 'dropNote', network: 'note' },
  { call: 'removeNetwork', network: 'span0' }
]

test('is read, followed and changed', async () => {
  const daemon = await connectDocker(untimed)
  if ('reason' in daemon) throw new Error(daemon.reason.message)
  expect(daemon.api).toBe('1.52')
  for (const call of calls) await callDocker(daemon, call)
  await followEvents(
    daemon,
    dockerEvents,
    { onStart: () => undefined, onEvent: () => undefined },
    new AbortController().signal
  )
  const request = {
    programmed: () => [],
    routed: () => [],
    removable: () => false,
    networks: new Set<string>(),
    sourceNetworks: new Set<string>(),
    senders: () => false,
    modules: () => [],
    bridges: new Set<string>(),
    containers: [{ container: container.Name.slice(1) }],
    tables: false,
    deferDocker: false
  }
  const found = await readDocker(request, untimed)
  expect(found).toMatchObject({ containers: [{ name: container.Name.slice(1) }] })
  expect(refused).toEqual([])
})
