/** An old recipe, bridge, mirrors and Docker network, is told of, taken over, and put back where that fails. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FaultyDocker, startFaultyDocker } from './faults/proxy.ts'
import { readState, writeState } from './faults/state.ts'
import { ether, filler } from './frames.ts'
import { createLab, type Lab } from './lab.ts'
import {
  expectConverged,
  expectFrames,
  expectHeard,
  expectRefusal,
  expectRestored,
  listen,
  networksOf,
  spanplan,
  until,
  writeSpans
} from './spans.ts'

let lab: Lab
let proxy: FaultyDocker
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])
const docker = (...argv: string[]) => lab.run(['docker', ...argv])

beforeAll(async () => {
  lab = await createLab({ docker: true })
  proxy = await startFaultyDocker(lab)
  first = await lab.snapshotText()
})
afterAll(async () => {
  await proxy?.close()
  await lab?.close()
})

beforeEach(() =>
  writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [suricata]}}')
)
afterEach(async () => {
  await lab.spanplan(['destroy', '--all', '--yes'])
  const containers = await lab.docker.listContainers({ all: true })
  await Promise.all(containers.map(({ Id }) => lab.docker.getContainer(Id).remove({ force: true })))
  await docker('network', 'prune', '--force')
  await ip('link', 'del', 'dev', 'span0').catch(() => undefined)
  await ip('link', 'del', 'dev', 'other0').catch(() => undefined)
  await tc('qdisc', 'del', 'dev', 'ens192', 'root').catch(() => undefined)
  await tc('qdisc', 'del', 'dev', 'ens192', 'ingress').catch(() => undefined)
  await expectRestored(lab, first)
})

async function makeBridge(): Promise<void> {
  // With an address of its own: without, it takes that of its first port.
  const options = ['type', 'bridge', 'ageing_time', '0', 'stp_state', '0']
  await ip('link', 'add', 'span0', 'address', '02:00:00:00:00:77', ...options)
  await ip('link', 'set', 'dev', 'span0', 'alias', 'tap of the core switch', 'mtu', '1400')
  await ip('link', 'set', 'dev', 'span0', 'mtu', '1500', 'up')
}

/** Where scripts have a root qdisc to mirror what is sent. */
async function makeRoot(): Promise<void> {
  await tc('qdisc', 'add', 'dev', 'ens192', 'root', 'handle', '1:', 'htb')
}

async function makeMirrors(): Promise<void> {
  const everything = ['protocol', 'all', 'u32', 'match', 'u32', '0', '0']
  const intoSpan = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0']
  await tc('qdisc', 'add', 'dev', 'ens192', 'ingress')
  await tc('filter', 'add', 'dev', 'ens192', 'parent', 'ffff:', ...everything, ...intoSpan)
  await tc('filter', 'add', 'dev', 'ens192', 'parent', '1:', ...everything, ...intoSpan)
}

/** The kernel takes up to a second to settle the state of new ports; asked for one of them, it does so at once. */
async function settle(): Promise<void> {
  await until('all is settled', async () => {
    const links: { ifname: string; operstate: string }[] = JSON.parse(await ip('-j', 'link'))
    const unknown = links.filter(({ ifname, operstate }) => ifname !== 'lo' && operstate === 'UNKNOWN')
    for (const { ifname } of unknown) await ip('link', 'show', 'dev', ifname)
    return unknown.length === 0 && !(await ip('-6', 'addr')).includes('tentative')
  })
}

async function makeNetwork(name: string, ...more: string[]): Promise<void> {
  const options = ['--driver', 'bridge', '--internal', '-o', 'com.docker.network.bridge.name=span0']
  await docker('network', 'create', ...options, ...more, name)
}

const composed = ['--label', 'com.docker.compose.project=ids', '--label', 'com.docker.compose.network=span'] as const

/** A network with all that people set, and containers with all that people give them, one of which is stopped. */
async function makeRichNetwork(): Promise<void> {
  const prefix = ['-o', 'com.docker.network.container_iface_prefix=tap', '--attachable']
  await makeNetwork('span', '--subnet', '10.9.0.0/24', '--ip-range', '10.9.0.64/26', ...prefix, ...composed)
  await lab.startSensor('suricata', { NetworkMode: 'span' })
  for (const [name, Aliases, IPv4Address] of [
    ['zeek', ['ids', 'visitor'], '10.9.0.70'],
    ['arkime', ['archive'], '10.9.0.1']
  ] as const) {
    await lab.startSensor(name)
    await lab.docker.getNetwork('none').disconnect({ Container: name })
    const config = { Aliases: [...Aliases], IPAMConfig: { IPv4Address } }
    await lab.docker.getNetwork('span').connect({ Container: name, EndpointConfig: config })
  }
  await lab.docker.getContainer('arkime').stop()
}

