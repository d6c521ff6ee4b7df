/** A container as a source: what it sends and receives, found by the host's ends of its interfaces. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, interfacesOf, listen, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let sensor: Docker.Container
let client: Docker.Container

const host = { HostConfig: { NetworkMode: 'shop' } }

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
  await lab.docker.createNetwork({ Name: 'stock', IPAM: { Config: [{ Subnet: '10.78.0.0/24' }] } })
  sensor = await lab.startListener('suricata')
  client = await lab.startSensor('client', host.HostConfig)
})
afterAll(() => lab?.close())

afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  const left = await lab.docker.listContainers({ all: true, filters: { name: ['web'] } })
  await Promise.all(left.map(({ Id }) => lab.docker.getContainer(Id).remove({ force: true })))
})

const startWeb = (labels: Record<string, string> = {}) => lab.startSensor('web', host.HostConfig, labels)

/** Nobody's address: only what the test sends has it. */
const stranger = '02:00:00:00:57:01'
let sent = 0

/** A frame that no other is like, for a container's first interface. */
async function frameFor(container: Docker.Container): Promise<Buffer> {
  const [first] = await interfacesOf(container)
  return ether(first?.mac ?? '', stranger, filler(200, sent++))
}

/** What the sensor hears of one frame that a container sends, and one that it gets, each by its first interface. */
async function listenTo(web: Docker.Container, ...expression: readonly string[]): Promise<string[]> {
  const [toClient, toWeb] = await Promise.all([frameFor(client), frameFor(web)])
  const names = new Map([
    [toClient.toString('hex'), 'sent'],
    [toWeb.toString('hex'), 'received']
  ])
  const capture = await listen(lab, sensor, { expression: `ether src ${stranger}` })
  await lab.sendFrom(web, 'eth0', [toClient])
  await lab.sendFrom(client, 'eth0', [toWeb])
  const { frames } = await capture.stop(expression.length === 0 ? { count: 2 } : { seconds: 1 })
  return frames.map((frame) => names.get(frame.toString('hex')) ?? frame.toString('hex'))
}

async function mirrored(): Promise<number> {
  const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'type', 'veth']))
  const filters = await Promise.all(
    links.flatMap(({ ifname }) =>
      ['ingress', 'egress'].map((hook) => lab.run(['tc', 'filter', 'show', 'dev', ifname, hook]).catch(() => ''))
    )
  )
  return filters.filter((text) => text.includes('mirred')).length
}

/**
 * The lab's state, less the length of a queue that Docker's veths do not have: with their first qdisc, clsact too, the kernel
 * sets one (DEFAULT_TX_QUEUE_LEN, net/sched/sch_api.c). ip 7.3 also prints that there is none.
 */
const stateOf = async () => (await lab.snapshotText()).replaceAll(/qlen (?:0|1000)\b/g, '')

const write = (source: string, sensors = 'suricata') =>
  writeSpans(lab, `spans:\n  span0:\n    sources: [{${source}}]\n    sensors: [${sensors}]\n`)

