import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { selectContainers, selectLabels } from '../../../src/host/docker/container-match.ts'
import { supportsApi } from '../../../src/host/docker/docker-names.ts'
import { parseContainer, parseContainerList, parseNetworks } from '../../../src/host/parsers/docker.ts'
import { parseFilters } from '../../../src/host/parsers/filters.ts'
import { parseForwarding, parseLinks, parseOffloads } from '../../../src/host/parsers/ip.ts'
import { compileCommand, missesFirstTagged, parseCompiled } from '../../../src/host/parsers/pcap.ts'
import { findHooks, parseQdiscs } from '../../../src/host/parsers/qdiscs.ts'
import { parseToolJson } from '../../../src/host/parsers/tool-json.ts'
import { everyFrame } from '../../../src/host/tc-conventions.ts'
import type { ContainerSelector } from '../../../src/spec/values/container-selector.ts'

const readText = (name: string) => readFileSync(new URL(`../../fixtures/host/${name}`, import.meta.url), 'utf8')
const read = (name: string) => parseToolJson(readText(`${name}.json`))

describe('ip', () => {
  const { links } = parseLinks(read('ip-link'), read('ip-addr'))
  const { links: kinds } = parseLinks(read('ip-link-kinds'), read('ip-addr-kinds'))
  const find = (name: string) => kinds.find((link) => link.name === name)

  test("a span's bridge", () => {
    expect(links.find(({ name }) => name === 'span0')).toEqual({
      index: 4,
      name: 'span0',
      receiveQueues: 1,
      xdp: null,
      altnames: [],
      type: 'ether',
      kind: 'bridge',
      mac: '02:83:dc:b0:a6:8c',
      permanentMac: '02:83:dc:b0:a6:8c',
      mtu: 9000,
      largestMtu: 65535,
      up: true,
      carrier: true,
      promiscuous: false,
      arp: true,
      alias: 'spanplan:default:owned+network:2.0183',
      master: null,
      lower: null,
      peer: null,
      foreignPeer: false,
      addresses: [],
      generatesAddress: false,
      bridge: { ageing: 0, forwardDelay: 0, stp: false, snooping: false, vlanFiltering: false, groupForward: 0 },
      port: null
    })
  })

  test("a sensor's port", () => {
    expect(links.filter(({ master }) => master === 'span0')).toMatchObject(
      [0, 1].map(() => ({
        kind: 'veth',
        foreignPeer: true,
        lower: null,
        bridge: null,
        port: { isolated: true, learning: false, flooding: true }
      }))
    )
  })

  test('a port, of an ip that has no word for the flooding of broadcasts alone, as iproute2 5.15', () => {
    const old = JSON.parse(readText('ip-link.json').replaceAll('"bcast_flood":true,', ''))
    const ports = parseLinks(old, read('ip-addr')).links.flatMap(({ port }) => port ?? [])
    const port = { isolated: true, learning: false, flooding: true, lacksBroadcast: true }
    expect(ports).toEqual([port, port])
  })

  test.each(['"flood"', '"mcast_flood"', '"bcast_flood"'])('a port that is handed all but what %s says', (flag) => {
    const part = JSON.parse(readText('ip-link.json').replaceAll(`${flag}:true`, `${flag}:false`))
    const ports = parseLinks(part, read('ip-addr')).links.flatMap(({ port }) => port ?? [])
    const port = { isolated: true, learning: false, flooding: false, floodsSome: true }
    expect(ports).toEqual([port, port])
  })

  test.each([
    { operstate: 'DOWN', flags: ['UP', 'LOWER_UP'], found: [true, true] },
    { operstate: 'UP', flags: ['UP', 'LOWER_UP'], found: [] },
    { operstate: 'DOWN', flags: ['UP', 'NO-CARRIER'], found: [] },
    { operstate: undefined, flags: ['UP', 'LOWER_UP'], found: [] }
  ])(
    'a carrier that others do not know of yet: a link that is $operstate with $flags',
    ({ operstate, flags, found }) => {
      const records: { master?: string }[] = JSON.parse(readText('ip-link.json'))
      const ports = records.filter(({ master }) => master === 'span0')
      const changed = ports.map((record) => ({ ...record, operstate, flags }))
      expect(parseLinks(changed, read('ip-addr')).links.flatMap(({ carrierIsLate }) => carrierIsLate ?? [])).toEqual(
        found
      )
    }
  )

  test.each(['fan-map ', 'fan-map 250.0.0.0/8:10.1.0.0/16 '])(
    "a vxlan of Ubuntu's ip, with the text %j in it",
    (fan) => {
      const parse = (name: string) => parseToolJson(readText(name).replace('fan-map ', fan))
      const { links, opaque } = parseLinks(parse('ip-link-fan-6.1.txt'), parse('ip-addr-fan-6.1.txt'))
      expect(links).toMatchObject([{ name: 'vx0', kind: 'vxlan', addresses: [] }])
      expect(opaque).toEqual([])
    }
  )

  test('an alias that looks like a fan map', () => {
    const alias = '"info_data":{"id":5fan-map ,"x'
    expect(parseToolJson(JSON.stringify([{ alias }]))).toEqual([{ alias }])
  })

  test('a card that is copied from', () => {
    expect(links.find(({ name }) => name === 'ens192')).toMatchObject({ promiscuous: true, up: true, mtu: 9000 })
  })

  test('altnames, addresses and an alias that is no valid JSON', () => {
    expect(find('ens224')).toMatchObject({
      altnames: ['enp19s0', 'tap-a'],
      alias: '\u001b[31mred\tx',
      addresses: [{ family: 'inet', address: '192.0.2.7', prefix: 24, automatic: false }]
    })
  })

  test('what is built on what', () => {
    expect(find('mv0')).toMatchObject({ kind: 'macvlan', lower: find('ens224')?.index, peer: null })
    expect(find('blk0')).toMatchObject({ kind: 'veth', lower: null, peer: find('blk1')?.index, foreignPeer: false })
    expect(find('vx0')).toMatchObject({ kind: 'vxlan', lower: null, peer: null })
  })

  test('a device without MAC addresses', () => {
    expect(find('tun0')).toMatchObject({ type: 'none', mac: '', permanentMac: '' })
  })

  test('{} for a link that is left out', () => {
    expect(parseLinks([{}], [{}, {}])).toEqual({ links: [], opaque: [] })
  })

  test('a tunnel that is bound to no link', () => {
    const tunnel = { ifindex: 2, ifname: 'gre0', link: null, flags: ['NOARP'], mtu: 1476, link_type: 'gre' }
    expect(parseLinks([tunnel], [])).toMatchObject({ links: [{ name: 'gre0', lower: null, peer: null }], opaque: [] })
  })

  test('links that are not understood are not taken for missing, and change no other', () => {
    const records = z.array(z.looseObject({})).parse(read('ip-link'))
    const isBroken = ({ ifname }: Readonly<Record<string, unknown>>) => ifname === 'ens192'
    const broken = records.map((link) => (isBroken(link) ? { ...link, altnames: ['tap-a'], mtu: '9000' } : link))
    const index = links.find(({ name }) => name === 'ens192')?.index
    const nothing = { index: null, name: null, altnames: [], alias: null, master: null }
    expect(parseLinks([...broken, null, 7], read('ip-addr'))).toEqual({
      links: links.filter(({ name }) => name !== 'ens192'),
      opaque: [{ ...nothing, index, name: 'ens192', altnames: ['tap-a'] }, nothing, nothing]
    })
    // Without its addresses, nobody knows whether it may be set down.
    const addresses = z.array(z.looseObject({})).parse(read('ip-addr'))
    const unread = addresses.map((link) => (isBroken(link) ? { ...link, addr_info: null } : link))
    expect(parseLinks(records, unread).opaque).toMatchObject([{ index, name: 'ens192' }])
  })
})