/** All of it. */
async function makeRecipe(): Promise<void> {
  await makeBridge()
  await makeRoot()
  await makeRichNetwork()
  await makeMirrors()
}

/** Of a bridge: but the kernel's own. */
async function addressesOf(device: string): Promise<string[]> {
  const [link] = JSON.parse(await ip('-j', 'addr', 'show', 'dev', device))
  return link.addr_info.flatMap(({ family, local }: { family: string; local: string }) =>
    family === 'inet' ? [local] : []
  )
}

interface Endpoint {
  readonly Aliases?: readonly string[] | null
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null
}

/** The client's own type says less. */
async function endpointOf(name: string): Promise<Endpoint | undefined> {
  const { NetworkSettings } = await lab.docker.getContainer(name).inspect()
  const networks: Readonly<Record<string, Endpoint>> = NetworkSettings.Networks
  return networks.span
}

async function namesOfNetworks(): Promise<string[]> {
  return (await lab.docker.listNetworks()).map(({ Name }) => Name).sort()
}

/** The same without the kernel's own IPv6 addresses, which come with the first sensor, as a limit of its port does, and what the root qdisc counts. */
async function describeBare(): Promise<string> {
  const text = await lab.snapshotText()
  return text
    .replace(/^.*(fe80::|ff00::|_lft|direct_packets_stat).*\n/gm, '')
    .replace(/tso_max_size \d+/g, 'tso_max_size N')
}

/** All that is there, but for what says the same in two ways, the addresses that ports make of their own, and that a qdisc gives a port a queue. */
async function describeLab(): Promise<string> {
  const text = writeState(await readState(lab))
  return text
    .replace(/"Options": null/g, '"Options": {}')
    .replace(/fe80::(?!ff:fe00:77)[0-9a-f:]+\b(?!\/64 dev)/g, 'fe80::N')
    .replace(/ qlen 1000| $/gm, '')
}

function sampleFrames(): Readonly<Record<string, Buffer>> {
  const sizes = [60, 61, 512, 1514]
  return Object.fromEntries(
    sizes.map((size, seed) => [`${size}`, ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(size, seed))])
  )
}

/** What comes from the switch and what the host sends: each is heard once, as it was. */
async function expectEachOnce(sensor: Docker.Container): Promise<void> {
  for (const from of ['sw0', 'ens192']) {
    const frames = sampleFrames()
    const capture = await listen(lab, sensor, { expression: 'ether src 02:00:00:00:0a:01' })
    await lab.send(Object.values(frames), from)
    await expectFrames(capture, frames)
  }
}

test('the old recipe is refused, taken over, and given back but for its network and its mirrors', async () => {
  await makeBridge()
  await makeRoot()
  const bare = await describeBare()
  await makeNetwork('span')
  await makeMirrors()
  const suricata = await lab.startSensor('suricata', { NetworkMode: 'span' })
  const { StartedAt } = (await suricata.inspect()).State
  expect(await addressesOf('span0')).toHaveLength(1)
  await expectEachOnce(suricata)
  await settle()

  const refusal = await expectRefusal(lab, ['apply', '--yes'])
  for (const said of [
    'a bridge span0 exists already, and spanplan did not make it; the Docker network span is on it',
    'ens192 has an ingress qdisc',
    'it holds 1 u32 filter that mirrors into span0, as old scripts make',
    'the ingress of ens192 is mirrored into span0 already',
    'the egress of ens192 is mirrored into span0 already',
    'a Docker network span exists already, and spanplan did not make it; it has the subnet'
  ]) {
    expect(refusal).toContain(said)
  }
  expect(refusal.match(/take it over with --adopt/g)).toHaveLength(5)

  const { stdout } = await spanplan(lab, ['plan', '--adopt'])
  expect(stdout).toMatch(/^ {2}= +network +span .*Docker cannot change a network.*a later destroy removes it/m)
  expect(stdout).toMatch(/^ {2}= +bridge +span0 .*a later destroy gives it back/m)
  expect(stdout).toMatch(/^ {2}- +address +172\.\S+ .*span0/m)
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  expect(await addressesOf('span0')).toEqual([])
  await expectEachOnce(suricata)

  const destroyed = await spanplan(lab, ['destroy', '--yes'])
  expect(destroyed.stdout).toMatch(/^ {2}- +bridge +span0 +given back/m)
  expect(await networksOf(suricata)).toEqual([])
  expect((await suricata.inspect()).State).toMatchObject({ Running: true, StartedAt })
  await until('the bridge is as it was', async () => (await describeBare()) === bare).catch(() => undefined)
  expect(await describeBare()).toBe(bare)
  expect(await ip('-6', 'addr', 'show', 'dev', 'span0')).toContain('fe80::ff:fe00:77/64')
})

