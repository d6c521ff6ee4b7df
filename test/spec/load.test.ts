import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Exit, SpanplanError } from '../../src/errors.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { diagnosticsOf, file, load } from '../lab/fixtures/spec-text.ts'

const full = `# yaml-language-server: $schema=../schemas/spans.schema.json
version: 1
name: sensor-7
interfaces:
  tap-a:
    match: {macaddress: "00-1B-21-AA-00-01"}
    dedicated: true
  ens224: {}
spans:
  span0:
    description: Core switch mirror port
    sources:
      - interface: tap-a
        direction: both
        filter: not port 22
      - interface: ens224
    network: {name: span, subnet: 198.18.0.0/26}
    sensors: [suricata, zeek]
    mtu: 9000
    wire: false
    sealed: false
`

const at = (line: number, column: number, path = 'spans.yaml') => ({ file: path, line, column })

describe('a good file', () => {
  test('every value with its place', () => {
    expect(load(full)).toEqual({
      name: 'sensor-7',
      formerly: [],
      files: ['spans.yaml'],
      digest: `sha256:${createHash('sha256').update(full).digest('hex')}`,
      interfaces: [
        { key: 'tap-a', match: { macaddress: '00:1b:21:aa:00:01' }, dedicated: true, ring: null, origin: at(5, 3) },
        { key: 'ens224', match: { name: 'ens224' }, dedicated: false, ring: null, origin: at(8, 3) }
      ],
      spans: [
        {
          name: 'span0',
          bridge: 'span0',
          description: 'Core switch mirror port',
          sources: [
            {
              kind: 'interface',
              id: 'source macaddress 00:1b:21:aa:00:01 received sent',
              interface: 'tap-a',
              directions: ['received', 'sent'],
              filter: {
                expression: 'not port 22',
                origin: at(15, 17),
                written: { at: at(15, 17), source: 'not port 22' }
              },
              except: [],
              from: [],
              sample: null,
              limit: null,
              maxIdle: null,
              origin: at(13, 9)
            },
            {
              kind: 'interface',
              id: 'source name ens224 received sent',
              interface: 'ens224',
              directions: ['received', 'sent'],
              filter: null,
              except: [],
              from: [],
              sample: null,
              limit: null,
              maxIdle: null,
              origin: at(16, 9)
            }
          ],
          network: { name: 'span', subnet: '198.18.0.0/26', origin: at(17, 14) },
          sensors: [
            {
              id: 'sensor container suricata',
              container: 'suricata',
              interfaceName: null,
              stats: null,
              filter: null,
              balance: null,
              origin: at(18, 15)
            },
            {
              id: 'sensor container zeek',
              container: 'zeek',
              interfaceName: null,
              stats: null,
              filter: null,
              balance: null,
              origin: at(18, 25)
            }
          ],
          balances: [],
          outputs: [],
          mtu: 9000,
          wire: false,
          sealed: false,
          origin: at(10, 3)
        }
      ]
    })
  })

  test('defaults', () => {
    const spec = load('version: 1\nspans:\n  span0:\n    sources: [{interface: eth1}]\n    sensors: [zeek]\n')
    expect(spec).toMatchObject({ name: 'default', interfaces: [] })
    expect(spec.spans[0]).toMatchObject({
      bridge: 'span0',
      description: null,
      sources: [{ directions: ['received', 'sent'], filter: null }],
      network: { name: 'span0', subnet: null, origin: at(3, 3) },
      mtu: 'auto',
      wire: true,
      sealed: true
    })
  })

  test('a name that is longer than that of a bridge', () => {
    const name = 'the-mirror-port-of-the-core-switch-in-the-second-building-12345'
    expect(name).toHaveLength(63)
    const [span] = load(
      `version: 1\nspans: {${name}: {bridge: span0, sources: [{interface: eth1}], sensors: [zeek]}}`
    ).spans
    expect(span).toMatchObject({ name, bridge: 'span0', network: { name: 'span0' } })
  })

  test('sensors by name, by label, by the service of a Compose project', () => {
    const sensors =
      '[zeek, {container: suricata, interface_name: tap0}, {label: role=a=b}, {label: "x="}, {compose: shop/ids.1}]'
    const [span] = load(`version: 1\nspans:\n  a: {sources: [{interface: eth1}], sensors: ${sensors}}\n`).spans
    expect(span?.sensors.map(({ origin: _, filter: __, balance: ___, ...sensor }) => sensor)).toEqual([
      { id: 'sensor container zeek', container: 'zeek', interfaceName: null, stats: null },
      { id: 'sensor container suricata', container: 'suricata', interfaceName: 'tap0', stats: null },
      { id: 'sensor label role=a=b', label: { key: 'role', value: 'a=b' }, interfaceName: null, stats: null },
      { id: 'sensor label x=', label: { key: 'x', value: '' }, interfaceName: null, stats: null },
      {
        id: 'sensor compose shop/ids.1',
        compose: { project: 'shop', service: 'ids.1' },
        interfaceName: null,
        stats: null
      }
    ])
  })

  test('a balance: its members are among the sensors and the outputs, each with its place', () => {
    const [span] = load(`version: 1
spans:
  a:
    sources: [{interface: eth1}]
    sensors:
      - zeek
      - {balance: [suri, {interface: eth2}, {label: role=ids}], hash: ports, filter: tcp}
      - {container: arkime, filter: udp}
      - balance: [{interface: eth3}, {compose: shop/ids}]
    outputs:
      - {interface: eth4, filter: arp}
`).spans
    expect(span?.sensors).toMatchObject([
      { container: 'zeek', filter: null, balance: null, origin: at(6, 9) },
      { container: 'suri', filter: null, balance: { id: 'balance 1', member: 0 }, origin: at(7, 20) },
      { label: { key: 'role', value: 'ids' }, balance: { id: 'balance 1', member: 2 } },
      { container: 'arkime', filter: { expression: 'udp', origin: at(8, 37) }, balance: null },
      { compose: { project: 'shop', service: 'ids' }, balance: { id: 'balance 2', member: 1 } }
    ])
    expect(span?.outputs).toMatchObject([
      { id: 'output name eth2', filter: null, balance: { id: 'balance 1', member: 1 } },
      { id: 'output name eth3', balance: { id: 'balance 2', member: 0 }, origin: at(9, 19) },
      { id: 'output name eth4', filter: { expression: 'arp', origin: at(11, 35) }, balance: null, origin: at(11, 9) }
    ])
    expect(span?.balances).toMatchObject([
      { id: 'balance 1', hash: 'ports', filter: { expression: 'tcp', origin: at(7, 86) }, index: 1, origin: at(7, 9) },
      { id: 'balance 2', hash: 'addresses', filter: null, index: 3, origin: at(9, 9) }
    ])
  })

  test('one label or service is a balance: it may be several containers', () => {
    const file = (member: string) =>
      `version: 1\nspans:\n  a: {sources: [{interface: eth1}], sensors: [{balance: [${member}]}]}\n`
    expect(load(file('{label: role=ids}')).spans[0]?.sensors).toHaveLength(1)
    expect(load(file('{compose: shop/ids}')).spans[0]?.sensors).toHaveLength(1)
  })

  test('as many members as there are parts to share, and no more', () => {
    const file = (count: number) =>
      `version: 1\nspans:\n  a: {sources: [{interface: eth1}], sensors: [{balance: [${Array.from({ length: count }, (_, number) => `s${number}`)}]}]}\n`
    expect(load(file(256)).spans[0]?.sensors).toHaveLength(256)
    expect(diagnosticsOf({ path: 'spans.yaml', bytes: new TextEncoder().encode(file(257)) })).toMatchObject([
      { code: 'VALUE_INVALID', message: 'balance in span "a" has more than 256 members' }
    ])
  })

  test('a balance of outputs alone needs no network', () => {
    const [span] = load(
      'version: 1\nspans:\n  a: {sources: [{interface: eth1}], sensors: [{balance: [{interface: eth2}, {interface: eth3}]}]}\n'
    ).spans
    expect(span).toMatchObject({ network: null, sensors: [], outputs: [{}, {}] })
  })

  test('samples and limits', () => {
    const [span] = load(
      'version: 1\nspans:\n  a: {sources: [{interface: eth1, sample: 1/10, limit: 2.5gbit}, {vxlan: {id: 42}, sample: {frames: 1/1000}, limit: 8kbit}, {container: web}]}\n'
    ).spans
    expect(span?.sources.map(({ sample, limit }) => ({ sample, limit }))).toEqual([
      { sample: { kind: 'flows', take: 1, of: 10 }, limit: 2_500_000_000 },
      { sample: { kind: 'frames', take: 1, of: 1000 }, limit: 8000 },
      { sample: null, limit: null }
    ])
  })

  test('no sensors, no network', () => {
    expect(load('version: 1\nspans:\n  host: {sources: [{interface: eth1}]}\n').spans[0]?.network).toBeNull()
  })

  test('a dedicated card is copied from where frames come in, by its key or by its name', () => {
    const spec = load(
      'version: 1\ninterfaces:\n  tap: {match: {name: ens1}, dedicated: true}\nspans:\n' +
        '  a: {sources: [{interface: tap}]}\n  b: {sources: [{interface: ens1}]}\n'
    )
    expect(spec.spans.map(({ sources }) => sources[0]?.directions)).toEqual([['received'], ['received']])
  })

  test('no spans at all', () => {
    expect(load('version: 1\nspans: {}\n').spans).toEqual([])
  })

  test('two spans may copy the same card, and one span its two directions apart', () => {
    const spec = load(
      'version: 1\nspans:\n  a: {sources: [{interface: eth1}]}\n' +
        '  b: {sources: [{interface: eth1, direction: ingress}, {interface: eth1, direction: egress, filter: tcp}]}\n'
    )
    expect(spec.spans).toHaveLength(2)
  })

  test('a span may be fed by another', () => {
    const spec = load(
      'version: 1\nspans:\n  all-of-it: {sources: [{interface: a}, {interface: b}]}\n' +
        '  a: {sources: [{interface: eth1}]}\n  b: {sources: [{interface: a}]}\n'
    )
    expect(spec.spans).toHaveLength(3)
  })

  test('anchors, aliases, merges and x- keys', () => {
    const spec = load(`version: 1
x-common: &common
  mtu: 9000
  sealed: false
x-sensors: &sensors [zeek]
x-anything: [1, {a: null}]
spans:
  span0:
    <<: *common
    sealed: true
    sources: [{interface: eth1}]
    sensors: *sensors
  span1:
    <<: [{mtu: 1500}, *common]
    sources: [{interface: eth1}]
`)
    expect(spec.spans).toMatchObject([
      { mtu: 9000, sealed: true, sensors: [{ container: 'zeek', origin: at(5, 22) }] },
      { mtu: 1500, sealed: false }
    ])
  })

  test('text over several lines', () => {
    const spec = load(
      'version: 1\nspans:\n  a:\n    description: |\n      one\n      two\n    sources:\n' +
        '      - interface: eth1\n        filter: >\n          tcp\n          or udp\n'
    )
    expect(spec.spans[0]?.description).toBe('one\ntwo')
    expect(spec.spans[0]?.sources[0]?.filter?.expression).toBe('tcp or udp')
  })

  test.each([
    ['a number', '5', '5'],
    ['true', 'true', 'true'],
    ['something of every object', 'constructor', 'constructor'],
    ['the longest', 'a23456789012345', 'a23456789012345']
  ])('a span whose name is %s', (_, key, name) => {
    expect(load(`version: 1\nspans:\n  ${key}: {sources: [{interface: eth1}]}\n`).spans[0]?.name).toBe(name)
  })

  test('Windows line ends, a byte order mark', () => {
    const spec = load(`\uFEFF${full.replaceAll('\n', '\r\n')}`)
    expect(spec.spans).toEqual(load(full).spans)
    expect(spec.interfaces).toEqual(load(full).interfaces)
  })

  test('altnames may be long and of any script', () => {
    const name = 'ü'.repeat(63)
    expect(load(`version: 1\nspans:\n  a: {sources: [{interface: ${name}}]}\n`).spans[0]?.sources[0]).toMatchObject({
      interface: name
    })
  })
})