describe('what a container sends and receives', () => {
  test('arrives once, both ways; and nothing of the mirrors is left after a destroy', async () => {
    const web = await startWeb()
    const before = await stateOf()
    await write('container: web')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toContain('mirror     web (shop) ingress → span0')
    expect(stdout).toContain('mirror     web (shop) egress → span0')
    await expectConverged(lab)
    expect(await listenTo(web)).toEqual(['sent', 'received'])
    expect((await spanplan(lab, ['status', '--for', '10ms'])).stdout).toMatch(/^ {2}mirror +web \(shop\) egress /m)
    await spanplan(lab, ['destroy', '--yes'])
    await until('all is as it was', async () => (await stateOf()) === before)
  })

  test('arrives in the direction that is asked for, as the container sees it', async () => {
    const web = await startWeb()
    await write('container: web, direction: ingress')
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await listenTo(web, 'one of them')).toEqual(['received'])
  })

  test('arrives by each of its interfaces', async () => {
    const web = await startWeb()
    await write('container: web')
    await spanplan(lab, ['apply', '--yes'])
    await lab.docker.getNetwork('stock').connect({ Container: web.id })
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toContain('web (stock) ingress → span0')
    await expectConverged(lab)
    expect(await mirrored()).toBe(4)
  })

  test('arrives once of a sensor, less what it hears of the span', async () => {
    const web = await startWeb()
    await write('container: web', 'suricata, web')
    await spanplan(lab, ['apply', '--yes'])
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await mirrored()).toBe(2)
    expect(await listenTo(web)).toEqual(['sent', 'received'])
  })

  test('arrives of all that have a label and run', async () => {
    await startWeb({ tier: 'frontend' })
    await write('label: tier=frontend')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toContain('web (shop) ingress → span0')
    await expectConverged(lab)
  })

  test('does not arrive of those that "except" names, and a name that leaves out none is warned of', async () => {
    const web = await startWeb({ tier: 'frontend' })
    await lab.startSensor('web2', host.HostConfig, { tier: 'frontend' })
    await write('label: tier=frontend, except: [web2, wbe]')
    const { stderr } = await spanplan(lab, ['apply', '--yes'])
    expect(stderr).toContain('"except" leaves out "wbe", and the label tier=frontend has no container of this name')
    expect(stderr).toContain('did you mean "web"?')
    expect(await mirrored()).toBe(2)
    expect(await listenTo(web)).toEqual(['sent', 'received'])
  })
})

describe('a container that is not there', () => {
  test('is waited for; its mirrors go with its interfaces, and come back', async () => {
    await write('container: web')
    expect((await spanplan(lab, ['apply', '--yes'])).stdout).toContain('waits for the container web to run')
    const web = await startWeb()
    await spanplan(lab, ['apply', '--yes'])
    expect(await mirrored()).toBe(2)
    await web.stop()
    await spanplan(lab, ['apply', '--yes'])
    expect((await spanplan(lab, ['plan'])).stdout).toContain('waits for the container web to run')
    await web.start()
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await listenTo(web)).toEqual(['sent', 'received'])
  })

  test('has no interface of its own: that costs this source alone', async () => {
    await lab.startSensor('web', { NetworkMode: 'host' })
    await write('container: web')
    expect((await spanplan(lab, ['plan'])).stdout).toContain('no interface of its own (network_mode: host)')
    expect((await spanplan(lab, ['apply', '--yes'], 4)).stderr).toMatch(
      /span0: the container web has no interface of its own \(network_mode: host\)\. Everything else was done/
    )
    expect((await spanplan(lab, ['status', '--for', '10ms', '--json'], 2)).stdout).toContain('SOURCE_NETWORK_MODE')
  })
})

describe('mirrors of containers stay where it is not known whose interfaces these are', () => {
  test.each([
    ['Docker is left for later', ['--defer-docker'], {}],
    [
      'the right to see it is missing',
      [],
      { through: ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'] }
    ]
  ])('%s', async (_, flags, options) => {
    const web = await startWeb()
    await write('container: web')
    await spanplan(lab, ['apply', '--yes'])
    const { stdout } = await spanplan(lab, ['apply', '--yes', ...flags], 0, options)
    expect(stdout).toContain('No changes to what was checked')
    expect(await mirrored()).toBe(2)
    expect(await listenTo(web)).toEqual(['sent', 'received'])
  })
})

test('a watch follows a container that is restarted, and one that is recreated', async () => {
  const web = await startWeb()
  await write('container: web')
  await using watch = await startWatch(lab)
  await until('it is mirrored', async () => (await mirrored()) === 2)
  await watch.settle()
  const changing = async () => {
    const { runs } = await watch.state()
    return runs.reduce((sum, { result, count }) => sum + (result === 'changed' ? count : 0), 0)
  }
  const before = await changing()
  await web.restart()
  await until('it is mirrored again', async () => (await mirrored()) === 2 && (await changing()) > before)
  await watch.settle()
  // Where Docker takes its time between the two, the end of the container is a run of its own.
  expect(await changing()).toBeLessThanOrEqual(before + 2)
  await expectConverged(lab)
  expect(await listenTo(web)).toEqual(['sent', 'received'])
  await web.remove({ force: true })
  const again = await startWeb()
  await until('the new one is mirrored', async () => (await mirrored()) === 2)
  await watch.settle()
  await expectConverged(lab)
  expect(await listenTo(again)).toEqual(['sent', 'received'])
})
