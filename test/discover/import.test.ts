import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filterToPcap, joinParts } from '../../src/discover/filter-to-pcap.ts'
import { writeImport } from '../../src/discover/write-yaml.ts'
import { run } from '../../src/host/exec.ts'
import { indexHost } from '../../src/host/host-index.ts'
import { parseFilters } from '../../src/host/parsers/filters.ts'
import { compileCommand, parseCompiled } from '../../src/host/parsers/pcap.ts'
import { parseQdiscs } from '../../src/host/parsers/qdiscs.ts'
import { parseToolJson } from '../../src/host/parsers/tool-json.ts'
import type { Snapshot } from '../../src/host/snapshot.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { readHostFile } from '../lab/fixtures/host-file.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'

const fixture = (path: string) => new URL(`../fixtures/${path}`, import.meta.url)
const captured = (name: string) => parseToolJson(readFileSync(fixture(`host/${name}.json`), 'utf8'))
const hostOf = (name: string) => readHostFile(readFileSync(fixture(`plan/${name}/host.json`), 'utf8'))
const load = (text: string) => loadSpec([{ path: 'imported.yaml', bytes: Buffer.from(text) }])
const write = (host: Snapshot) => writeImport(indexHost(host), '2026-01-01T00:00:00.000Z')

/** The host of a case, less what its fixture says, with all filters that the stock kernel was given. */
function stockHost(): Snapshot {
  const host = hostOf('converged')
  const [source, bridge] = ['ens192', 'span0'].map((name) => host.links.find((link) => link.name === name))
  if (source === undefined || bridge === undefined) throw new Error('the fixture has changed')
  return {
    ...host,
    links: [
      { ...source, name: 'veth0', mtu: 1500 },
      { ...bridge, name: 'br0', mtu: 1500, alias: null },
      { ...bridge, name: 'br1', mtu: 1400, alias: null }
    ],
    qdiscs: parseQdiscs(captured('tc-stock-qdisc')),
    filters: [
      ...parseFilters({ device: 'veth0', tcHook: 'ingress' }, captured('tc-stock-ingress')),
      ...parseFilters({ device: 'veth0', tcHook: 'egress' }, captured('tc-stock-egress'))
    ],
    classFilters: parseFilters({ device: 'veth0', parent: '1:' }, captured('tc-stock-class'))
  }
}

/** A host where each frame of the network shop is copied once, and what one container gets besides. */
function dockerNetworkHost(): Snapshot {
  const host = hostOf('container-source-converged')
  const [filter] = host.filters.filter(({ mirror }) => mirror !== null)
  if (filter === undefined || host.docker.state !== 'read') throw new Error('the fixture has changed')
  const network = host.docker.networks.find(({ name }) => name === 'shop')
  const bridge = host.links.find(({ name }) => name === `br-${network?.id.slice(0, 12)}`)
  const ports = host.links.filter(({ master }) => master === bridge?.name)
  const places = [
    ...[bridge?.name ?? '', ports[0]?.name ?? ''].map((device) => ({ device, tcHook: 'egress' as const })),
    ...ports.map(({ name: device }) => ({ device, tcHook: 'ingress' as const }))
  ]
  return { ...host, filters: places.map((place) => ({ ...filter, ...place })) }
}

/** Each filter of the stock kernel alone, so that the expression of each is seen. */
function oneByOne(): string[] {
  const host = stockHost()
  return [...host.filters, ...host.classFilters].map((filter) => {
    const alone = 'tcHook' in filter ? { filters: [filter], classFilters: [] } : { filters: [], classFilters: [filter] }
    const { spans } = load(write({ ...host, ...alone }))
    const expressions = spans.map(({ sources }) => sources[0]?.filter?.expression ?? 'every frame')
    const place = 'tcHook' in filter ? filter.tcHook : filter.parent
    return `${place} ${filter.pref} ${filter.protocol} ${filter.kind}: ${expressions.join('; ') || 'none'}`
  })
}

