import { join } from 'node:path'
import { expect, test } from 'vitest'
import { indexHost, isTorn } from '../../src/host/host-index.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'

const captured = readSnapshot(join(casesFolder, 'converged'), 'host.json')

test('links without a port that a container has, or with another in its place, are of another moment than the containers', () => {
  expect(isTorn(indexHost(captured))).toBe(false)
  const { docker, links } = captured
  if (docker.state !== 'read') throw new Error('the fixture has no Docker')
  const ports = docker.containers.flatMap(({ endpoints }) => endpoints.map(({ port }) => port))
  const [port] = ports.filter((one) => typeof one !== 'string')
  if (port === undefined) throw new Error('the fixture has no port')
  const others = links.filter(({ index }) => index !== port.host)
  expect(isTorn(indexHost({ ...captured, links: others }))).toBe(true)
  const [link] = links.filter(({ index }) => index === port.host)
  expect(isTorn(indexHost({ ...captured, links: link ? [...others, { ...link, peer: port.inside + 1 }] : [] }))).toBe(
    true
  )
  const opaque = [{ index: port.host, name: link?.name ?? null, altnames: [], alias: null, master: null }]
  expect(isTorn(indexHost({ ...captured, links: others, opaque }))).toBe(false)
})
