import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planTarget } from '../../src/plan/plan-view.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

/** What helps against the wait for the source `web`, whose network has this driver, and of whose interface the host has no end. */
function hintFor(driver: string): readonly (string | undefined)[] {
  const path = join(casesFolder, 'container-source-converged')
  const { docker, links, ...host } = readSnapshot(path, 'host.json')
  if (docker.state !== 'read') throw new Error('the fixture has no Docker')
  const web = docker.containers.find(({ name }) => name === 'web')
  if (web === undefined) throw new Error('the fixture has no source')
  const ends = new Set(web.veths?.map((pair) => pair.host))
  const on = new Set(web.endpoints.map(({ network }) => network))
  const networks = docker.networks.map((one) => (on.has(one.name) ? { ...one, driver } : one))
  const without = { ...host, links: links.filter(({ index }) => !ends.has(index)), docker: { ...docker, networks } }
  const { plan } = planTarget({ ...readTarget(path, links), patient: true }, readingOf(without))
  const waits = plan.waiting.filter((wait) => wait.container === 'web')
  return [...new Set(waits.map(({ diagnostic }) => `${diagnostic.code}: ${diagnostic.hint}`))]
}

test('a container of a bridge network without an interface is ending; a network of another driver gives none', () => {
  expect(hintFor('bridge')).toEqual([
    'SOURCE_NO_INTERFACE: it is ending, or has lost its interface: if it stays like this, docker restart web'
  ])
  expect(hintFor('macvlan')).toEqual([
    expect.stringMatching(/^SOURCE_NO_INTERFACE: a network of the driver macvlan, as /)
  ])
})
