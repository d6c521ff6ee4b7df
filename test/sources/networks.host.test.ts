/** A Docker network as a source: every frame on it, once, whoever sends it, from containers that come later too. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectRefusal,
  interfacesOf,
  listen,
  macOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let sensor: Docker.Container
let before: string

/** A network, with two containers on it. */
interface Network {
  readonly bridge: string
  readonly client: Docker.Container
  readonly web: Docker.Container
}
const networks: Record<string, Network> = {}

/** The lab's state, less the length of the queue that the kernel gives a veth with its first qdisc (DEFAULT_TX_QUEUE_LEN). */
const stateOf = async () => (await lab.snapshotText()).replaceAll(/qlen (?:0|1000)\b/g, '')

const makeNetwork = (name: string, bridge: string, subnet: string) =>
  lab.docker.createNetwork({
    Name: name,
    Options: { 'com.docker.network.bridge.name': bridge },
    IPAM: { Config: [{ Subnet: subnet }] }
  })

async function addContainers(name: string, bridge: string, ending: string): Promise<void> {
  const mode = { NetworkMode: name }
  const [client, web] = [await lab.startSensor(`client${ending}`, mode), await lab.startSensor(`web${ending}`, mode)]
  networks[name] = { bridge, client, web }
}

beforeAll(async () => {
  // With the network "bridge" too, which Docker makes itself.
  lab = await createLab({ docker: true, dockerdOptions: ['--bridge='] })
  await makeNetwork('shop', 'shop0', '10.77.0.0/24')
  await lab.docker.createNetwork({ Name: 'stock', IPAM: { Config: [{ Subnet: '10.78.0.0/24' }] } })
  await makeNetwork('slashed', 'a\\b', '10.79.0.0/24')
  sensor = await lab.startListener('suricata')
  await addContainers('shop', 'shop0', '')
  await addContainers('slashed', 'a\\b', '-slashed')
  await addContainers('bridge', 'docker0', '-bridge')
  before = await stateOf()
})
afterAll(() => lab?.close())

afterEach(async () => {
  // Also after a test that failed: else each further one waits for it.
  await lab.docker
    .getContainer('later')
    .remove({ force: true })
    .catch(() => undefined)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await until('all is as it was', async () => (await stateOf()) === before)
})

const write = (source: string, sensors = 'suricata') =>
  writeSpans(lab, `spans:\n  span0:\n    sources: [{${source}}]\n    sensors: [${sensors}]\n`)

/** Nobody's address: only what the test sends has it. */
const stranger = '02:00:00:00:57:01'
let sent = 0

const frameTo = (mac: string) => ether(mac, stranger, filler(200, sent++))
const macIn = async (container: Docker.Container) => (await interfacesOf(container))[0]?.mac ?? ''

/** What the sensor hears of each kind of frame on a network, by its name; each is sent once. */
async function heard(network = networks.shop): Promise<string[]> {
  if (network === undefined) throw new Error('there is no such network')
  const { bridge, client, web } = network
  const frames = {
    'container to container': { from: web, frame: frameTo(await macIn(client)) },
    'container to host': { from: web, frame: frameTo(await macOf(lab, bridge)) },
    'container to all': { from: web, frame: frameTo('ff:ff:ff:ff:ff:ff') },
    'host to container': { from: null, frame: frameTo(await macIn(web)) },
    'host to all': { from: null, frame: frameTo('ff:ff:ff:ff:ff:ff') }
  }
  const capture = await listen(lab, sensor, { expression: `ether src ${stranger}` })
  for (const { from, frame } of Object.values(frames)) {
    if (from === null) await lab.send([frame], bridge)
    else await lab.sendFrom(from, 'eth0', [frame])
  }
  const captured = await capture.stop({ seconds: 1 })
  const names = new Map(Object.entries(frames).map(([name, { frame }]) => [frame.toString('hex'), name]))
  return captured.frames.map((frame) => names.get(frame.toString('hex')) ?? frame.toString('hex'))
}

const all = ['container to container', 'container to host', 'container to all', 'host to container', 'host to all']

