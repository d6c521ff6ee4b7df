/** Which veth pair is which endpoint's: by what the kernel tells, and only where that leaves no choice. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { addPorts, parseVeths, type Veth } from '../../../src/host/docker/container-veths.ts'
import type { Container, DockerNetwork } from '../../../src/host/snapshot.ts'

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

const folder = '/run/docker/netns'

test('veth pairs, by the namespace at their other end', () => {
  const veths = parseVeths(folder, read('ip-addr-veth'), read('ip-netns'))
  const own = { namespace: 1, isUsed: false }
  expect([...veths]).toEqual([
    [
      `${folder}/174f35cc26d7`,
      [
        { ...own, host: 13, name: 'vethb9e54f8', inside: 12, master: 'span0' },
        { ...own, host: 16, name: 'veth0449adf', inside: 15, master: 'br-5d39b7d54f25' },
        { ...own, host: 22, name: 'routed', inside: 21, master: null, isUsed: true }
      ]
    ],
    [
      `${folder}/bafb2df18845`,
      [{ host: 18, name: 'veth5baf8e1', inside: 17, namespace: 2, master: 'br-5d39b7d54f25', isUsed: false }]
    ]
  ])
})

test('what is no veth pair, or leads nowhere else, is none', () => {
  const link = { ifindex: 2, link_index: 3, link_netnsid: 1, linkinfo: { info_kind: 'veth' }, addr_info: [] }
  const links = [
    {},
    { ...link, linkinfo: { info_kind: 'macvlan' } },
    { ...link, link_netnsid: undefined, link: 'blk0' }
  ]
  expect([...parseVeths(folder, links, [{ nsid: 0 }, { nsid: 1, name: 'a' }])]).toEqual([[`${folder}/a`, []]])
})

const network = (name: string, driver = 'bridge'): DockerNetwork => ({
  id: `id of ${name}`,
  name,
  driver,
  internal: true,
  ipv6: false,
  attachable: false,
  pools: [],
  labels: {},
  options: { 'com.docker.network.bridge.name': `br-${name}` }
})

const networks = [network('span'), network('extra'), network('lan', 'macvlan'), network('others')]

function portsOf(on: readonly string[], veths: readonly Partial<Veth>[], sandbox = `${folder}/a`) {
  const container: Container = {
    ...{
      id: 'f00d',
      name: 'zeek',
      labels: {},
      running: true,
      restarting: false,
      restarts: 0,
      paused: false,
      startedAt: null,
      finishedAt: null,
      exitStatus: 0,
      veths: null,
      networkMode: 'none',
      sandbox
    },
    endpoints: on.map((name) => ({
      network: name,
      networkId: `id of ${name}`,
      aliases: [],
      driverOptions: {},
      fixedAddress: null,
      port: 'unknown'
    }))
  }
  const whole = veths.map((veth, index): Veth => {
    const place = { host: 10 + index, inside: 20 + index, namespace: 1, name: `veth00000a${index}` }
    return { ...place, master: null, isUsed: false, ...veth }
  })
  const { endpoints } = addPorts(container, networks, new Map([[`${folder}/a`, whole]]))
  return endpoints.map(({ port }) => (typeof port === 'string' ? port : port.host))
}

const onSpan = { master: 'br-span' }
const onExtra = { master: 'br-extra' }
const loose = { master: null }

describe('the port of an endpoint is', () => {
  test.each<[what: string, on: string[], veths: Partial<Veth>[], ports: unknown[]]>([
    ['the one on the bridge of its network', ['span', 'extra'], [onExtra, onSpan], [11, 10]],
    ['the one that is on no bridge, where no other endpoint lacks one', ['span', 'extra'], [onExtra, loose], [11, 10]],
    [
      'the one on a bridge of others, where no other endpoint lacks one',
      ['span', 'extra'],
      [onExtra, { master: 'br0' }],
      [11, 10]
    ],
    [
      'not known, where Docker cannot have made the one on a bridge of others',
      ['span'],
      [{ master: 'br0', name: 'vethadmin' }],
      ['unknown']
    ],
    [
      'not known, where the host uses the one on a bridge of others',
      ['span'],
      [{ master: 'br0', isUsed: true }],
      ['unknown']
    ],
    ['missing, where there is none', ['span', 'extra'], [onExtra], ['absent', 10]],
    ['missing, where two are on no bridge', ['span'], [loose, loose], ['absent']],
    ['missing, where another endpoint may have the one on no bridge', ['span', 'extra'], [loose], ['absent', 'absent']],
    ['missing, where the host uses the one on no bridge', ['span'], [{ ...loose, isUsed: true }], ['absent']],
    [
      'missing, where Docker cannot have made the one on no bridge',
      ['span'],
      [{ ...loose, name: 'vethadmin' }],
      ['absent']
    ],
    ["missing, where there are another network's alone", ['span'], [{ master: 'br-others' }], ['absent']],
    ['not known, where two are on its bridge', ['span'], [onSpan, onSpan], ['unknown']],
    ['not known, where somebody has put one on his own bridge', ['span'], [{ master: 'br0' }, loose], ['unknown']],
    ['not known, on a network without a bridge', ['span', 'lan'], [onSpan, loose], [10, 'unknown']],
    ['not known, on a network that Docker does not know', ['gone'], [loose], ['unknown']]
  ])('%s', (_, on, veths, ports) => expect(portsOf(on, veths)).toEqual(ports))

  test('not known, where the kernel has no name for the namespace', () => {
    expect(portsOf(['span'], [onSpan], `${folder}/b`)).toEqual(['unknown'])
  })
})