test('bridge: the entries that keep frames to a bridge from its ports', () => {
  const entries = parseForwarding(read('bridge-fdb')).ownMacs
  expect(entries).toContain('br9 0a:00:00:00:00:09')
})

test('ethtool: offloads, fixed ones too', () => {
  const offloads = parseOffloads(readText('ethtool.txt'))
  const off = { active: false, fixed: false }
  expect(offloads.get('span0')).toMatchObject({ tx: off, tso: off, gso: off, gro: { active: true, fixed: false } })
  expect(offloads.get('ens192')).toMatchObject({ 'rx-gro-hw': { active: false, fixed: true } })
  // A driver may lack all; what a driver calls its own, and a part of an offload, is not read.
  const odd =
    'Features for old:\nfast-path: on\n\ttx-checksumming: off\nFeatures for b: \nFeatures for new:\nrx-gro-hw: on [fixed]\n'
  expect([...parseOffloads(odd)]).toEqual([
    ['old', {}],
    ['b', {}],
    ['new', { 'rx-gro-hw': { active: true, fixed: true } }]
  ])
})

describe('tc', () => {
  test('qdiscs, with their blocks', () => {
    const qdiscs = parseQdiscs(read('tc-qdisc-foreign'))
    const place = { handle: 'ffff:', root: false, parent: 'ffff:fff1', plainPrio: false }
    expect(qdiscs).toContainEqual({ ...place, device: 'ens192', kind: 'clsact', block: null })
    expect(qdiscs).toContainEqual({ ...place, device: 'blk0', kind: 'clsact', block: 21 })
    expect(qdiscs).toContainEqual({ ...place, device: 'blk1', kind: 'ingress', block: null })
    expect(findHooks(qdiscs).filter(({ device }) => device.startsWith('blk'))).toEqual([
      { device: 'blk1', tcHook: 'ingress' },
      { device: 'blk0', tcHook: 'ingress' },
      { device: 'blk0', tcHook: 'egress' }
    ])
  })

  test('a prio qdisc, as tc makes it', () => {
    const prio = (found: readonly { plainPrio: boolean; device: string }[]) =>
      found.filter(({ plainPrio }) => plainPrio).map(({ device }) => device)
    expect(prio(parseQdiscs(read('tc-stock-qdisc')))).toEqual(['veth0'])
    const other = z
      .array(z.looseObject({}))
      .parse(read('tc-stock-qdisc'))
      .map((row) => ({ ...row, options: { bands: 4 } }))
    expect(prio(parseQdiscs(other))).toEqual([])
  })

  test('a mirror of ours', () => {
    const [filter, ...others] = parseFilters({ device: 'ens192', tcHook: 'ingress' }, read('tc-filter-ingress'))
    expect(others).toEqual([])
    expect(filter).toMatchObject({
      device: 'ens192',
      tcHook: 'ingress',
      pref: 8,
      protocol: 'all',
      kind: 'bpf',
      handle: 456257237,
      program: expect.stringMatching(/^24,40 0 0 12,.*,6 0 0 262144$/),
      directAction: false,
      mirror: { target: 'span0', control: 'continue', cookie: '7370616e706c616e01018300ed954e41' }
    })
  })

  test('a mirror whose target is gone, u32 with duplicate keys, a redirect', () => {
    const u32 = { kind: 'u32', program: null, directAction: false }
    expect(parseFilters({ device: 'ens224', tcHook: 'ingress' }, read('tc-filter-foreign'))).toMatchObject([
      { pref: 8, handle: 7, program: everyFrame, mirror: { target: '*', control: 'continue', cookie: '00112233' } },
      {
        ...u32,
        pref: 20,
        handle: 0x80000800,
        selects: {
          kind: 'u32',
          keys: [
            { offset: 8, value: 0x60000, mask: 0xff0000 },
            { offset: 20, value: 22, mask: 0xffff }
          ]
        },
        others: false,
        mirror: { target: 'other', control: 'pipe', cookie: null }
      },
      { ...u32, pref: 30, handle: 0x80200800, copies: [], others: true, mirror: null }
    ])
  })

  test('a direct action', () => {
    expect(parseFilters({ device: 'ens224', tcHook: 'egress' }, read('tc-filter-egress'))).toMatchObject([
      { pref: 9, program: '1,6 0 0 2', directAction: true, mirror: null }
    ])
  })
})

