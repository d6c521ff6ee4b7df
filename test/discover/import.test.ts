import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { discoverBridges } from '../../src/discover/discover.ts'
import { filterToPcap, joinParts } from '../../src/discover/filter-to-pcap.ts'
import { readLimit } from '../../src/discover/receivers.ts'
import { findAllLeftOut } from '../../src/discover/tunnels.ts'
import { writeImport } from '../../src/discover/write-yaml.ts'
import { SpanplanError } from '../../src/errors.ts'
import { run } from '../../src/host/exec.ts'
import { indexHost } from '../../src/host/host-index.ts'
import { parseFilters } from '../../src/host/parsers/filters.ts'
import { type CompiledFilters, compileCommand, parseCompiled } from '../../src/host/parsers/pcap.ts'
import { parseQdiscs } from '../../src/host/parsers/qdiscs.ts'
import { parseToolJson } from '../../src/host/parsers/tool-json.ts'
import type { Snapshot } from '../../src/host/snapshot.ts'
import { renderChange } from '../../src/plan/output/plan-text.ts'
import { planTarget } from '../../src/plan/plan-view.ts'
import { expressionsOf, makeTarget } from '../../src/plan/target.ts'
import { assignBuckets } from '../../src/resources/feeds/assign-buckets.ts'
import { limitOf } from '../../src/resources/kinds/mirror.ts'
import { bridgeMac, writeCookie } from '../../src/resources/marks.ts'
import { joinPrograms } from '../../src/resources/programs/join-programs.ts'
import { writeShare } from '../../src/resources/programs/share-program.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { everySpan } from '../../src/spec/scope.ts'
import { readHostFile, readingOf } from '../lab/fixtures/host-file.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'

const fixture = (path: string) => new URL(`../fixtures/${path}`, import.meta.url)
const captured = (name: string) => parseToolJson(readFileSync(fixture(`host/${name}.json`), 'utf8'))
const hostOf = (name: string) => readHostFile(readFileSync(fixture(`plan/${name}/host.json`), 'utf8'))
const load = (text: string) => loadSpec([{ path: 'imported.yaml', bytes: Buffer.from(text) }])
const created = '2026-01-01T00:00:00.000Z'
const write = (host: Snapshot, name: string | null = null, filters: CompiledFilters = new Map()) =>
  writeImport(indexHost(host), { name, filters, created })
const compile = async (expression: string) => parseCompiled(expression, await run(compileCommand(expression)))

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

/** A host where all that is sent on the network shop by its containers is copied, and nothing else. */
function sentOnNetworkHost(): Snapshot {
  const host = dockerNetworkHost()
  return { ...host, filters: host.filters.filter(({ tcHook }) => tcHook === 'ingress') }
}

/** A host whose network shop has one container, of which all is copied. */
function oneContainerHost(): Snapshot {
  const host = hostOf('container-source-converged')
  const copying = host.filters.filter(({ mirror }) => mirror !== null)
  const device = copying.find(({ tcHook }) => tcHook === 'ingress')?.device
  const bridge = host.links.find(({ name }) => name === device)?.master
  if (device === undefined || bridge == null) throw new Error('the fixture has changed')
  return {
    ...host,
    links: host.links.filter(({ name, master }) => master !== bridge || name === device),
    filters: copying
      .filter((filter) => filter.device === device)
      .map((filter) => ({ ...filter, selects: { kind: 'matchall' } }))
  }
}

/**
 * Two spans on one card, each of another name, and a third of none.
 *
 * @param lost of the bridge of the second.
 */