test('a sensor that is not sealed does not reach the host by the address that the network had', async () => {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], network: span, sealed: false, sensors: [suricata]}}'
  )
  await makeBridge()
  await makeNetwork('span')
  const suricata = await lab.startSensor('suricata', { NetworkMode: 'span' })
  const [gateway = ''] = await addressesOf('span0')
  const ping = ['ping', '-c', '1', '-W', '2', gateway] as const
  expect(await lab.exec(suricata, ping)).toMatchObject({ exitCode: 0 })
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  expect(await lab.exec(suricata, ping)).toMatchObject({ exitCode: 1 })
})

test('what others have set on the network and on its containers stays', async () => {
  await makeRecipe()
  const { Labels = {}, Options = {} } = await lab.docker.getNetwork('span').inspect()
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  const after = await lab.docker.getNetwork('span').inspect()
  expect(after.Labels).toMatchObject(Labels)
  expect(after.Options).toMatchObject(Options)
  expect(after).toMatchObject({ Internal: true, Attachable: true })
  expect(after.IPAM?.Config).toMatchObject([{ Subnet: '10.9.0.0/24', IPRange: '10.9.0.64/26' }])
  expect(await endpointOf('zeek')).toMatchObject({
    Aliases: expect.arrayContaining(['ids', 'visitor']),
    IPAMConfig: { IPv4Address: '10.9.0.70' }
  })
  expect(await endpointOf('arkime')).toMatchObject({
    Aliases: expect.arrayContaining(['archive']),
    IPAMConfig: { IPv4Address: '10.9.0.1' }
  })
  await lab.docker.getContainer('arkime').start()
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  await expectHeard(
    lab,
    ['suricata', 'zeek', 'arkime'].map((name) => lab.docker.getContainer(name))
  )
  // So does what the next change makes anew.
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], mtu: 8000, network: span, sensors: [suricata]}}'
  )
  await spanplan(lab, ['apply', '--yes'])
  expect((await lab.docker.getNetwork('span').inspect()).Labels ?? {}).toMatchObject(Labels)
  await spanplan(lab, ['destroy', '--yes'])
  expect(await namesOfNetworks()).not.toContain('span')
  expect(await addressesOf('span0')).toEqual([])
})

describe('names', () => {
  test('a network of another name on the bridge is taken over under its own', async () => {
    await makeBridge()
    await makeNetwork('tap', ...composed)
    const suricata = await lab.startSensor('suricata', { NetworkMode: 'tap' })
    await settle()
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(
      'the Docker network tap is on the bridge span0 already, and spanplan did not make it; it is of the Compose project ids'
    )
    const refusal = await expectRefusal(lab, ['apply', '--adopt', '--yes'])
    expect(refusal).toContain('write that in the file (network: tap)')
    // The bridge itself is none of the reasons.
    expect(refusal).not.toContain('a bridge span0 exists already')
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: tap, sensors: [suricata]}}')
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
  })

  test('a network of the wanted name on another bridge is never taken over', async () => {
    await ip('link', 'add', 'other0', 'type', 'bridge')
    await docker('network', 'create', '--internal', '-o', 'com.docker.network.bridge.name=other0', 'span')
    await lab.startSensor('suricata', { NetworkMode: 'span' })
    await settle()
    for (const flags of [[], ['--adopt']]) {
      const refusal = await expectRefusal(lab, ['apply', '--yes', ...flags])
      expect(refusal).toContain('a Docker network span exists already')
      expect(refusal).not.toContain('take it over')
    }
  })

  test("an address besides the one that Docker gave the bridge is the host's", async () => {
    await makeBridge()
    await makeNetwork('span', '--subnet', '10.9.0.0/24')
    await ip('addr', 'add', '192.0.2.9/24', 'dev', 'span0')
    expect(await expectRefusal(lab, ['apply', '--adopt', '--yes'])).toContain('it has the address 192.0.2.9/24')
  })
})