test.each(['network: shop', 'network: bridge, direction: egress', 'container: web, direction: ingress'])(
  'import finds { %s }',
  async (source) => {
    await write(source)
    await spanplan(lab, ['apply', '--yes'])
    const { stdout } = await spanplan(lab, ['import'])
    await writeFile(join(lab.files, 'spans.yaml'), stdout)
    expect(stdout).not.toMatch(/interface|# +it /)
    await expectConverged(lab)
  }
)

describe('every frame on the network', () => {
  test('arrives once, and nothing of the mirrors is left after a destroy', async () => {
    await write('network: shop')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/mirror +shop ingress → span0 +every frame\n.*mirror +shop \(client\) egress → span0/)
    await expectConverged(lab)
    expect(await heard()).toEqual(all)
    expect((await spanplan(lab, ['status', '--for', '10ms'])).stdout).toMatch(/^ {2}mirror +shop \(web\) egress /m)
  })

  test('arrives in the direction that is asked for, as the containers see it', async () => {
    await write('network: shop, direction: egress')
    await spanplan(lab, ['apply', '--yes'])
    expect(await heard()).toEqual(all.filter((name) => name.startsWith('container')))
    await write('network: shop, direction: ingress')
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await heard()).toEqual(all.filter((name) => name.startsWith('host')))
  })

  test('arrives of a container that comes later, with a watch at once', async () => {
    await write('network: shop')
    await using watch = await startWatch(lab)
    await watch.settle()
    const { length } = watch.told
    const later = await lab.startSensor('later', { NetworkMode: 'shop' })
    // A run may see the port before Docker tells whose it is.
    await watch.expectTold(/\+ mirror shop \((?:later|veth\w+)\) egress → span0/, length)
    await watch.settle()
    await expectConverged(lab)
    expect((await spanplan(lab, ['status', '--for', '10ms'])).stdout).toMatch(/^ {2}mirror +shop \(later\) egress /m)
    await later.remove({ force: true })
    await watch.settle()
    expect(watch.told).not.toContain('error')
  })
})

test('each frame arrives once while somebody has renamed the bridge, in a watch', async () => {
  await write('network: shop')
  await using watch = await startWatch(lab)
  await watch.settle()
  const { shop } = networks
  if (shop === undefined) throw new Error('there is no such network')
  await lab.run(['ip', 'link', 'set', 'dev', 'shop0', 'name', 'shop1'])
  await watch.expectTold(/ip link set dev shop1 name shop0/)
  await watch.settle()
  expect(await heard({ ...shop, bridge: 'shop1' })).toEqual(all)
  await lab.run(['ip', 'link', 'set', 'dev', 'shop1', 'name', 'shop0'])
  await watch.settle()
  await expectConverged(lab)
  expect(await heard()).toEqual(all)
})

test('each frame on the network that Docker makes itself arrives once', async () => {
  await write('network: bridge')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect(await heard(networks.bridge)).toEqual(all)
})

test('a bridge whose name tc misreads costs what the host sends alone', async () => {
  await write('network: slashed')
  const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'], 4)
  const said = 'the name of interface a\\b cannot be passed to tc'
  expect(stdout.match(/^ {2}\.\.\. .*$/gm)).toEqual([
    expect.stringMatching(
      /^ {2}\.\.\. mirror {5}slashed ingress → span0 +the name of interface a\\b cannot be passed to tc$/
    )
  ])
  expect(stderr).toContain(`error: span span0: ${said}.`)
  expect(stderr).toContain('make the network again with another "com.docker.network.bridge.name"')
  expect(await heard(networks.slashed)).toEqual(all.filter((name) => name.startsWith('container')))
})

test.each([
  ['shoop', 'waits for the Docker network shoop (did you mean "shop"?)'],
  ['Shop', 'waits for the Docker network Shop (did you mean "shop"?)'],
  ['sto', 'waits for the Docker network sto (there are: bridge, shop, slashed and stock)'],
  ['later', 'waits for the Docker network later (there are: bridge, shop, slashed and stock)']
])('a network %s that is not there is waited for', async (name, said) => {
  await write(`network: ${name}`)
  const { stdout } = await spanplan(lab, ['plan'])
  expect(stdout.replaceAll(/ +/g, ' ')).toContain(` ... mirror ${name} ingress → span0 ${said}\n`)
})

test('while Docker is not read, an interface that is a source no more is given back, and that is all', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}, {network: shop}], sensors: [suricata]}}')
  await spanplan(lab, ['apply', '--yes'])
  await writeSpans(lab, 'spans: {span0: {sources: [{network: shop}], sensors: [suricata]}}')
  const { stdout } = await spanplan(lab, ['apply', '--yes', '--defer-docker'])
  expect(stdout).toMatch(/- +interface +ens192 +promiscuous: on → off/)
  const again = await spanplan(lab, ['plan', '--defer-docker', '--detailed-exitcode'])
  expect(again.stdout).toContain('No changes')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
})

test('a network without a bridge, and one of a span, are refused', async () => {
  await lab.docker.createNetwork({ Name: 'above', Driver: 'macvlan', Options: { parent: 'ens192' } })
  await write('network: above')
  expect(await expectRefusal(lab, ['plan'])).toContain(
    'the network above has the driver macvlan, and no bridge on this host'
  )
  await lab.docker.getNetwork('above').remove()
  await write('network: span0')
  expect(await expectRefusal(lab, ['plan'], 65)).toContain(
    'the network "span0" hands out the span "span0": its frames are copies'
  )
  const other = 'version: 1\nname: other\nspans: {tap0: {sources: [{interface: ens192}], sensors: [suricata]}}\n'
  await spanplan(lab, ['apply', '-f', '-', '--yes'], 0, { input: other })
  await write('network: tap0')
  expect(await expectRefusal(lab, ['plan'])).toContain(
    'the network tap0 hands out the span tap0: its frames are copies'
  )
})
