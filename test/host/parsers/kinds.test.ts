/** Every kind of link, address, route, qdisc, filter and action that Debian's kernel has, as three versions of iproute2 print them. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseVeths } from '../../../src/host/docker/container-veths.ts'
import { hasNetworkPrograms, parseAttached } from '../../../src/host/parsers/bpftool.ts'
import { decodeBytes } from '../../../src/host/parsers/bytes.ts'
import { parseLinkCounters, parseMirrorCounters } from '../../../src/host/parsers/counters.ts'
import { parseContainerList, parseNetworks } from '../../../src/host/parsers/docker.ts'
import { parseFilters } from '../../../src/host/parsers/filters.ts'
import { parseForwarding, parseLinks, parseOffloads } from '../../../src/host/parsers/ip.ts'
import { parseTables } from '../../../src/host/parsers/nft.ts'
import { findClassful, findHooks, parseQdiscs } from '../../../src/host/parsers/qdiscs.ts'
import { parseNextHops, parseRoutes, splitRoutes } from '../../../src/host/parsers/routes.ts'
import { parseToolJson } from '../../../src/host/parsers/tool-json.ts'
import { plainTunnel } from '../../../src/spec/sources/tunnel-spec.ts'

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/host/${name}`, import.meta.url))

/** The output of each command of kinds.sh. */
function readOutputs(version: string): ReadonlyMap<string, string> {
  const text = decodeBytes(gunzipSync(fixture(`kinds-${version}.txt.gz`)))
  return new Map(text.split(/^### /m).map((part) => [part.split('\n')[0] ?? '', part.slice(part.indexOf('\n') + 1)]))
}

const commands = {
  links: 'ip -json -details link show',
  addresses: 'ip -json -details addr show',
  qdiscs: 'tc -json qdisc show',
  ingress: 'tc -json filter show dev veth0 ingress',
  egress: 'tc -json filter show dev veth0 egress',
  classes: 'tc -json filter show dev q1 parent 1:',
  counters: 'ip -s -s -json link show',
  forwarding: 'bridge -json fdb show',
  veths: 'ip -json -details addr show type veth',
  nextHops: 'ip -json nexthop show',
  routes: 'ip -json -4 route show table all'
} as const

const place = { device: 'veth0', tcHook: 'ingress' } as const

describe.each(['6.1', '6.15', '7.3'])('iproute2 %s', (version) => {
  const outputs = readOutputs(version)
  const read = (name: keyof typeof commands) => parseToolJson(outputs.get(commands[name]) ?? 'missing')

  test('links', () => {
    const { links, opaque } = parseLinks(read('links'), read('addresses'))
    expect(opaque).toEqual([])
    expect(links).toHaveLength(125)
    const find = (name: string) => links.find((link) => link.name === name)
    for (const name of ['tunl0', 'gre0', 'gretap0', 'erspan0', 'sit0', 'ip6tnl0', 'ip_vti0', 'ip6_vti0']) {
      expect(find(name), name).toMatchObject({ lower: null, peer: null, alias: null })
    }
    expect(find('vlan.5')).toMatchObject({ kind: 'vlan', lower: find('dummy0')?.index })
    expect(find('near')).toMatchObject({ kind: 'veth', foreignPeer: true, master: 'br0', port: { learning: true } })
    expect(find('dummy0')).toMatchObject({
      altnames: ['alternative', 'enp5s0'],
      alias: 'an \u001b[31malias\t"quoted" \\'
    })
    const usual = { ...plainTunnel, protocol: 'vxlan', external: false, options: ['learning'] }
    expect(['vxlan1', 'vxlan2', 'vxlan3', 'vxlan4'].map((name) => find(name)?.tunnel)).toEqual([
      { ...usual, identifier: 42, port: 4789, local: '10.0.0.1', options: [] },
      { ...usual, identifier: 43, port: 4790, group: '239.1.1.1', interface: 'dummy0' },
      { ...usual, external: true, identifier: null, port: 4791, options: [] },
      { ...usual, identifier: 44, port: 4792, remote: '2001:db8::2' }
    ])
    const sendOptions = ['ttl', 'inherit', 'pmtudisc', 'noignore-df']
    const ofGre = { ...plainTunnel, external: false, local: '10.0.0.1', sendOptions }
    expect(['gretap1', 'erspan1', 'erspan2', 'gretap0'].map((name) => find(name)?.tunnel)).toEqual([
      { ...ofGre, protocol: 'gretap', remote: '10.0.0.2', options: [] },
      { ...ofGre, protocol: 'erspan', remote: '10.0.0.4', identifier: 7, type: 2, options: ['iseq'] },
      { ...ofGre, protocol: 'erspan', remote: '10.0.0.5', identifier: 8, type: 3, options: ['iseq'] },
      { ...ofGre, protocol: 'gretap', local: null, options: [], sendOptions: ['ttl', 'inherit', 'noignore-df'] }
    ])
    // Two names that differ in bytes that are no UTF-8.
    expect([find('odd\udcff'), find('odd\udcfe"')]).toMatchObject([{ kind: 'dummy' }, { kind: 'dummy' }])
  })

  test("addresses: which are the kernel's own, also where ip does not say so", () => {
    const automatic = parseLinks(read('links'), read('addresses')).links.flatMap(({ name, mac, addresses }) =>
      addresses.flatMap((one) => (one.automatic ? [{ name, mac, address: one.address }] : []))
    )
    expect(automatic).toHaveLength(48)
    expect(automatic).toContainEqual({ name: 'veth1', mac: '2a:b4:32:73:38:55', address: 'fe80::28b4:32ff:fe73:3855' })
  })

  test('qdiscs, of which tc prints one as no JSON', () => {
    const qdiscs = parseQdiscs(read('qdiscs'))
    expect(qdiscs.filter(({ root, handle }) => root && handle === '1:')).toHaveLength(35)
    expect(qdiscs).toContainEqual(expect.objectContaining({ device: 'q23', kind: 'hfsc', handle: '1:', root: true }))
    expect(findClassful(qdiscs)).toContainEqual(expect.objectContaining({ device: 'q23' }))
    expect(findHooks(qdiscs)).toContainEqual({ device: 'odd\udcff', tcHook: 'ingress' })
  })

  test('filters and actions, of which tc prints some as no JSON', () => {
    const ingress = parseFilters(place, read('ingress'))
    const prefs = ingress.map(({ pref }) => pref).sort()
    expect(prefs).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 40, 41, 42, 43, 44, 45])
    const basic = ingress.find(({ kind }) => kind === 'basic')
    expect(basic).toMatchObject({ pref: 21, selects: { kind: 'unknown' }, copies: [], others: true, mirror: null })
    const egress = parseFilters({ ...place, tcHook: 'egress' }, read('egress'))
    const simple = egress.find(({ pref }) => pref === 136)
    // Its text has one quote: what follows is read all the same.
    expect(simple).toMatchObject({ kind: 'matchall', others: true, mirror: null })
    expect(egress.find(({ pref }) => pref === 140)).toMatchObject({ copies: [{ target: 'br1' }] })
    expect(egress.filter(({ pref }) => pref > 136)).toHaveLength(6)
    // 6.1 has printed two as no JSON. With 7.3, the kernel has left two out of its answer.
    const unknown: Readonly<Record<string, readonly number[]>> = { '6.1': [118, 136], '7.3': [112, 123] }
    const all = Array.from({ length: 43 }, (_, index) => 101 + index).filter((pref) => pref !== 139)
    expect(egress.map(({ pref }) => pref)).toEqual(all)
    const isKnown = (pref: number) => egress.find((one) => one.pref === pref)?.handle !== null
    expect(all.filter((pref) => !isKnown(pref))).toEqual(unknown[version] ?? [])
    expect(parseFilters({ device: 'q1', parent: '1:' }, read('classes'))).toMatchObject([
      { kind: 'route', others: true },
      { kind: 'basic' }
    ])
  })

  test('routes, forwarding entries, counters', () => {
    const nextHops = parseNextHops(read('nextHops'))
    expect([...nextHops]).toEqual([
      [1, ['dummy0']],
      [2, []],
      [3, ['dummy0']],
      [4, ['dummy0']],
      [5, ['dummy0']]
    ])
    const routes = splitRoutes(read('routes'), nextHops).get('dummy0') ?? []
    const texts = parseRoutes('dummy0', 'inet', routes, nextHops).map(({ text }) => text)
    expect(texts).toContain('10.9.0.0/24 nhid 1')
    expect(texts.some((text) => text.startsWith('10.9.3.0/24'))).toBe(true)
    expect(texts.join()).not.toContain('understand')
    expect(parseForwarding(read('forwarding')).ownMacs.size).toBeGreaterThan(5)
    expect(parseLinkCounters(read('counters'))).toHaveLength(125)
    expect(parseOffloads(outputs.get('ethtool -k *') ?? '').has('odd\udcff')).toBe(true)
  })
})