const cases: Readonly<Record<string, () => Snapshot>> = {
  'stock-kernel': stockHost,
  'two-spans-of-our-own': () => hostOf('two-spans-converged'),
  'without-docker': () => ({
    ...hostOf('converged'),
    docker: { state: 'unreachable', reason: { code: 'DOCKER_UNREACHABLE', message: 'Docker is\u001b[31m away' } }
  }),
  'bridge-gone': () => hostOf('drift-bridge-gone'),
  containers: () => hostOf('container-source-converged'),
  'docker-network': dockerNetworkHost,
  'docker-network-without-docker': () => ({
    ...dockerNetworkHost(),
    docker: { state: 'unreachable', reason: { code: 'DOCKER_UNREACHABLE', message: 'Docker is away' } }
  }),
  nothing: () => hostOf('fresh')
}

/** tc's selection and protocol, in pcap-filter(7)'s words. */
test.each([
  [
    'ip',
    { ip_proto: 'tcp', src_ip: '10.0.0.0/24', dst_port: 22 },
    'ip proto 6 and ip src net 10.0.0.0/24 and tcp dst port 22 and not vlan'
  ],
  ['ipv6', { ip_proto: 'udp', dst_ip: '2001:db8::1' }, 'ip6 proto 17 and ip6 dst host 2001:db8::1 and not vlan'],
  ['ip', { ip_proto: '2f' }, 'ip proto 47 and not vlan'],
  [
    'all',
    { src_mac: '02:00:00:00:00:01', dst_mac: '02:00:00:00:00:02' },
    'ether src 02:00:00:00:00:01 and ether dst 02:00:00:00:00:02'
  ],
  ['802.1Q', { vlan_id: 10, vlan_ethtype: 'ip', dst_ip: '10.0.0.1' }, 'vlan 10 and ip and ip dst host 10.0.0.1'],
  ['802.1Q', { vlan_ethtype: '[34997]' }, 'vlan and ether proto 0x88b5'],
  ['all', { ip_proto: 'tcp' }, null],
  ['ip', { src_ip: '10.0.0.0/24 or ip' }, null],
  ['ip', { ip_tos: '0x4' }, null]
] as const)('flower on protocol %s: %j', async (protocol, keys, expression) => {
  const [filter] = stockHost().filters
  if (filter === undefined) throw new Error('the fixture has changed')
  const result = filterToPcap({ ...filter, protocol, selects: { kind: 'flower', keys } })
  const text = typeof result === 'string' ? null : joinParts([result])
  expect(text).toBe(expression)
  if (text !== null) expect(parseCompiled(text, await run(compileCommand(text)))).toMatchObject({ state: 'compiled' })
})