describe('Docker', () => {
  const networks = parseNetworks(read('docker-networks'))

  test('networks', () => {
    expect(networks.find(({ name }) => name === 'span')).toMatchObject({
      driver: 'bridge',
      internal: true,
      ipv6: false,
      attachable: false,
      pools: [{ subnet: '198.19.55.0/26', gateway: null, range: null, reserved: {} }],
      options: { 'com.docker.network.bridge.name': 'span0', 'com.docker.network.driver.mtu': '9000' },
      labels: { 'spanplan.name': 'default', 'spanplan.span': 'span0', 'spanplan.bridge': 'owned' }
    })
    expect(networks.find(({ name }) => name === 'none')).toMatchObject({ driver: 'null', pools: [], labels: {} })
  })

  test('the containers selected: by name, or by network', () => {
    const list = parseContainerList(read('docker-containers'))
    expect(selectContainers(list, [], [{ container: 'zeek' }, { container: 'other' }])).toHaveLength(1)
    expect(
      selectContainers(
        list,
        networks.filter(({ name }) => name === 'span'),
        []
      )
    ).toHaveLength(2)
    expect(selectContainers(list, [], [])).toEqual([])
  })

  test("Docker's lists have another order at each call, and are read in one", () => {
    const records = z.array(z.looseObject({})).parse(read('docker-networks'))
    expect(parseNetworks([...records].reverse())).toEqual(parseNetworks(records))
    const listed = z.array(z.looseObject({})).parse(read('docker-containers'))
    expect(parseContainerList([...listed].reverse())).toEqual(parseContainerList(listed))
    const inspected = z.object({
      NetworkSettings: z.looseObject({ Networks: z.record(z.string(), z.looseObject({})) })
    })
    const container = inspected.loose().parse(read('docker-inspect'))
    const { Networks } = container.NetworkSettings
    const reversed = Object.entries(Networks)
      .reverse()
      .map(([name, one]) => [name, { ...one, Aliases: z.array(z.string()).nullable().parse(one.Aliases)?.reverse() }])
    const other = {
      ...container,
      NetworkSettings: { ...container.NetworkSettings, Networks: Object.fromEntries(reversed) }
    }
    expect(parseContainer(other, 0)).toEqual(parseContainer(container, 0))
  })

  test('a network that is not understood is foreign, and there', () => {
    const network = { Id: 'a'.repeat(64), Name: 'span', Driver: 'bridge', Options: { a: 'b' }, Labels: { c: 'd' } }
    expect(parseNetworks([{ ...network, IPAM: 7 }, 7, { Name: 'x' }])).toMatchObject([
      { name: 'span', driver: 'unknown', options: { a: 'b' }, labels: {}, pools: [] }
    ])
  })

  test('the containers selected: by label, or by the service of a Compose project', () => {
    const compose = (oneoff: string) => ({
      'com.docker.compose.project': 'shop',
      'com.docker.compose.service': 'ids',
      'com.docker.compose.oneoff': oneoff
    })
    const list = parseContainerList([
      { Id: 'a', Names: ['/zeek'], Labels: { role: 'ids' } },
      { Id: 'b', Names: ['/0f1e2d_shop-ids-1'], Labels: { ...compose('False'), role: 'a=b' } },
      { Id: 'c', Names: ['/shop-ids-run-1'], Labels: compose('True') },
      { Id: 'd', Names: ['/shop-ids-2'], Labels: null },
      { Id: 'e', Names: null, Labels: { role: 'ids' } },
      { Id: '0123456789abcdef', Names: 7 }
    ])
    const select = (selector: ContainerSelector) =>
      selectContainers(list, [], [selector]).flatMap(({ id, details }) => (details === null ? [] : [id]))
    expect(select({ label: { key: 'role', value: 'ids' } })).toEqual(['e', 'a'])
    expect(select({ label: { key: 'role', value: 'a=b' } })).toEqual(['b'])
    expect(select({ label: { key: 'role', value: '' } })).toEqual([])
    expect(select({ compose: { project: 'shop', service: 'ids' } })).toEqual(['b'])
    expect(select({ compose: { project: 'shop', service: 'web' } })).toEqual([])
    // An entry that cannot be parsed may be one of them.
    expect(selectContainers(list, [], [{ container: 'zeek' }])).toMatchObject([
      { id: '0123456789abcdef', name: '0123456789ab' },
      { id: 'a', name: 'zeek' }
    ])
    // Of all containers, the labels that count, and no others.
    expect(selectLabels(list, [{ container: 'zeek' }])).toBeUndefined()
    expect(selectLabels(list, [{ label: { key: 'role', value: 'idz' } }])).toEqual([{ role: 'a=b' }, { role: 'ids' }])
    expect(selectLabels(list, [{ compose: { project: 'shop', service: 'idz' } }])).toEqual([
      { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'ids' }
    ])
  })

  test.each([
    ['1.48', true],
    ['1.100', true],
    ['2.0', true],
    ['1.47', false],
    ['', false]
  ])('a daemon of the API %s, of which 1.48 is asked: %s', (api, knows) => {
    expect(supportsApi(api, '1.48')).toBe(knows)
  })

  test('a container on two networks', () => {
    const container = parseContainer(read('docker-inspect'), 0)
    expect(container).toMatchObject({
      name: 'suricata',
      running: true,
      restarting: false,
      sandbox: expect.stringMatching(/\/netns\/[0-9a-f]{12}$/),
      labels: {},
      networkMode: 'none'
    })
    expect(container.endpoints).toHaveLength(2)
    expect(container.endpoints).toContainEqual(
      expect.objectContaining({ network: 'extra', aliases: ['ids'], fixedAddress: '10.77.0.9', driverOptions: {} })
    )
    expect(container.endpoints).toContainEqual(
      expect.objectContaining({
        network: 'span',
        networkId: networks.find(({ name }) => name === 'span')?.id,
        driverOptions: { 'spanplan.name': 'default' },
        fixedAddress: null
      })
    )
  })

  test('what the health check of a container says, while that runs', () => {
    const document = z.looseObject({ State: z.looseObject({}) }).parse(read('docker-inspect'))
    const healthOf = (state: object) =>
      parseContainer({ ...document, State: { ...document.State, ...state } }, 0).health
    const said = (Status: unknown) => healthOf({ Health: { Status, FailingStreak: 0, Log: [] } })
    expect(['starting', 'healthy', 'unhealthy'].map(said)).toEqual(['starting', 'healthy', 'unhealthy'])
    expect(['none', '', 'well', 7].map(said)).toEqual([undefined, undefined, undefined, undefined])
    expect([healthOf({}), healthOf({ Health: null }), healthOf({ Health: 'healthy' })]).toEqual([
      ...[undefined, undefined, undefined]
    ])
    expect(healthOf({ Running: false, Health: { Status: 'unhealthy' } })).toBeUndefined()
  })

  test('a container that has run for longer than it may be starting: Docker itself was restarted (live-restore)', () => {
    const document = z
      .looseObject({ State: z.looseObject({}), Config: z.looseObject({}) })
      .parse(read('docker-inspect'))
    const healthAfter = (seconds: number, Status: string, Healthcheck?: object | null) => {
      const State = { ...document.State, StartedAt: '2026-01-01T00:00:00Z', Health: { Status } }
      const Config = { ...document.Config, ...(Healthcheck !== undefined && { Healthcheck }) }
      return parseContainer({ ...document, State, Config }, Date.parse('2026-01-01T00:00:00Z') + 1000 * seconds).health
    }
    const check = { Interval: 5e9, Timeout: 10e9, Retries: 3, StartPeriod: 120e9 }
    expect([180, 181].map((seconds) => healthAfter(seconds, 'starting', check))).toEqual(['starting', undefined])
    expect(healthAfter(181, 'unhealthy', check)).toBe('unhealthy')
    for (const defaults of [undefined, null, {}, { Interval: 0 }, { Interval: 'x' }]) {
      expect([240, 241].map((seconds) => healthAfter(seconds, 'starting', defaults))).toEqual(['starting', undefined])
    }
  })

  test('a container that has stopped', () => {
    expect(parseContainer(read('docker-inspect-stopped'), 0)).toMatchObject({
      name: 'zeek',
      running: false,
      restarting: false,
      sandbox: null,
      endpoints: [{ network: 'span', port: 'unknown' }]
    })
  })
})