/** What a tool might print one day in a field's place. */
const others = fc.constantFrom<unknown>(null, 7, -1.5, 'other', '', true, [], [null], {}, { a: 1 })

/** A copy of a value with one thing in it dropped or replaced: the value itself, or, more often, something within. */
function change(value: unknown, path: readonly number[], other: unknown): unknown {
  const [at, ...rest] = path
  if (at === undefined || typeof value !== 'object' || value === null || Object.keys(value).length === 0) return other
  const keys = Object.keys(value)
  const key = keys[at % keys.length] ?? ''
  const kept = Object.entries(value).filter(([one]) => one !== key || rest.length > 0 || other !== undefined)
  const changed = kept.map(([one, part]) => [one, one === key ? change(part, rest, other) : part] as const)
  return Array.isArray(value) ? changed.map(([, part]) => part) : Object.fromEntries(changed)
}

const path = fc.array(fc.nat(50), { minLength: 0, maxLength: 4 })

interface Parser {
  readonly name: string
  readonly records: readonly unknown[]
  /** What it makes of the records, each thing for itself. */
  readonly parse: (records: readonly unknown[]) => readonly unknown[]
}

const outputs = readOutputs('6.15')
const records = (name: keyof typeof commands): readonly unknown[] => {
  const document = parseToolJson(outputs.get(commands[name]) ?? '')
  return Array.isArray(document) ? document : []
}
const json = (name: string): readonly unknown[] => {
  const document: unknown = JSON.parse(fixture(name).toString())
  return Array.isArray(document) ? document : []
}

