/** Files that are broken in the ways of people, editors and transfers; a byte is a character from U+0000 to U+00FF here. */

import { Buffer } from 'node:buffer'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { readCases } from '../lab/fixtures/spec-text.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'latin1')
const toBytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1')

/** What YAML makes special, in places where a spans.yaml would have it. */
const written = [
  `version: 1
x-common: &common {mtu: 9000, wire: false, sensors: [zeek]}
x-card: &card
  dedicated: true
interfaces:
  tap-a: {<<: *card, match: {macaddress: "00:1b:21:aa:00:01"}}
  tap-b: *card
  ? tap-c
  : {match: {name: ens224np0}}
spans:
  span0: &span
    <<: [*common]
    description: >-
      Core switch
      mirror port
    sources:
      - interface: tap-a
        filter: |
          not port 22
          and not vlan 10
      - {interface: tap-b, direction: egress}
  span1: {<<: *span, network: {name: other, subnet: 198.18.0.0/26}, sealed: false}
`,
  `%YAML 1.2
---
"version": 1
'name': "sensor-\\u0037"
!!map spans:
  !!str a.b: {sources: [{"interface": 'eth0.100', "filter": "ip6 or \\
    ip"}], mtu: auto}
...
`,
  JSON.stringify({
    version: 1,
    spans: { s: { sources: [{ interface: 'eth1', filter: 'tcp' }], sensors: ['a', 'b'] } }
  }),
  'version: 1\nspans:\n  s日:\n    description: "日本 😀 \u202e e\u0301"\n    sources: [{interface: ü}]\n    sensors: [{label: role=ids}, {compose: a/b, interface_name: c}]\n',
  ...['one', 'two'].map(
    (name) => `version: 1\nname: ${name}\ninterfaces: {tap: {}}\nspans:\n  s:\n    sources: [{interface: tap}]\n`
  ),
  'version: 1\nspans: {}\n'
].map(toBytes)

/** Every spans.yaml of the project, good and bad. */
const seeds: readonly string[] = [
  ...['examples/full.yaml', 'examples/minimal.yaml', 'examples/shares.yaml', 'examples/compose/spans.yaml'].map(read),
  ...new Set(
    readdirSync(join(root, 'test/fixtures/plan')).map((name) => read(`test/fixtures/plan/${name}/spans.yaml`))
  ),
  ...readCases(readFileSync(join(root, 'test/fixtures/spec/messages.txt'), 'utf8')).flatMap(({ files }) =>
    files.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
  ),
  // About a third of all.
  ...Array.from({ length: 8 }, () => written).flat()
]

const pieces = [
  ...['&a ', '*a', '*common', '<<: *a', '<<: *common\n', '<<: [*a, *a]', '<<: 1', '!!str ', '!x ', '!', '!!binary '],
  ...[
    '? ',
    ': ',
    '- ',
    '|',
    '|2-\n',
    '>+\n',
    '"',
    "'",
    '{',
    '}',
    '[',
    ']',
    ',',
    '#',
    ' #',
    '%YAML 1.1\n',
    '%TAG ! x\n'
  ],
  ...[
    '---\n',
    '...\n',
    '\t',
    '\r',
    '\r\n',
    '\n',
    '\n\n',
    '  ',
    '\0',
    '\u0007',
    '\u001b[31m',
    '\u007f',
    '\u009b',
    '\u0085'
  ],
  ...[
    '\u2028',
    '\u202e',
    '\u200b',
    '\ufeff',
    '😀',
    'e\u0301',
    '日本',
    '__proto__: 1\n',
    'constructor: 1\n',
    '"\\ud800"'
  ],
  ...['"\\x1b"', '"\\0"', '"\\u009b"', "'a\n\n b'", '0x1f', '0o17', '1e999', '-0', '9007199254740993', '1_000'],
  ...[
    '9'.repeat(400),
    '.inf',
    '.nan',
    '~',
    'null',
    'yes',
    'true',
    '1.0',
    '12:34:56',
    '2024-01-01',
    '=',
    '@',
    '`',
    '\\'
  ],
  ...['x-a: &a {b: *a}\n', 'x-: 1\n', 'spans:\n', 'sources:\n', 'interface: eth1', 'version: 1\n', 'name: x\n', 'eth1'],
  ...['all', '..', '-batch', 'a/b', 'a b', '$(reboot)', '`reboot`', 'l'.repeat(16), 'ü'.repeat(64), 'n'.repeat(256)],
  ...['198.18.0.0/26', '1.2.3.4/33', '00:1b:21:aa:00:01', 'auto', 'tcp', '!tcp', '[[[[[[', '{a: {a: {a: ', '- - - - - ']
].map(toBytes)
const badBytes = [
  '\x80',
  '\xff',
  '\xc0\xaf',
  '\xe2\x82',
  '\xed\xa0\x80',
  '\xf4\x90\x80\x80',
  '\xff\xfe',
  '\xef\xbb\xbf'
]