describe('the file that is written', () => {
  test.each(Object.entries(cases))('%s', async (name, host) => {
    const text = write(host())
    await expect(text).toMatchFileSnapshot(fixture(`import/${name}.yaml`).pathname)
    load(text)
  })

  test('has expressions that tcpdump understands', async () => {
    const host = stockHost()
    const parts = [...host.filters, ...host.classFilters].map(filterToPcap)
    const texts = parts.flatMap((one) => (typeof one === 'string' || one.text === '' ? [] : (joinParts([one]) ?? [])))
    expect(texts.length).toBeGreaterThan(10)
    for (const text of texts) {
      const compiled = parseCompiled(text, await run(compileCommand(text)))
      expect({ text, state: compiled.state }).toEqual({ text, state: 'compiled' })
    }
  })

  test('what each filter becomes', async () => {
    await expect(`${oneByOne().join('\n')}\n`).toMatchFileSnapshot(fixture('import/filters.txt').pathname)
  })

  test('has the sensors of a bridge whose name no Docker network can have', () => {
    const host = hostOf('converged')
    if (host.docker.state !== 'read') throw new Error('the fixture has changed')
    const rename = (name: string) => (name === 'span0' ? '_span0' : name)
    const networks = host.docker.networks.map((network) => ({
      ...network,
      name: 'ids',
      options: { ...network.options, 'com.docker.network.bridge.name': '_span0' }
    }))
    const containers = host.docker.containers.map((container) => ({
      ...container,
      endpoints: container.endpoints.map((endpoint) => ({ ...endpoint, network: 'ids' }))
    }))
    const text = write({
      ...host,
      links: host.links.map((link) => ({ ...link, name: rename(link.name) })),
      filters: host.filters.map((filter) => ({
        ...filter,
        copies: filter.copies.map((copy) => ({ ...copy, target: rename(copy.target) }))
      })),
      docker: { ...host.docker, networks, containers }
    })
    const [span] = load(text).spans
    expect(span).toMatchObject({ name: '_span0', network: { name: 'ids' } })
    expect(span?.sensors).toHaveLength(containers.length)
  })

  test('is valid, whatever names the host has', () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
      fc.constantFrom(
        'a: b',
        '- x',
        '# no',
        '*',
        '&a',
        '!tag',
        'yes',
        '012',
        '"',
        "'",
        '{}',
        'a\nspans: {}',
        '\u2028',
        '--',
        '~'
      )
    )
    fc.assert(
      fc.property(
        fc.record({ interface: name, bridge: name, network: name, container: name, owner: name }),
        (names) => {
          const host = hostOf('converged')
          const rename = (one: string) => (one === 'ens192' ? names.interface : one === 'span0' ? names.bridge : one)
          const text = write({
            ...host,
            links: host.links.map((link) => ({
              ...link,
              name: rename(link.name),
              alias: link.alias && `spanplan:${names.owner}:owned:`
            })),
            filters: host.filters.map((filter) => ({
              ...filter,
              device: rename(filter.device),
              copies: filter.copies.map((copy) => ({ ...copy, target: rename(copy.target), cookie: null }))
            })),
            docker:
              host.docker.state === 'read'
                ? {
                    ...host.docker,
                    networks: host.docker.networks.map((network) => ({
                      ...network,
                      name: names.network,
                      options: { 'com.docker.network.bridge.name': names.bridge }
                    })),
                    // Docker gives no name twice.
                    containers: host.docker.containers.map((container, index) => ({
                      ...container,
                      name: `${names.container}${index || ''}`,
                      endpoints: container.endpoints.map((endpoint) => ({ ...endpoint, network: names.network }))
                    }))
                  }
                : host.docker
          })
          for (const span of load(text).spans) {
            expect(span.name).toBe(names.bridge)
            expect(
              span.sources.every((source) => source.kind === 'interface' && source.interface === names.interface)
            ).toBe(true)
          }
          expect(text).not.toMatch(unprintable)
        }
      ),
      { numRuns: 300 }
    )
  })
})

test.each([
  'vxlan-senders-in-sync',
  'gre-senders-in-sync',
  'gre-source-in-sync',
  'output-vxlan-converged',
  'output-gre-in-sync'
])('the tunnels that spanplan has made are sources and outputs as the file had them: %s', (name) => {
  const tunnelsOf = (text: string) =>
    load(text).spans.map(({ sources, outputs }) => [
      ...sources.flatMap((source) => ('tunnel' in source ? [{ ...source.tunnel, from: source.from }] : [])),
      ...outputs.flatMap((output) => ('tunnel' in output ? [output.tunnel] : []))
    ])
  const tunnels = tunnelsOf(readFileSync(fixture(`plan/${name}/spans.yaml`), 'utf8'))
  expect(tunnels.flat()).not.toEqual([])
  for (const [index, found] of tunnelsOf(write(hostOf(name))).entries()) {
    expect(found).toHaveLength(tunnels[index]?.length ?? 0)
    expect(found).toEqual(expect.arrayContaining(tunnels[index] ?? []))
  }
})
