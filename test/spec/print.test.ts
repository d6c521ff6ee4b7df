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
const source = fc.record(
  {
    interface: fc.oneof(
      name(15),
      fc.constantFrom('5', 'true', 'null', '~x', '#x', '&x', '*x', '!x', 'ü', '1e3', '0x1f', '=', '<<')
    ),
    direction: fc.constantFrom('ingress', 'egress', 'both'),
    filter: text,
    max_idle: fc.constantFrom('5m', '1h30m', '1.5s', '500ms')
  },
  { requiredKeys: ['interface'] }
)
const interfaceName = { interface_name: name(15) }
const sensor = fc.oneof(
  name(40),
  fc.record({ container: name(40), ...interfaceName }, { requiredKeys: ['container'] }),
  fc.record(
    { label: fc.tuple(name(9), text).map((parts) => parts.join('=')), ...interfaceName },
    { requiredKeys: ['label'] }
  ),
  fc.record(
    { compose: fc.tuple(name(9), name(9)).map((parts) => parts.join('/')), ...interfaceName },
    { requiredKeys: ['compose'] }
  )
)
const span = fc.record(
  {
    description: text,
    sources: fc.uniqueArray(source, { minLength: 1, maxLength: 3, selector: (one) => one.interface }),
    network: fc.oneof(name(40), fc.record({ name: name(40) })),
    sensors: fc.uniqueArray(sensor, { maxLength: 3 }),
    mtu: fc.oneof(fc.constant('auto'), fc.integer({ min: 68, max: 65535 })),
    wire: fc.boolean(),
    sealed: fc.boolean()
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
    spans: fc.dictionary(name(15), span, { maxKeys: 4 })
  },
  { requiredKeys: ['version', 'spans'] }
)

test('what is printed says the same', () => {
  let compared = 0
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
      const printed = printSpec(spec)
      expect(withoutPlaces(load(printed))).toEqual(withoutPlaces(spec))
      expect(printSpec(load(printed))).toBe(printed)
    }),
    { numRuns: 500 }
  )
  expect(compared).toBeGreaterThan(100)
})