type Mutation = (text: string) => string

const anywhere = fc.nat(0xffff)
const piece = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...pieces) },
  { weight: 1, arbitrary: fc.constantFrom(...badBytes) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }).map(toBytes) }
)

/** Changes a list of parts at two places of it; `other` is one of nowhere. */
type Edit = (parts: string[], at: number, to: number, other: string) => void

const edits: readonly Edit[] = [
  (parts, at) => parts.splice(at, 1),
  (parts, at, to) => parts.splice(at, Math.max(0, to - at)),
  (parts, at, to) => parts.splice(to, 0, parts[at] ?? ''),
  (parts, at, _, other) => parts.splice(at, 0, other),
  (parts, at, _, other) => parts.splice(at, 1, other),
  (parts, at, to) => {
    const [one = '', two = ''] = [parts[at], parts[to]]
    parts[at] = two
    parts[to] = one
  }
]

/** How a text falls into parts that, joined, are the text again. */
const units: readonly ((text: string) => string[])[] = [
  (text) => text.split(''),
  (text) => text.split(/(?<=\n)/),
  (text) => text.match(/\s+|[\w.-]+|[^\s\w.-]/g) ?? []
]

const edit: fc.Arbitrary<Mutation> = fc
  .tuple(fc.constantFrom(...units), fc.constantFrom(...edits), anywhere, anywhere, piece)
  .map(([split, change, at, to, other]) => (text) => {
    const parts = split(text)
    const length = Math.max(1, parts.length)
    change(parts, at % length, to % length, other)
    return parts.join('')
  })

const whole: fc.Arbitrary<Mutation> = fc.constantFrom<Mutation>(
  (text) => text.replaceAll('\n', '\r\n'),
  (text) => text.replaceAll('\n', '\r'),
  (text) => `\xef\xbb\xbf${text}`,
  (text) => text.replaceAll('  ', '\t'),
  (text) => text.replace(/^/gm, ' '),
  (text) => text.trimEnd(),
  (text) => text.replaceAll(/["']/g, ''),
  (text) => text.replaceAll(/\w+$/gm, '"$&"'),
  (text) => text.slice(0, text.length / 2),
  (text) => `${text}---\n${text}`,
  (text) => Buffer.from(text, 'utf16le').toString('latin1')
)

const nest: fc.Arbitrary<Mutation> = fc
  .tuple(anywhere, fc.constantFrom('[', '{a: ', '- ', 'a: ', '? ', '[['), fc.integer({ min: 2, max: 120 }))
  .map(([at, open, depth]) => (text) => {
    const place = at % (text.length + 1)
    return text.slice(0, place) + open.repeat(depth) + text.slice(place)
  })

const splice: fc.Arbitrary<Mutation> = fc.tuple(fc.constantFrom(...seeds), anywhere, anywhere).map(
  ([other, at, from]) =>
    (text) =>
      text.slice(0, at % (text.length + 1)) + other.slice(from % (other.length + 1))
)

const mutation = fc.oneof(
  { weight: 12, arbitrary: edit },
  { weight: 1, arbitrary: whole },
  { weight: 1, arbitrary: nest },
  { weight: 1, arbitrary: splice }
)

/** The bytes of one of the seeds, changed in up to four places, or not at all. */
export const mutated: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(...seeds), fc.array(mutation, { maxLength: 4 }))
  .map(([seed, mutations]) =>
    Uint8Array.from(
      Buffer.from(
        mutations.reduce((text, mutate) => mutate(text), seed),
        'latin1'
      )
    )
  )