/** What a link is built on is told by that link's name, which may be what has changed. */
const alone = <T extends object>(links: readonly T[]) => links.map((link) => ({ ...link, lower: null, peer: null }))

const nextHops = parseNextHops(records('nextHops'))

const programs = [
  { type: 'xdp', id: 5 },
  { type: 'cgroup_skb', id: 6 }
]

const attached = [
  { ifindex: 3, xdp: [{ ifindex: 3, id: 5, multi_attachments: [{ id: 6 }, { id: 7 }] }] },
  { ifindex: 4, tc: [{ ifindex: 4, kind: 'tcx/ingress', name: 'seen', prog_id: 8 }] }
]

const nftObjects = [
  { metainfo: { version: '1.1.3' } },
  { table: { family: 'bridge', name: 'spanplan-a', handle: 1 } },
  { chain: { family: 'bridge', table: 'spanplan-a', name: 'input', handle: 2, type: 'filter', hook: 'input' } },
  { table: { family: 'bridge', name: 'other', handle: 2 } },
  { rule: { family: 'bridge', table: 'other', chain: 'x', handle: 3, expr: [{ drop: null }] } }
]

const parsers: readonly Parser[] = [
  { name: 'links', records: records('links'), parse: (all) => alone(parseLinks(all, []).links) },
  {
    name: 'addresses',
    records: records('addresses'),
    // A link that has none is the same with a record and without it.
    parse: (all) => parseLinks(records('links'), all).links.filter(({ addresses }) => addresses.length > 0)
  },
  { name: 'qdiscs', records: records('qdiscs'), parse: parseQdiscs },
  { name: 'ingress filters', records: records('ingress'), parse: (all) => parseFilters(place, all) },
  { name: 'egress filters', records: records('egress'), parse: (all) => parseFilters(place, all) },
  { name: 'forwarding entries', records: records('forwarding'), parse: (all) => [...parseForwarding(all).ownMacs] },
  { name: 'routes', records: records('routes'), parse: (all) => parseRoutes('dummy0', 'inet', all, nextHops) },
  {
    name: 'split routes',
    records: records('routes'),
    parse: (all) => [...splitRoutes(all, nextHops)].flatMap(([device, some]) => some.map((route) => [device, route]))
  },
  { name: 'next hops', records: records('nextHops').slice(0, 3), parse: (all) => [...parseNextHops(all)] },
  { name: 'counters', records: records('counters'), parse: parseLinkCounters },
  {
    name: "mirrors' counters",
    records: json('tc-filter-statistics.json'),
    parse: (all) => parseMirrorCounters(place, all)
  },
  {
    name: 'veths',
    records: json('ip-addr-veth.json'),
    parse: (all) => [...parseVeths('/x', all, json('ip-netns.json')).values()].flat()
  },
  {
    name: 'namespaces',
    records: json('ip-netns.json'),
    parse: (all) => [...parseVeths('/x', json('ip-addr-veth.json'), all)]
  },
  { name: 'networks', records: json('docker-networks.json'), parse: parseNetworks },
  { name: 'containers', records: json('docker-containers.json'), parse: parseContainerList },
  { name: 'programs', records: programs, parse: (all) => [hasNetworkPrograms([...all, { type: 'xdp' }])] },
  { name: 'attached programs', records: attached, parse: (all) => parseAttached([{ output: all }]) },
  { name: 'tables', records: nftObjects, parse: (all) => parseTables({ nftables: all }).map(({ name }) => name) }
]

test.each(parsers)(
  '$name: one record that is not understood changes no other, and nothing fails',
  ({ records, parse }) => {
    expect(records.length).toBeGreaterThan(0)
    const write = (things: readonly unknown[]) => things.map((thing) => JSON.stringify(thing))
    const all = write(parse(records))
    // What is read with the record and without it is the others'.
    const ofOthers = records.map((_, index) => {
      const without = new Set(write(parse(records.toSpliced(index, 1))))
      return all.filter((one) => without.has(one))
    })
    fc.assert(
      fc.property(fc.nat(records.length - 1), path, fc.option(others, { nil: undefined }), (index, where, other) => {
        const changed = new Set(write(parse(records.with(index, change(records[index], where, other)))))
        expect(ofOthers[index]?.filter((one) => !changed.has(one))).toEqual([])
      }),
      { seed: Number(process.env.FUZZ_SEED ?? 7), numRuns: Math.ceil(8000 / Math.max(records.length, 20)) }
    )
  }
)
