/** What the owner of a container writes on it, and calls it, steers nothing but that container. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectHeard, networksOf, portOf, spanplan, writeSpans } from '../lab/spans.ts'
import { expectClean, expectNoMarker, MARKER } from '../lab/unharmed.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
})
afterAll(() => lab?.close())

beforeEach(async () => {
  const containers = await lab.docker.listContainers({ all: true })
  await Promise.all(containers.map(({ Id }) => lab.docker.getContainer(Id).remove({ force: true })))
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectNoMarker(lab)
})

const ids = { role: 'ids' }
const span = (rest = '') => `spans: {span0: {sources: [{interface: ens192}], sensors: [{label: role=ids}]${rest}}}`

async function expectCleanLooks(): Promise<string> {
  const looks = [[], ['--json'], ['--diff'], ['--commands']].map((flags) => lab.spanplan(['plan', ...flags]))
  const outcomes = await Promise.all(looks)
  for (const outcome of outcomes) expectClean(outcome)
  return outcomes.map(({ stdout }) => stdout).join('')
}

test('a container whose name is the id of another has that other left alone', async () => {
  const victim = await lab.startSensor('victim')
  const evil = await lab.startSensor(victim.id, {}, ids)
  await writeSpans(lab, span())
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  // By its id: by that name Docker finds the other one.
  expect(await networksOf(evil)).toEqual(['span0'])
  expect(await networksOf(victim)).toEqual(['none'])
  await expectHeard(lab, [evil])
  await spanplan(lab, ['destroy', '--yes'])
  expect(await networksOf(evil)).toEqual(['none'])
  expect(await networksOf(victim)).toEqual(['none'])
})

test('labels of a megabyte, of escapes, and of spanplan’s own words are of no account', async () => {
  const note = JSON.stringify({
    network: 'foreign',
    container: 'evil',
    options: {},
    aliases: [],
    address: null,
    subnet: null
  })
  const labels: Record<string, string> = {
    ...ids,
    'spanplan.name': 'default',
    'spanplan.span': 'span0',
    'spanplan.bridge': 'adopted',
    'spanplan.note': note,
    ...{
      [`$(id>${MARKER})\u001b[31m\n`]: `\u001b]0;x\u0007\u202e$(id>${MARKER})`,
      '--help': '-f',
      large: 'x'.repeat(1024 ** 2)
    }
  }
  const evil = await lab.startSensor('evil', {}, labels)
  const bystander = await lab.startSensor('bystander', {}, { ...labels, role: 'web' })
  await writeSpans(lab, span())
  const looks = await expectCleanLooks()
  expect(looks).not.toContain('xxxx')
  expectClean(await spanplan(lab, ['apply']))
  await expectConverged(lab)
  expect([await networksOf(evil), await networksOf(bystander)]).toEqual([['span0'], ['none']])
  await expectHeard(lab, [evil])
  expectClean(await spanplan(lab, ['destroy', '--all', '--yes']))
  expect([await networksOf(evil), await networksOf(bystander)]).toEqual([['none'], ['none']])
})

test("a sensor of another name's span stays sealed when its bridge is gone, whoever looks", async () => {
  const sensor = await lab.startSensor('sensor', {}, ids)
  await writeSpans(lab, `name: other\n${span()}`)
  await spanplan(lab, ['apply'])
  await spanplan(lab, ['apply'])
  const port = await portOf(lab, sensor)
  const seal = () => lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])
  const sealed = await seal()
  expect(sealed).toContain("bytecode '1,6 0 0 2'")
  await lab.run(['ip', 'link', 'del', 'dev', 'span0'])
  await writeSpans(lab, 'spans: {span1: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply', '--yes'])
  expect(await seal()).toBe(sealed)
  await spanplan(lab, ['destroy', '--yes'])
  expect(await seal()).toBe(sealed)
})

test("spanplan's mark on an endpoint of somebody's network is none", async () => {
  const network = await lab.docker.createNetwork({
    Name: 'foreign',
    Internal: true,
    IPAM: { Config: [{ Subnet: '10.9.9.0/24' }] }
  })
  const evil = await connect('evil', 'foreign', { 'spanplan.name': 'default' }, ids)
  await writeSpans(lab, span())
  await spanplan(lab, ['apply'])
  expect(await networksOf(evil)).toEqual(['foreign', 'span0'])
  await spanplan(lab, ['destroy', '--all', '--yes'])
  expect(await networksOf(evil)).toEqual(['foreign'])
  await evil.remove({ force: true })
  await network.remove()
})

test('options that its owner gave an endpoint stay data, also where it is connected again', async () => {
  const options = {
    'com.docker.network.endpoint.ifname': `--help\u001b[31m$(id>${MARKER})`,
    [`-f\u202e$(id>${MARKER})`]: '\u001b[2J\n'
  }
  await writeSpans(lab, span())
  await spanplan(lab, ['apply'])
  const evil = await connect('evil', 'span0', options, ids)
  await spanplan(lab, ['apply'])
  await writeSpans(lab, span(', mtu: 1400'))
  expect(await expectCleanLooks()).toContain('--help\\u001b[31m')
  expectClean(await spanplan(lab, ['apply', '--yes']))
  await expectConverged(lab)
  expect(await evil.inspect()).toMatchObject({ NetworkSettings: { Networks: { span0: { DriverOpts: options } } } })
  await expectHeard(lab, [evil])
})

/** As its owner would connect it. */
async function connect(
  name: string,
  network: string,
  options: Record<string, string>,
  labels: Record<string, string> = {}
): Promise<Docker.Container> {
  const container = await lab.startSensor(name, {}, labels)
  await lab.docker.getNetwork('none').disconnect({ Container: name })
  await lab.docker.getNetwork(network).connect({ Container: name, EndpointConfig: { DriverOpts: options } })
  return container
}