describe('tcpdump', () => {
  test('an expression stays one, whatever it begins with', () => {
    expect(compileCommand('-i evil')).toEqual(['tcpdump', '-ddd', '-y', 'EN10MB', '--', '-i evil'])
    expect(compileCommand('tcp and VLAN 10')).toEqual(['tcpdump', '-ddd', '-p', '-i', 'lo', '--', 'tcp and VLAN 10'])
  })

  test('a program, an error, a right that is missing', () => {
    const failed = (stderr: string) => ({ stdout: '', stderr, status: 1 })
    expect(parseCompiled('ip', { stdout: '1\n6 0 0 262144\n', stderr: '', status: 0 })).toEqual({
      state: 'compiled',
      program: '1,6 0 0 262144'
    })
    expect(parseCompiled('ipp', failed("tcpdump: can't parse filter expression: syntax error\n"))).toEqual({
      state: 'invalid',
      message: "can't parse filter expression: syntax error"
    })
    const forbidden = failed("tcpdump: lo: You don't have permission to perform this capture on that device\n")
    expect(parseCompiled('vlan 10', forbidden)).toEqual({ state: 'forbidden' })
    expect(parseCompiled('ip', forbidden)).toMatchObject({ state: 'invalid' })
  })

  test.each([
    ['1.10', false],
    ['1.11', true]
  ])('libpcap %s misses the first frames of a VLAN: %s', (version, misses) => {
    const stdout = readText(`tcpdump-vlan-${version}.txt`)
    const compiled = parseCompiled('vlan 10', { stdout, stderr: '', status: 0 })
    expect(compiled.state === 'compiled' && missesFirstTagged(compiled.program)).toBe(misses)
  })
})

test.each([
  ['nothing', '', []],
  ['an escape', '["\u001b[31m\u000b"]', ['\u001b[31m\u000b']],
  ["ethtool's apostrophe", String.raw`["a\'b","\\'","\\\'"]`, ["a'b", "\\'", "\\'"]],
  ['what is valid', '[\n\t"\\u001b\\n\\"" ]\n', ['\u001b\n"']]
])('JSON of the tools: %s', (_, text, value) => {
  expect(parseToolJson(text)).toEqual(value)
})
