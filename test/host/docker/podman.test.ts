/** What Podman says, in Docker's words, and what it is asked for: its own answers, captured from Podman 5.4. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { callCommand, type DockerCall } from '../../../src/host/docker/docker-calls.ts'
import { canPodmanHandOut, dockerBridge } from '../../../src/host/docker/docker-names.ts'
import { translateContainer, translateNetworks } from '../../../src/host/docker/podman.ts'
import { endpointBody, networkBody, noteBody } from '../../../src/host/docker/podman-calls.ts'
import { parseContainer, parseContainerList, parseNetworks } from '../../../src/host/parsers/docker.ts'
import { findMismatches } from '../../../src/resources/kinds/network.ts'

const read = (name: string) => JSON.parse(readFileSync(`test/fixtures/host/podman-${name}.json`, 'utf8'))
const networks = parseNetworks(translateNetworks(read('networks')))
const containers = read('inspect').map((one: unknown) => parseContainer(translateContainer(one), 0))

test('from 5.4 on, its networks can hand out a span', () => {
  expect(['4.9.3', '5.3.9', '5.4', '5.4.2', '5.10.0', null].map(canPodmanHandOut)).toEqual([
    ...[false, false, true, true, true, false]
  ])
})

test('a network on a bridge that Podman leaves alone is as Docker would have it for a span', () => {
  const span = networks.find(({ name }) => name === 'span')
  expect(span).toMatchObject({
    driver: 'bridge',
    internal: true,
    ipv6: false,
    pools: [{ subnet: '198.18.0.0/26', gateway: null, range: null, reserved: {} }],
    options: {
      'com.docker.network.bridge.name': 'span0',
      'com.docker.network.bridge.inhibit_ipv4': 'true',
      'com.docker.network.driver.mtu': '9000'
    },
    labels: { 'spanplan.name': 'default', 'spanplan.span': 'span0', 'spanplan.bridge': 'owned' }
  })
  expect(span && findMismatches(span, 'span0')).toEqual([])
})

test('one whose bridge Podman manages can be no span’s, and one above an interface names that', () => {
  const [lan, podman, shop] = networks
  expect(networks.map(({ name }) => name)).toEqual(['lan', 'podman', 'shop', 'span'])
  expect(lan?.options).toEqual({ parent: 'ens192' })
  expect([podman, shop].map((one) => one && dockerBridge(one))).toEqual(['podman0', 'podman2'])
  expect(shop?.pools).toMatchObject([{ gateway: '10.99.0.1', range: '10.99.0.129-10.99.0.255' }])
  expect(shop && findMismatches(shop, 'podman2')).toContainEqual(expect.stringContaining('Podman manages its bridge'))
})

test('an alias stands for an option, and only what others have connected keeps its address', () => {
  const [suricata, zeek, share, off] = containers
  expect(suricata.endpoints.map(({ network }: { network: string }) => network)).toEqual(['podman', 'span'])
  expect(suricata.endpoints[1]).toMatchObject({
    aliases: ['ids'],
    fixedAddress: null,
    driverOptions: { 'spanplan.name': 'default', 'com.docker.network.endpoint.ifname': 'tap0' }
  })
  expect(zeek.endpoints).toMatchObject([{ aliases: ['zk'], fixedAddress: '198.18.0.9', driverOptions: {} }])
  // It uses the network of another container, and is described as if it were that one.
  expect(share).toMatchObject({ running: true, sandbox: null, endpoints: [] })
  expect(off).toMatchObject({ running: false, endpoints: [{ network: 'shop', fixedAddress: null }] })
})

test('the list of containers is that of Docker, with the networks of each', () => {
  const listed = parseContainerList(read('containers'))
  expect(listed.map(({ name, details }) => [name, details?.networks, details?.labels])).toEqual([
    ['alone', [], {}],
    ['off', ['shop'], {}],
    ['share', [], {}],
    ['suricata', ['podman', 'span'], { role: 'ids' }],
    ['zeek', ['span'], {}]
  ])
})

test('an alias that looks like an option is one only beside the mark: others who have connected a container have their aliases', () => {
  const alias = 'com.docker.network.endpoint.ifname=eth0'
  const connected = (...aliases: readonly string[]) => {
    const place = { NetworkID: 'b', Aliases: aliases, IPAddress: '198.18.0.5' }
    const document = {
      ...read('inspect')[0],
      HostConfig: { NetworkMode: 'bridge' },
      NetworkSettings: { SandboxKey: '', Networks: { span: place } }
    }
    return parseContainer(translateContainer(document), 0).endpoints
  }
  expect(connected(alias)).toMatchObject([{ aliases: [alias], driverOptions: {}, fixedAddress: '198.18.0.5' }])
  expect(connected('spanplan.name=default', alias)).toMatchObject([
    { aliases: [], driverOptions: { 'spanplan.name': 'default', 'com.docker.network.endpoint.ifname': 'eth0' } }
  ])
})

test('what its health check says is that of Docker; one without a health check has an empty text', () => {
  const [one] = read('inspect')
  const healthOf = (Status: string) =>
    parseContainer(
      translateContainer({ ...one, State: { ...one.State, Health: { Status, FailingStreak: 0, Log: [] } } }),
      0
    ).health
  expect(['starting', 'healthy', 'unhealthy', '', 'stopped'].map(healthOf)).toEqual([
    ...['starting', 'healthy', 'unhealthy', undefined, undefined]
  ])
})

test('of what is not understood, no more than a name is taken', () => {
  const odd = [{ id: 'a', name: 'odd', driver: 7 }, 'x']
  expect(translateNetworks(odd)).toEqual([{ Id: 'a', Name: 'odd' }])
  for (const one of [null, 'x', { Id: 'a' }]) expect(translateContainer(one)).toBe(one)
  expect(() => translateNetworks({})).toThrow()
  expect(parseContainerList([7])).toEqual([])
})

const creation: Extract<DockerCall, { readonly call: 'createNetwork' }> = {
  call: 'createNetwork',
  network: 'span',
  driver: 'bridge',
  internal: true,
  ipv6: false,
  attachable: false,
  pools: [{ subnet: '198.18.0.0/26', gateway: null, range: '198.18.0.4-198.18.0.9', reserved: {} }],
  options: {
    'com.docker.network.bridge.name': 'span0',
    'com.docker.network.bridge.inhibit_ipv4': 'true',
    'com.docker.network.driver.mtu': '9000',
    'com.docker.network.advertise_addr_nmsgs': '0',
    metric: '200'
  },
  labels: { 'spanplan.name': 'default' }
}
const note = { call: 'createNote', network: 'note', labels: { 'spanplan.note': '{}' } } as const
const place = { call: 'connect', network: 'span', container: 'zeek', aliases: ['ids'], address: null } as const
const options = { 'spanplan.name': 'default' }
const named = { ...options, 'com.docker.network.endpoint.ifname': 'tap0' }

test('what it is asked for', () => {
  expect(networkBody(creation)).toEqual({
    name: 'span',
    driver: 'bridge',
    internal: true,
    ipv6_enabled: false,
    dns_enabled: false,
    network_interface: 'span0',
    labels: { 'spanplan.name': 'default' },
    options: { metric: '200', mode: 'unmanaged', mtu: '9000' },
    subnets: [{ subnet: '198.18.0.0/26', lease_range: { start_ip: '198.18.0.4', end_ip: '198.18.0.9' } }]
  })
  expect(noteBody(note.network, note.labels)).toMatchObject({
    options: { mode: 'unmanaged' },
    ipam_options: { driver: 'none' }
  })
  expect(endpointBody({ ...place, options: named, address: '198.18.0.7' })).toEqual({
    container: 'zeek',
    interface_name: 'tap0',
    static_ips: ['198.18.0.7'],
    aliases: ['spanplan.name=default', 'com.docker.network.endpoint.ifname=tap0', 'ids']
  })
})

test('the same as commands', () => {
  const commands = [
    ...[
      creation,
      note,
      { ...place, options },
      { call: 'disconnect', network: 'span', container: 'zeek', port: null } as const
    ],
    { call: 'removeNetwork', network: 'span' } as const
  ].map((call) => callCommand(call, 'podman').join(' '))
  expect(commands).toEqual([
    'podman network create --disable-dns --driver bridge --internal --interface-name span0 --subnet 198.18.0.0/26 --ip-range 198.18.0.4-198.18.0.9 --opt metric=200 --opt mode=unmanaged --opt mtu=9000 --label spanplan.name=default span',
    'podman network create --disable-dns --ipam-driver none --opt mode=unmanaged --label spanplan.note={} note',
    'podman network connect --alias spanplan.name=default --alias ids span zeek',
    'podman network disconnect --force span zeek',
    'podman network rm span'
  ])
  // Podman's own client cannot give an interface a name.
  expect(callCommand({ ...place, options: named }, 'podman')).toEqual([
    ...['curl', '--fail-with-body', '--silent', '--show-error', '--unix-socket', '/run/podman/podman.sock'],
    ...[
      '--header',
      'Content-Type: application/json',
      '--data',
      JSON.stringify(endpointBody({ ...place, options: named }))
    ],
    'http://podman/v5.0.0/libpod/networks/span/connect'
  ])
})
