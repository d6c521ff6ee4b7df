/** An old recipe, bridge, mirrors and Docker network, is told of, taken over, and given back. That a step goes wrong: adopt-faults.long.test.ts. */

import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { composed, takeover, useRecipe } from '../lab/old-recipe.ts'
import {
  expectConverged,
  expectFrames,
  expectHeard,
  expectRefusal,
  listen,
  networksOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let first: string

const recipe = useRecipe(() => lab)
const {
  ip,
  docker,
  makeBridge,
  makeRoot,
  makeMirrors,
  makeRichNetwork,
  settle,
  makeNetwork,
  makeRecipe,
  addressesOf,
  endpointOf,
  namesOfNetworks,
  describeBare
} = recipe

beforeAll(async () => {
  lab = await createLab({ docker: true })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(() => writeSpans(lab, takeover))
afterEach(() => recipe.clear(first))

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
    'a bridge span0 already exists, and spanplan did not create it; the Docker network span is on it',
    'ens192 has an ingress qdisc',
    'it holds 1 u32 filter that mirrors into span0, as old scripts make',
    'the ingress of ens192 is already mirrored into span0',
    'the egress of ens192 is already mirrored into span0',
    'a Docker network span already exists, and spanplan did not create it; it has the subnet'
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

test('a bridge that Docker has made, and takes away with its network, is made again, and copies go on', async () => {
  await makeRoot()
  await makeRichNetwork()
  await makeMirrors()
  await settle()
  const { Labels = {} } = await lab.docker.getNetwork('span').inspect()
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  const after = await lab.docker.getNetwork('span').inspect()
  expect(after.Labels).toMatchObject(Labels)
  expect(after.IPAM?.Config).toMatchObject([{ Subnet: '10.9.0.0/24', IPRange: '10.9.0.64/26' }])
  expect(await endpointOf('zeek')).toMatchObject({ IPAMConfig: { IPv4Address: '10.9.0.70' } })
  expect(await addressesOf('span0')).toEqual([])
  await expectEachOnce(lab.docker.getContainer('suricata'))
  await spanplan(lab, ['destroy', '--yes'])
  expect(await ip('-d', 'link', 'show', 'dev', 'span0')).not.toContain('spanplan')
})

describe('names', () => {
  test('a network of another name on the bridge is taken over under its own', async () => {
    await makeBridge()
    await makeNetwork('tap', ...composed)
    const suricata = await lab.startSensor('suricata', { NetworkMode: 'tap' })
    await settle()
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(
      'the Docker network tap already uses the bridge span0, and spanplan did not create it; it belongs to the Compose project ids'
    )
    const refusal = await expectRefusal(lab, ['apply', '--adopt', '--yes'])
    expect(refusal).toContain('write that in the file (network: tap)')
    // The bridge itself is none of the reasons.
    expect(refusal).not.toContain('a bridge span0 already exists')
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: tap, sensors: [suricata]}}')
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
  })

  test('a network of the desired name on another bridge is never taken over', async () => {
    await ip('link', 'add', 'other0', 'type', 'bridge')
    await docker('network', 'create', '--internal', '-o', 'com.docker.network.bridge.name=other0', 'span')
    await lab.startSensor('suricata', { NetworkMode: 'span' })
    await settle()
    for (const flags of [[], ['--adopt']]) {
      const refusal = await expectRefusal(lab, ['apply', '--yes', ...flags])
      expect(refusal).toContain('a Docker network span already exists')
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
    expect(stdout).toMatch(/^ {2}~ +bridge +span0 +mark: none → spanplan's/m)
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
