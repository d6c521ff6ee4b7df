import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SpanplanError } from '../../src/errors.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { printSpec } from '../../src/spec/print.ts'
import type { Spec } from '../../src/spec/spec.ts'
import { file, load, withoutPlaces } from '../lab/fixtures/spec-text.ts'

test('several files as one, with defaults', () => {
  const a = file(
    'version: 1\nname: sensor-7\ninterfaces: {tap: {match: {macaddress: 00-1B-21-AA-00-01}, dedicated: true}, eth1: {}}\nspans: {}\n',
    'a.yaml'
  )
  const b = file(
    `version: 1
spans:
  span0:
    description: yes
    sources: [{interface: tap}, {interface: eth1, filter: "not port 22"}]
    sensors: [zeek, {container: suricata}, {label: role=ids}, {compose: shop/ids, interface_name: span0}]
  span1:
    sources: [{interface: eth1}]
    network: {name: net, subnet: 198.18.0.0/26}
    mtu: 9000
    sealed: false
`,
    'b.yaml'
  )
  expect(printSpec(loadSpec([a, b]))).toBe(`version: 1
name: sensor-7
interfaces:
  tap:
    match:
      macaddress: 00:1b:21:aa:00:01
    dedicated: true
  eth1:
    match:
      name: eth1
    dedicated: false
spans:
  span0:
    description: "yes"
    sources:
      - interface: tap
        direction: ingress
      - interface: eth1
        direction: both
        filter: not port 22
    network: span0
    sensors:
      - zeek
      - suricata
      - label: role=ids
      - compose: shop/ids
        interface_name: span0
    mtu: auto
    wire: true
    sealed: true
  span1:
    sources:
      - interface: eth1
        direction: both
    network:
      name: net
      subnet: 198.18.0.0/26
    sensors: []
    mtu: 9000
    wire: true
    sealed: false
`)
})

test('shares, samples and limits as they were written', () => {
  const spans = `spans:
  span0:
    sources:
      - interface: eth1
        direction: both
        sample: 1/10
        limit: 2.5gbit
      - container: web
        direction: both
        sample:
          frames: 1/1000
    network: span0
    sensors:
      - zeek
      - balance:
          - suricata
          - interface: eth2
          - label: role=ids
            interface_name: span0
        hash: ports
        filter: tcp
      - balance:
          - interface: eth3
          - vxlan:
              id: 42
              remote: 10.0.3.9
              port: 4789
        hash: addresses
      - container: arkime
        filter: tcp port 80 or 443
      - balance:
          - compose: shop/ids
        hash: inner
    outputs:
      - interface: eth4
        filter: not arp
    mtu: auto
    wire: true
    sealed: true
`
  const text = `version: 1\nname: default\n${spans}`
  expect(printSpec(load(text))).toBe(text)
})

test('where tools say what they lose, as it was written', () => {
  const spans = `spans:
  span0:
    sources:
      - interface: eth1
        direction: both
    network: span0
    sensors:
      - container: suricata
        interface_name: span0
        stats:
          eve: /var/log/suricata/eve.json
        filter: tcp
      - balance:
          - container: zeek
            stats:
              zeek: /var/log/zeek/capture_loss.log
          - container: snort
            stats:
              prometheus: http://[::1]:9900/metrics
              received: snort_packets_received_total
              dropped: snort_packets_dropped_total
        hash: addresses
    mtu: auto
    wire: true
    sealed: true
`
  const text = `version: 1\nname: default\n${spans}`
  expect(printSpec(load(text))).toBe(text)
})

test('the same tool in two spans, for it has one log', () => {
  const span = (name: string) =>
    `  ${name}: {sources: [{interface: eth1}], sensors: [{container: suricata, stats: {eve: /var/log/eve.json}}]}\n`
  expect(load(`version: 1\nspans:\n${span('span0')}${span('span1')}`).spans).toHaveLength(2)
})

test('a bridge only where it has another name than the span', () => {
  const spans = (bridge: string) =>
    printSpec(load(`version: 1\nspans: {span0: {bridge: ${bridge}, sources: [{interface: eth1}]}}`))
  expect(spans('br9')).toContain('  span0:\n    bridge: br9\n    sources:')
  expect(spans('span0')).toContain('  span0:\n    sources:')
})

test('no spans', () => {
  expect(printSpec(load('version: 1\nspans: {}\n'))).toBe('version: 1\nname: default\nspans: {}\n')
})

const name = (maxLength: number) =>
  fc.stringMatching(/^[a-z0-9][A-Za-z0-9_.-]*$/, { size: '-1' }).map((text) => text.slice(0, maxLength))
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc
    .array(fc.constantFrom('yes', ' ', '\n', '\t', '#', ': ', '- ', '"', "'", '\\', '&', '*', '!', '5', 'é'), {
      maxLength: 12
    })
    .map((list) => list.join(''))
)
const fraction = fc
  .integer({ min: 2, max: 65536 })
  .chain((of) => fc.integer({ min: 1, max: of - 1 }).map((take) => `${take}/${of}`))