describe('the network knows that the bridge was adopted', () => {
  beforeEach(async () => {
    await makeBridge()
    await makeNetwork('span', '--subnet', '10.9.0.0/24')
    await lab.startSensor('suricata', { NetworkMode: 'span' })
    await spanplan(lab, ['apply', '--adopt', '--yes'])
  })

  async function expectMendedAndLeft(): Promise<void> {
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    await expectHeard(lab, [lab.docker.getContainer('suricata')])
    expect(await addressesOf('span0')).toEqual([])
    await spanplan(lab, ['destroy', '--yes'])
    expect(await namesOfNetworks()).not.toContain('span')
    expect(await ip('-d', 'link', 'show', 'dev', 'span0')).not.toContain('spanplan')
  }

  test('when the configuration of the host has made it anew', async () => {
    await ip('link', 'del', 'dev', 'span0')
    await ip('link', 'add', 'span0', 'type', 'bridge', 'stp_state', '0')
    await ip('link', 'set', 'dev', 'span0', 'up')
    const { stdout } = await spanplan(lab, ['plan'])
    expect(stdout).toMatch(/^ {2}~ +bridge +span0 +mark: none → spanplan:default:adopted/m)
    await expectMendedAndLeft()
  })

  test('when Docker has started without it', async () => {
    await lab.stopDocker()
    await ip('link', 'del', 'dev', 'span0')
    await lab.startDocker()
    await lab.docker.getContainer('suricata').start()
    await until('Docker has made the bridge', async () => (await ip('-br', 'link')).includes('span0'))
    await expectMendedAndLeft()
  })
})

describe('where a step of Docker goes wrong, all is as it was', () => {
  // Three are noted and disconnected, the network is removed and made, three are connected and their notes dropped.
  const requests = Array.from({ length: 14 }, (_, index) => index + 1)

  test('these are all', async () => {
    await makeRecipe()
    proxy.prepare()
    await spanplan(lab, ['apply', '--adopt', '--yes'], 0, { env: proxy.env })
    expect(proxy.requests).toHaveLength(requests.length)
  })

  test.each(requests)('request %i', async (request) => {
    await makeRecipe()
    await settle()
    const before = await describeLab()
    for (const how of ['refuse', request % 2 === 0 ? 'deceive' : 'cut after'] as const) {
      proxy.prepare({ request, how })
      const said = await lab.spanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
      // What was done, and said to have failed, may turn out to be well.
      const exits = how === 'refuse' ? [5] : [0, 5]
      expect(exits, `${how}: ${said.stderr}`).toContain(said.exitCode)
      if (said.exitCode === 0) {
        await expectConverged(lab)
        return
      }
      const isAsBefore = async () => (await describeLab()) === before
      await until('all is as it was', isAsBefore).catch(() => undefined)
      expect(await describeLab(), said.stderr).toBe(before)
    }
  })
})

describe('killed at a request to Docker, the next apply ends the job', () => {
  // The second disconnects a container, the seventh removes the network, the eighth makes it, the ninth connects the first.
  const moments = [2, 7, 8, 9].flatMap((request) => [
    { request, how: 'hold before' as const },
    { request, how: 'hold after' as const }
  ])

  test.each(moments)('$how request $request', async ({ request, how }) => {
    await makeRecipe()
    let kill = () => {}
    proxy.prepare({ request, how }, async () => kill())
    const run = lab.startSpanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
    kill = () => run.kill('SIGKILL')
    expect((await run).signal).toBe('SIGKILL')
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectConverged(lab)
    expect(await addressesOf('span0')).toEqual([])
    await expectHeard(lab, [lab.docker.getContainer('suricata')])
    // Whoever was off the network just then is back, as others had connected it, and the notes are gone.
    expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids', 'visitor'], IPAddress: '10.9.0.70' })
    expect(await endpointOf('arkime')).toBeDefined()
    expect((await namesOfNetworks()).filter((name) => name.startsWith('spanplan-away'))).toEqual([])
    await spanplan(lab, ['destroy', '--yes'])
    expect(await ip('-d', 'link', 'show', 'dev', 'span0')).toContain('alias tap of the core switch')
  })
})
