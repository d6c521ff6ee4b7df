/** A span beside other Docker networks: its subnet, its name, and frames that two sources copy. */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BROADCAST, ether, ipv4Udp, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, interfacesOf, listen, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
})
afterAll(() => lab?.close())

afterEach(() => spanplan(lab, ['destroy', '--all', '--yes']))

const subnetIn = (text: string) => /internal, (\S+), mtu/.exec(text)?.[1] ?? ''

describe('the subnet of a span', () => {
  test('cannot be told from its name, is kept once made, and is what a saved plan says', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: span}}')
    const plans = [1, 2, 3, 4].map(async () => subnetIn((await spanplan(lab, ['plan'])).stdout))
    const subnets = await Promise.all(plans)
    expect(subnets.filter((subnet) => !/^198\.1[89]\.\d+\.\d+\/26$/.test(subnet))).toEqual([])
    expect(new Set(subnets).size).toBeGreaterThan(1)
    const saved = join(lab.files, 'plan.json')
    const { stdout } = await spanplan(lab, ['plan', '--out', saved])
    await spanplan(lab, ['apply', saved])
    const { IPAM } = await lab.docker.getNetwork('span').inspect()
    expect(IPAM?.Config).toEqual([{ Subnet: subnetIn(stdout) }])
    await expectConverged(lab)
  })

  test('that overlaps another network’s is refused by name, before anything is changed', async () => {
    const network = (subnet: string) => `{sources: [{interface: ens192}], network: {name: span, subnet: ${subnet}}}`
    await writeSpans(lab, `spans: {span0: ${network('10.77.0.64/26')}}`)
    const said = await expectRefusal(lab, ['apply', '--yes'])
    expect(said).toContain('the subnet 10.77.0.64/26 overlaps 10.77.0.0/24, the Docker network shop')
    await writeSpans(lab, `spans: {span0: ${network('198.18.7.0/26')}}`)
    await spanplan(lab, ['apply', '--yes'])
    // A span that goes in the same plan is in nobody's way.
    await writeSpans(lab, `spans: {span1: ${network('198.18.7.0/25').replace('span,', 'other,')}}`)
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
  })
})

test('a destroy under another name says which names have spans here, and how to remove them', async () => {
  await writeSpans(lab, 'name: sensor-7\nspans: {span0: {sources: [{interface: ens192}], network: span}}')
  await spanplan(lab, ['apply', '--yes'])
  const { stderr } = await spanplan(lab, ['destroy', '--name', 'sensor-8', '--yes'])
  expect(stderr).toContain('nothing on this host has the name sensor-8; there are spans of sensor-7 (span0)')
  expect(stderr).toContain('spanplan destroy --name sensor-7')
  const other = await expectRefusal(lab, ['destroy', '--name', 'sensor-8', '--span', 'span0', '--yes'], 64)
  expect(other).toContain('spanplan destroy --name sensor-7 --span span0')
})

describe('a filter that looks for a part of it inside a tag, in untagged frames too', () => {
  const datagram = () => ipv4Udp({ source: '192.0.2.1', destination: '192.0.2.2', sourcePort: 1, destinationPort: 2 })
  const untagged = () => ether(BROADCAST, '02:00:00:00:0a:01', datagram())
  const tagged = () => ether(BROADCAST, '02:00:00:00:0a:01', vlan(5, datagram()))

  /** How many frames of each kind are copied of ten that the interface receives. */
  async function copiedBy(filter: string): Promise<number[]> {
    await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192, direction: ingress, filter: "${filter}"}]}}`)
    await spanplan(lab, ['apply', '--yes'])
    const count = async () => {
      const shown = await lab.run(['tc', '-s', 'filter', 'show', 'dev', 'ens192', 'ingress'])
      return Number(/Sent \d+ bytes (\d+) pkt/.exec(shown)?.[1])
    }
    const copied: number[] = []
    for (const frame of [untagged, tagged]) {
      const before = await count()
      await lab.send(Array.from({ length: 10 }, frame))
      copied.push((await count()) - before)
    }
    return copied
  }

  test.each([
    ['not vlan 5 and udp', [0, 0], [10, 0]],
    ['vlan 5 or udp', [0, 10], [10, 10]],
    ['not mpls and udp', [0, 0], [10, 10]],
    ['not pppoes and udp', [0, 0], [10, 10]]
  ])('%s: validate and plan say what to write instead, and that copies them', async (filter, before, after) => {
    expect(await copiedBy(filter)).toEqual(before)
    const { stderr } = await spanplan(lab, ['validate'])
    expect(stderr).toContain('"udp" matches no frame without that')
    expect((await spanplan(lab, ['plan'])).stderr).toContain(stderr)
    const better = /write: (.*)/.exec(stderr)?.[1] ?? ''
    expect(await copiedBy(better)).toEqual(after)
    expect((await spanplan(lab, ['validate'])).stderr).toBe('')
  })
})

describe('two containers of one network, which talk to each other, as sources', () => {
  test('the plan says that each frame comes twice, and what to write: then each comes once', async () => {
    const labels = { tier: 'app' }
    const sensor = await lab.startSensor('suricata')
    const client = await lab.startSensor('client', { NetworkMode: 'shop' }, labels)
    const server = await lab.startSensor('server', { NetworkMode: 'shop' }, labels)
    const macOf = async (container: typeof client) => (await interfacesOf(container))[0]?.mac ?? ''
    const [from, to] = [await macOf(client), await macOf(server)]
    const payload = ipv4Udp({ source: '10.77.0.9', destination: '10.77.0.8', sourcePort: 1, destinationPort: 53 })
    const query = ether(to, from, payload)
    const answer = ether(from, to, payload)

    const listenTo = async (source: string) => {
      await writeSpans(lab, `spans: {span0: {sources: [${source}], sensors: [suricata]}}`)
      const { stderr } = await spanplan(lab, ['apply', '--yes'])
      const capture = await listen(lab, sensor, { expression: 'udp port 53' })
      await lab.sendFrom(client, 'eth0', [query])
      await lab.sendFrom(server, 'eth0', [answer])
      const { frames } = await capture.stop({ seconds: 1 })
      const count = (sent: Buffer) => frames.filter((frame) => frame.equals(sent)).length
      return { copies: [count(query), count(answer)], stderr }
    }

    const twice = await listenTo('{label: tier=app}')
    expect(twice.copies).toEqual([2, 2])
    expect(twice.stderr).toMatch(
      /each frame between (client|server) \(shop\) and (client|server) \(shop\) is copied twice/
    )
    expect(twice.stderr).toContain('write "network: shop" instead of them, or "direction: egress" for all of them')
    for (const source of ['{network: shop}', '{label: tier=app, direction: egress}']) {
      const once = await listenTo(source)
      expect(once).toMatchObject({ copies: [1, 1], stderr: expect.not.stringContaining('twice') })
    }
    const one = await listenTo('{container: client}')
    expect(one).toMatchObject({ copies: [1, 1], stderr: expect.not.stringContaining('twice') })
    await expectConverged(lab)
  })
})

test('a container that was created on a network that goes is told before anything is changed; the rest converges', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: one}}')
  await spanplan(lab, ['apply', '--yes'])
  await lab.startSensor('zeek', { NetworkMode: 'one' }, { role: 'ids' })
  const write = (sensor: string) =>
    writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], network: two, sensors: [${sensor}]}}`)
  await write('zeek')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(
    'was created on the network one, which would be removed'
  )
  // Of those that a label selects, others can be connected.
  await write('{label: role=ids}')
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain('was created on the network one, which would be removed')
  await expectConverged(lab)
})