describe('several files', () => {
  const a = file('version: 1\nname: one\ninterfaces: {tap: {dedicated: true}}\nspans: {}\n', 'a.yaml')
  const b = file('version: 1\nspans: {b: {sources: [{interface: tap}]}}\n', 'b.yaml')

  test('are put together in their order', () => {
    const spec = loadSpec([a, b])
    expect(spec).toMatchObject({ name: 'one', files: ['a.yaml', 'b.yaml'] })
    expect(spec.spans).toMatchObject([
      { name: 'b', origin: at(2, 9, 'b.yaml'), sources: [{ directions: ['received'] }] }
    ])
    expect(loadSpec([b, a]).name).toBe('one')
  })

  test('have one digest', () => {
    expect(loadSpec([a, b]).digest).not.toBe(loadSpec([b, a]).digest)
  })

  test('none is an error', () => {
    expect(() => loadSpec([])).toThrow(SpanplanError)
  })

  test('what is wrong comes in their order, whatever their names', () => {
    const bad = (path: string) => file('version: 1\nspans: {a: {sources: []}}\nx: 1\n', path)
    expect(diagnosticsOf(bad('z.yaml'), bad('a.yaml')).map(({ origin }) => `${origin?.file}:${origin?.line}`)).toEqual([
      'z.yaml:2',
      'z.yaml:3',
      'a.yaml:2',
      'a.yaml:2',
      'a.yaml:3'
    ])
  })
})

test('an invalid file has an exit status of its own', () => {
  try {
    load('version: 2\n')
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(SpanplanError)
    expect(error).toMatchObject({ exit: Exit.invalidFile })
  }
})
