import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hasGone, lacksDevice, openLeftOut } from '../../../src/apply/sensors/left-out.ts'
import type { Container } from '../../../src/host/snapshot.ts'
import { type PlanView, planTarget } from '../../../src/plan/plan-view.ts'
import { type CapturedHost, readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'

const path = join(casesFolder, 'stack-open')
const captured = readSnapshot(path, 'host.json')
const see = (host: CapturedHost): PlanView => planTarget(readTarget(path, host.links), readingOf(host))
const view = see(captured)
const change = view.plan.changes.find(({ kind }) => kind === 'stack')
if (change === undefined) throw new Error('the fixture has no stack to close')

/** The host with another sensor. */
const withSensor = (edit: (sensor: Container) => Container): CapturedHost => ({
  ...captured,
  docker:
    captured.docker.state === 'read'
      ? {
          ...captured.docker,
          containers: captured.docker.containers.map((one) => (one.name === change.container ? edit(one) : one))
        }
      : captured.docker
})

/** The host after the sensor's next start, or between two starts. */
const withSandbox = (sandbox: string | null) =>
  withSensor((sensor) => ({ ...sensor, sandbox, running: sandbox !== null }))

test.each([
  ['has started again', '/var/run/docker/netns/0123456789ab'],
  ['has ended', null]
])('a step that fails in a container that %s since has no subject any more', (_, sandbox) => {
  expect(hasGone(change, view, see(withSandbox(sandbox)))).toBe(true)
})

test('a step that fails in a container that ends, whose interface has gone first, has no subject any more', () => {
  const ending = withSensor((sensor) => ({
    ...sensor,
    endpoints: sensor.endpoints.map(({ inner: _, ...endpoint }) => endpoint)
  }))
  expect(hasGone(change, view, see(ending))).toBe(true)
})

test('a step that fails in a container that runs on has failed', () => {
  expect(hasGone(change, view, see(captured))).toBe(false)
})

const right = /take that right from it/
const tell = (record: ReturnType<typeof openLeftOut>) =>
  record.list().map(({ diagnostic: { code, message, hint } }) => `${code} ${message} (${hint})`)

test('a right is named only where the same run of the container has undone what was done', () => {
  const undone = openLeftOut('docker')
  for (const _ of [1, 2]) undone.addRound([change])
  undone.addRepeated([change])
  expect(tell(undone)).toEqual([expect.stringMatching(/^STACK_OPEN .*somebody has undone this at once/)])
  expect(tell(undone)).toEqual([expect.stringMatching(right)])

  const restarting = openLeftOut('docker')
  for (const instance of ['a', 'b', 'c']) restarting.addRound([{ ...change, instance }])
  restarting.addRepeated([{ ...change, instance: 'd' }])
  expect(tell(restarting)).toEqual([])
  restarting.addUnsteady([{ ...change, instance: 'd' }])
  restarting.addFailed(
    { ...change, address: 'another' },
    { code: 'STEP_FAILED', message: 'nsenter: no such file', hint: 'look' }
  )
  expect(tell(restarting)).toEqual([
    expect.stringMatching(/^STACK_OPEN .*its container may be restarting: see docker events\)$/),
    expect.stringMatching(/^STACK_OPEN .*nsenter: no such file.* \(look\)$/)
  ])
})

test('where a step fails without a hint, the kind says what helps', () => {
  const folder = join(casesFolder, 'silent-missing')
  const host = readSnapshot(folder, 'host.json')
  const program = planTarget(readTarget(folder, host.links), readingOf(host)).plan.changes.find(
    ({ kind }) => kind === 'xdp'
  )
  if (program === undefined) throw new Error('the fixture has no program to attach')
  const failed = openLeftOut('docker')
  failed.addFailed(program, { code: 'STEP_FAILED', message: 'veth: XDP expects number of rx queues not less' })
  expect(tell(failed)).toEqual([
    expect.stringMatching(/^PORT_NOT_SILENT .*Everything else was done \(the port is sealed all the same\)$/)
  ])
})

test('a step that fails on an interface of which another one has the name by now has no subject any more', () => {
  const folder = join(casesFolder, 'drift-mirror-gone')
  const host = readSnapshot(folder, 'host.json')
  const look = (links: CapturedHost['links']) => planTarget(readTarget(folder, links), readingOf({ ...host, links }))
  const mirror = look(host.links).plan.changes.find(({ kind }) => kind === 'mirror')
  if (mirror === undefined) throw new Error('the fixture has no mirror to make')
  const again = host.links.map((link) => (link.name === mirror.device ? { ...link, index: 4711 } : link))
  expect(hasGone(mirror, look(host.links), look(again))).toBe(true)
  expect(hasGone(mirror, look(host.links), look(host.links))).toBe(false)
})

test('a mirror on an interface that ip did not list any more, and tc still did, is not to be removed: it has gone', () => {
  const folder = join(casesFolder, 'container-source-converged')
  const whole = readSnapshot(folder, 'host.json')
  const device = 'veth6c22f55'
  const host = { ...whole, links: whole.links.filter(({ name }) => name !== device) }
  expect(host.filters.some((filter) => filter.device === device)).toBe(true)
  const { plan } = planTarget(readTarget(folder, host.links), readingOf(host))
  expect(plan.changes.filter((one) => one.device === device)).toEqual([])
  expect(plan.waiting.map((one) => one.diagnostic.code)).toContain('SOURCE_NO_INTERFACE')
})

test('where the link of a tunnel cannot be made, the mirrors that feed it are not tried, and told by no message of their own', () => {
  const folder = join(casesFolder, 'output-vxlan')
  const host = readSnapshot(folder, 'host.json')
  const before = planTarget(readTarget(folder, host.links), readingOf(host))
  const { changes } = before.plan
  const tunnel = changes.find(({ kind }) => kind === 'tunnel')
  if (tunnel === undefined) throw new Error('the fixture has no tunnel to make')
  const left = changes.filter((one) => one === tunnel || lacksDevice(one, tunnel, before))
  expect(left.map(({ title }) => title)).toEqual([
    'vxlan-3d98b18a',
    'ens192 ingress → vxlan-3d98b18a',
    'ens192 egress → vxlan-3d98b18a'
  ])
  const failed = openLeftOut('docker')
  for (const one of left) failed.addFailed(one, { code: 'STEP_FAILED', message: 'RTNETLINK answers: Busy' })
  expect(failed.list().map(({ change }) => change.title)).toEqual(['vxlan-3d98b18a'])
})