const source = fc.record(
  {
    interface: fc.oneof(
      name(15),
      fc.constantFrom('5', 'true', 'null', '~x', '#x', '&x', '*x', '!x', 'ü', '1e3', '0x1f', '=', '<<')
    ),
    direction: fc.constantFrom('ingress', 'egress', 'both'),
    filter: text,
    sample: fc.oneof(fraction, fc.record({ frames: fraction })),
    limit: fc
      .tuple(fc.integer({ min: 8000, max: 999_999 }), fc.constantFrom('', '.5', '.125'), fc.constantFrom('k', 'm', 'g'))
      .map(([number, decimals, unit]) => `${number}${decimals}${unit}bit`),
    max_idle: fc.constantFrom('5m', '1h30m', '1.5s', '500ms')
  },
  { requiredKeys: ['interface'] }
)
const interfaceName = { interface_name: name(15) }
/** Items that select containers, with more keys than these have themselves. */
const containers = <More>(more: { [Key in keyof More]: fc.Arbitrary<More[Key]> }) =>
  fc.oneof(
    name(40),
    fc.record({ container: name(40), ...more }, { requiredKeys: ['container'] }),
    fc.record({ label: fc.tuple(name(9), text).map((parts) => parts.join('=')), ...more }, { requiredKeys: ['label'] }),
    fc.record(
      { compose: fc.tuple(name(9), name(9)).map((parts) => parts.join('/')), ...more },
      { requiredKeys: ['compose'] }
    )
  )
const outputKind = fc.oneof(
  fc.record({ interface: name(15) }),
  fc.record({ vxlan: fc.record({ id: fc.nat({ max: 9999 }), remote: fc.constantFrom('10.0.3.9', 'fd00::9') }) }),
  fc.record({ gretap: fc.record({ remote: fc.constant('10.0.3.9'), key: fc.nat() }) }),
  fc.record({ erspan: fc.record({ remote: fc.constant('10.0.3.9'), session: fc.nat({ max: 1023 }) }) })
)
const balance = fc.record(
  {
    balance: fc.array(fc.oneof(containers(interfaceName), outputKind), { minLength: 2, maxLength: 4 }),
    hash: fc.constantFrom('addresses', 'ports', 'inner'),
    filter: text
  },
  { requiredKeys: ['balance'] }
)
const sensor = fc.oneof(containers({ ...interfaceName, filter: text }), balance)
const output = fc.oneof(
  outputKind,
  fc.tuple(outputKind, text).map(([kind, filter]) => ({ ...kind, filter }))
)
const span = fc.record(
  {
    description: text,
    bridge: name(15),
    sources: fc.uniqueArray(source, { minLength: 1, maxLength: 3, selector: (one) => one.interface }),
    network: fc.oneof(name(40), fc.record({ name: name(40) })),
    sensors: fc.uniqueArray(sensor, { maxLength: 4 }),
    outputs: fc.array(output, { maxLength: 1 }),
    mtu: fc.oneof(fc.constant('auto'), fc.integer({ min: 68, max: 65535 })),
    wire: fc.boolean(),
    // A span that is not sealed has no outputs.
    sealed: fc.constantFrom(true, true, true, false)
  },
  { requiredKeys: ['sources'] }
)
const interfaceEntry = fc.record(
  {
    match: fc.oneof(
      fc.record({ name: name(15) }),
      fc.record({ macaddress: fc.stringMatching(/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/) })
    ),
    dedicated: fc.boolean()
  },
  { requiredKeys: [] }
)
const anyFile = fc.record(
  {
    version: fc.constant(1),
    name: name(32),
    interfaces: fc.dictionary(name(15), interfaceEntry, { maxKeys: 3 }),
    spans: fc.dictionary(name(20), span, { maxKeys: 4 })
  },
  { requiredKeys: ['version', 'spans'] }
)

test('what is printed says the same', () => {
  let compared = 0
  let shared = 0
  fc.assert(
    fc.property(anyFile, (data) => {
      let spec: Spec
      try {
        // JSON is YAML.
        spec = load(JSON.stringify(data))
      } catch (error) {
        // Names that clash, or a filter of spaces: not tested here.
        if (error instanceof SpanplanError) return
        throw error
      }
      compared++
      shared += spec.spans.flatMap(({ balances }) => balances).length
      const printed = printSpec(spec)
      expect(withoutPlaces(load(printed))).toEqual(withoutPlaces(spec))
      expect(printSpec(load(printed))).toBe(printed)
    }),
    { numRuns: 700 }
  )
  expect(compared).toBeGreaterThan(100)
  expect(shared).toBeGreaterThan(50)
})
