/** What import tells of Docker: the network on a bridge that mirrors feed, and the containers on it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SpanSpec } from '../../src/spec/items/span-item.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { BROADCAST, ether, filler, ipv4Udp } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, listen, spanplan, writeSpans } from '../lab/spans.ts'

const STRANGER = '02:00:00:00:0a:01'

let lab: Lab

const tc = (words: string) => lab.run(['tc', ...words.split(' ')])

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await tc('qdisc add dev ens192 clsact')
})
afterAll(() => lab?.close())

async function importSpans(): Promise<{ text: string; spans: readonly SpanSpec[] }> {
  const { stdout, stderr } = await spanplan(lab, ['import'])
  expect(stderr).toBe('')
  await writeFile(join(lab.files, 'imported.yaml'), stdout)
  await spanplan(lab, ['validate', '-f', 'imported.yaml'])
  return { text: stdout, spans: loadSpec([{ path: 'imported.yaml', bytes: Buffer.from(stdout) }]).spans }
}

test('a network that Docker has named the bridge after, with containers that run and that do not', async () => {
  const network = await lab.docker.createNetwork({ Name: 'ids', IPAM: { Config: [{ Subnet: '198.18.7.0/24' }] } })
  const bridge = `br-${network.id.slice(0, 12)}`
  const zeek = await lab.startSensor('zeek', { NetworkMode: 'ids' })
  await lab.startSensor('suricata', { NetworkMode: 'ids' })
  await lab.startSensor('bystander')
  await lab.startSensor('follower', { NetworkMode: 'container:zeek' })
  await zeek.stop()
  const filter = 'protocol all u32 match u32 0 0 action mirred egress mirror dev'
  await tc(`filter add dev ens192 ingress pref 1 ${filter} ${bridge}`)
  await tc(`filter add dev ens192 egress pref 1 ${filter} ${bridge}`)

  const { text, spans } = await importSpans()
  expect(spans).toMatchObject([
    {
      name: bridge,
      sources: [{ interface: 'ens192', directions: ['received', 'sent'], filter: null }],
      network: { name: 'ids', subnet: '198.18.7.0/24' },
      sensors: [{ container: 'suricata' }, { container: 'zeek' }],
      mtu: 1500
    }
  ])
  expect(text).toContain("# its mtu is smaller than a source's (9000)")
  // What a plan would refuse is told here already.
  expect(text).toContain("# --adopt cannot take over the Docker network ids: it is on a bridge of Docker's own")
  expect(text).toContain('# --adopt cannot take over the Docker network ids: it is not internal')
})

test('who may not ask Docker is told, and gets the rest', async () => {
  const through = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
  const { stdout, stderr } = await spanplan(lab, ['import'], 0, { through })
  expect(stderr).toContain('warning: ')
  expect(stdout).toContain('# Docker was not asked, so networks and sensors are missing here')
  expect(stdout).toContain('interface: ens192')
  expect(stdout).not.toContain('network: ')
})

test('a container is one, also where its network has no other', async () => {
  await using host = await createLab({ docker: true })
  await host.docker.createNetwork({ Name: 'shop' })
  await host.startSensor('web', { NetworkMode: 'shop' })
  for (const source of ['container: web', 'container: web, direction: egress', 'network: shop']) {
    await writeSpans(host, `spans: {span0: {sources: [{${source}}]}}`)
    await spanplan(host, ['apply', '--yes'])
    const { stdout } = await spanplan(host, ['import'])
    await writeFile(join(host.files, 'imported.yaml'), stdout)
    const [key = '', name] = source.split(/[:,] /)
    const [span] = loadSpec([{ path: 'imported.yaml', bytes: Buffer.from(stdout) }]).spans
    expect(span?.sources).toMatchObject([{ [key]: name }])
    await spanplan(host, ['plan', '-f', 'imported.yaml', '--detailed-exitcode'])
  }
})

test('what import writes and --adopt takes over, the sensors go on to see as before', async () => {
  await using host = await createLab({ docker: true })
  const run = (words: string) => host.run(['sh', '-c', words])
  await run('ip link add span0 type bridge ageing_time 0 && ip link set span0 up')
  const Options = { 'com.docker.network.bridge.name': 'span0' }
  const IPAM = { Config: [{ Subnet: '198.18.7.0/24' }] }
  await host.docker.createNetwork({ Name: 'ids', Internal: true, Options, IPAM })
  const sensor = await host.startSensor('zeek', { NetworkMode: 'ids' })
  const mirror = 'action mirred egress mirror dev span0'
  await run('tc qdisc add dev ens192 ingress')
  await run(`tc filter add dev ens192 parent ffff: protocol ip u32 match ip src 192.0.2.0/24 ${mirror}`)
  await run('tc qdisc add dev ens192 root handle 1: htb default 1')
  await run('tc class add dev ens192 parent 1: classid 1:1 htb rate 1gbit')
  await run(`tc filter add dev ens192 parent 1: protocol all u32 match u32 0 0 ${mirror}`)

  const seen = async () => {
    const capture = await listen(host, sensor, { expression: `ether src ${STRANGER}` })
    const udp = (source: string) => ipv4Udp({ source, destination: '192.0.2.9', sourcePort: 1, destinationPort: 2 })
    const frames = ['192.0.2.1', '203.0.113.1'].map((source) => ether(BROADCAST, STRANGER, udp(source)))
    await host.send(frames)
    await host.send([...frames, ether(BROADCAST, STRANGER, filler(80))], 'ens192')
    return (await capture.stop({ count: 4 })).frames
  }
  const before = await seen()
  expect(before).toHaveLength(4)
  const { stdout } = await spanplan(host, ['import'])
  await writeFile(join(host.files, 'spans.yaml'), stdout)
  await spanplan(host, ['apply', '--adopt', '--yes'])
  expect(await seen()).toEqual(before)
  await expectConverged(host)
})