function hostOfNames(lost: 'nothing' | 'alias' | 'alias and address' = 'nothing'): Snapshot {
  const host = hostOf('two-spans-converged')
  const [owner, span] = ['b', 'dns']
  const alias = lost === 'nothing' ? `spanplan:${owner}:owned:` : null
  const mac = lost === 'alias and address' ? '02:00:00:00:00:99' : bridgeMac(owner, span)
  const web = host.links.find(({ name }) => name === 'web')
  const [filter] = host.filters.filter(({ mirror }) => mirror?.target === 'web')
  if (web === undefined || filter?.mirror == null) throw new Error('the fixture has changed')
  const own = { ...filter.mirror, target: 'own', cookie: null }
  return {
    ...host,
    links: [
      ...host.links.map((link) => (link.name === span ? { ...link, alias, mac } : link)),
      { ...web, index: 77, name: 'own', alias: null, mac: '02:00:00:00:00:77' }
    ],
    filters: [
      ...host.filters.map((one) => {
        if (one.mirror?.target !== span) return one
        const mirror = { ...one.mirror, cookie: writeCookie(owner, { before: new Set(), managed: new Set() }) }
        return { ...one, mirror, copies: [mirror] }
      }),
      { ...filter, pref: 20, handle: 1, mirror: own, copies: [own] }
    ]
  }
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
  'docker-network-sent': sentOnNetworkHost,
  'docker-network-of-one-container': oneContainerHost,
  'two-names': hostOfNames,
  limits: () => hostOf('limit-converged'),
  'limit-of-others': () => hostOf('drift-limit'),
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
  if (text !== null) expect(await compile(text)).toMatchObject({ state: 'compiled' })
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
      const compiled = await compile(text)
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

/** The name, spans and comments of the file for a name. */
function readNamed(host: Snapshot, name: string | null) {
  const text = write(host, name)
  const spec = load(text)
  const remarks = text.split('\n').flatMap((line) => /^# (.*(?:name|mark).*)$/.exec(line)?.[1] ?? [])
  return { name: spec.name, spans: spec.spans.map((span) => span.name), remarks }
}

test('a file has the spans of one name, and says how to have those of the others', () => {
  const left = 'left out, for a file has one name:'
  expect(readNamed(hostOfNames(), null)).toEqual({
    name: 'b',
    spans: ['dns', 'own'],
    remarks: [`${left} web, of the name default. For a file of that: spanplan import --name default`]
  })
  const nameless = 'left out, for it bears no name: own. Without --name, it is in the file.'
  expect(readNamed(hostOfNames(), 'default')).toEqual({
    name: 'default',
    spans: ['web'],
    remarks: [`${left} dns, of the name b. For a file of that: spanplan import --name b`, nameless]
  })
  expect(readNamed(hostOfNames(), 'c')).toMatchObject({ name: 'c', spans: [] })
  expect(write(hostOfNames(), 'c')).toContain('# nothing on this host bears the name c')
  expect(readNamed(hostOfNames(), 'no name')).toMatchObject({ name: 'default', spans: [] })
})

test('without its alias, a span is known by the name that somebody tells', () => {
  for (const lost of ['alias', 'alias and address'] as const) {
    expect(readNamed(hostOfNames(lost), 'b')).toMatchObject({ name: 'b', spans: ['dns'] })
    expect(readNamed(hostOfNames(lost), null)).toMatchObject({
      spans: ['web', 'own'],
      remarks: [
        expect.stringMatching(/^left out: dns, of a name that is not known\..*run: spanplan import --name NAME$/)
      ]
    })
  }
})

test.each([
  ['output-vxlan-converged', ['vxlan: {id: 42, remote: 10.50.0.1}']],
  ['output-gre-in-sync', ['gretap: {remote: 10.50.0.1, key: 7}']]
])('that a span leaves out what its own tunnels send is no filter of a source: %s', async (name, outputs) => {
  const host = hostOf(name)
  const [expression = '', ...more] = findAllLeftOut(indexHost(host))
  expect(more).toEqual([])
  const compiled = await compile(expression)
  if (compiled.state !== 'compiled') throw new Error(`${expression} is not compiled`)
  const { program } = compiled
  const only = { ...host, filters: host.filters.map((one) => (one.mirror === null ? one : { ...one, program })) }
  const text = write(only, null, new Map([[expression, compiled]]))
  const file = load(
    `version: 1\nspans: {span0: {sources: [interface: ens192], outputs: [${outputs.map((one) => `{${one}}`)}]}}`
  )
  const [span] = file.spans
  expect(expressionsOf(file)).toEqual([expression])
  expect(load(text).spans).toMatchObject([
    {
      name: 'span0',
      sources: [{ interface: 'ens192', filter: null }],
      outputs: span?.outputs.map(({ kind }) => ({ kind }))
    }
  ])
  expect(text).not.toContain('THIS COPIES EVERY FRAME')

  // With an expression of its own, or where tcpdump is missing, nothing else tells what it copies.
  expect(write(host, null, new Map([[expression, compiled]]))).toContain('THIS COPIES EVERY FRAME')
  const error = new SpanplanError({ code: 'PROGRAM_MISSING', message: 'there is no tcpdump' })
  const unknown = write(only, null, new Map([[expression, { state: 'unavailable', error }]]))
  expect(unknown).toContain(
    'whether it leaves out what the outputs send, and no more, is not known: there is no tcpdump.'
  )
  expect(unknown).toContain('THIS COPIES EVERY FRAME')
})

test('what tunnels send is left out by the same program, in whatever order a file has them', () => {
  const vxlan = '{vxlan: {id: 42, remote: 10.50.0.1}}'
  const gretap = '{gretap: {remote: 10.50.0.9}}'
  const programs = [
    [vxlan, gretap],
    [gretap, vxlan]
  ].map((outputs) =>
    expressionsOf(load(`version: 1\nspans: {span0: {sources: [interface: ens192], outputs: [${outputs}]}}`))
  )
  expect(programs[0]).toHaveLength(1)
  expect(programs[1]).toEqual(programs[0])
})

describe('what sensors and outputs get', () => {
  const roundTrip = (name: string) => {
    const host = hostOf(name)
    const text = write(host)
    const spec = load(text)
    const target = makeTarget(spec, {
      scope: { name: spec.name, spans: everySpan },
      deferDocker: false,
      patient: true,
      subnetSeed: 'subnet'
    })
    const { plan } = planTarget(target, readingOf(host))
    return { text, spec, changes: plan.changes.map(renderChange) }
  }

  test.each([
    'share-converged',
    'share-paused-converged',
    'share-removed-converged',
    'share-output-converged',
    'share-of-container'
  ])('is written back, and nothing is to be changed: %s', (name) => {
    expect(roundTrip(name).changes).toEqual([])
  })

  test('the member that gets what is not IP is the first, and those that take nothing now are the last', () => {
    const [span] = roundTrip('share-paused-converged').spec.spans
    expect(span?.balances).toMatchObject([{ hash: 'addresses', filter: null }])
    expect(span?.sensors[0]).toMatchObject({ container: 'shop-ids-1' })
    expect(span?.sensors.at(-1)).toMatchObject({ container: 'shop-ids-2' })
    expect(span?.sensors).toHaveLength(4)
  })

  test('a member whose name is not that of its place gets other flows with the next apply, as a remark says', () => {
    expect(write(hostOf('share-recreated-converged'))).toContain(
      'the next apply gives some flows to other members than they have now.'
    )
    expect(write(hostOf('share-converged'))).not.toContain('the next apply')
  })

  test('without Docker, the sources are known, and the bridges that Docker is asked about', () => {
    const { docker: _, ...rest } = hostOf('share-converged')
    const host = { ...rest, docker: hostOf('share-docker-deferred').docker }
    expect(discoverBridges(indexHost(host))).toEqual(['span0'])
    expect(load(write(host)).spans).toMatchObject([{ name: 'span0', sources: [{ interface: 'ens192' }], sensors: [] }])
  })

  test('outputs are members, and another hash is written', () => {
    const { text } = roundTrip('share-output-converged')
    expect(text).toMatch(/- balance:\n +- shop-ids-1\n +- interface: ens224\n +hash: ports\n/)
    expect(text).not.toContain('outputs:')
  })

  test('a filter of a sensor is a remark at the sensor, and one that all have, at the source', () => {
    const { text } = roundTrip('share-filter-converged')
    expect(text).toMatch(/sensors:\n +# its filter cannot be turned back .*\n +- shop-ids-1\n +- zeek\n/)
    expect(text).toContain('- interface: ens192\n        direction: ingress\n    network')
    expect(roundTrip('share-output-filter-converged').text).toMatch(
      /outputs:\n +# its filter cannot be turned back .*\n +- interface: ens224\n/
    )
    expect(roundTrip('share-filter-alone').text).toMatch(
      /# ens192 ingress, .* cannot be turned back into an expression/
    )
  })

  test('of receivers that have other filters than each other, none is the source’s', () => {
    const host = hostOf('share-converged')
    const filters = host.filters.map((filter, index) => {
      if (filter.mirror === null || filter.program === null) return filter
      const type = index === 0 ? 0x0806 : 0x0800
      const own = `4,40 0 0 12,21 0 1 ${type},6 0 0 4294967295,6 0 0 0`
      return { ...filter, program: joinPrograms([own, filter.program]) }
    })
    const text = write({ ...host, filters })
    expect(text).toContain('- interface: ens192\n        direction: ingress\n    network')
    expect(text).not.toContain('put your expression here')
  })

  test('a limit that members have together is the source’s', () => {
    const shares = assignBuckets(['one', 'two', 'three'].map((name) => ({ name, alive: true })))
    for (const limit of [2_000_000_000, 500_000_000, 10_000_000, 123_456_000]) {
      for (const buckets of shares) {
        const share = { hash: 'addresses', buckets, rest: false } as const
        const [filter] = hostOf('share-converged').filters.filter(({ mirror }) => mirror !== null)
        if (filter?.mirror == null) throw new Error('the fixture has changed')
        const action = { ...filter.mirror, limit: limitOf({ limit }, share) ?? 0 }
        const copy = { filter: { ...filter, program: writeShare(share) }, tcHook: 'ingress' as const, action }
        expect(readLimit(copy)).toBe(limit)
      }
    }
  })

  test('a sample is the source’s', () => {
    const { text, spec } = roundTrip('share-sample-converged')
    expect(spec.spans[0]?.sources).toMatchObject([{ sample: { kind: 'flows', take: 1, of: 10 } }])
    expect(text).toMatch(/# ens192 ingress, .* cannot be turned back into an expression/)
    expect(spec.spans[0]?.balances).toHaveLength(1)
  })
})
