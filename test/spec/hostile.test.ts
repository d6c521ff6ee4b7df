import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { largestFile } from '../../src/spec/yaml/decode.ts'
import { excerpt } from '../../src/spec/yaml/excerpt.ts'
import { diagnosticsOf, file, render } from '../lab/fixtures/spec-text.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'

const bytes = (...values: number[]) => file(Uint8Array.from(values))
const text = (value: string) => [...new TextEncoder().encode(value)]

describe('bytes that are no text', () => {
  test.each([
    ['a byte of Latin-1', bytes(...text('version: 1\nname: caf'), 0xe9, 0x0a), 2, 10, '0xe9'],
    ['behind a wide character', bytes(...text('# 日本😀'), 0xff), 1, 7, '0xff'],
    ['a sequence that is cut off by the end', bytes(...text('a: '), 0xe2, 0x82), 1, 4, '0xe2'],
    ['a sequence that is cut off by a letter', bytes(...text('\n'), 0xe2, 0x41), 2, 1, '0xe2'],
    ['a surrogate', bytes(0xed, 0xa0, 0x80), 1, 1, '0xed'],
    ['an overlong slash', bytes(0x61, 0xc0, 0xaf), 1, 2, '0xc0'],
    ['behind a byte order mark', bytes(0xef, 0xbb, 0xbf, 0x61, 0x80), 1, 2, '0x80']
  ])('%s', (_, source, line, column, byte) => {
    expect(diagnosticsOf(source)).toEqual([
      {
        code: 'FILE_NOT_UTF8',
        message: `the file is not UTF-8: the byte ${byte} cannot stand here`,
        hint: 'save it as UTF-8, for example with: iconv -f LATIN1 -t UTF-8',
        origin: { file: 'spans.yaml', line, column }
      }
    ])
  })

  test.each([
    ['little end first', bytes(0xff, 0xfe, 0x76, 0)],
    ['big end first', bytes(0xfe, 0xff, 0, 0x76)],
    ['without its mark', bytes(0x76, 0, 0x65, 0)]
  ])('UTF-16, %s', (_, source) => {
    expect(diagnosticsOf(source)).toMatchObject([{ code: 'FILE_NOT_UTF8', message: 'the file is UTF-16, not UTF-8' }])
  })

  test('more than 10 MiB', () => {
    const [diagnostic] = diagnosticsOf(file(new Uint8Array(largestFile + 1)))
    expect(diagnostic).toMatchObject({ code: 'FILE_TOO_LARGE', origin: { line: 1, column: 1 } })
    expect(diagnostic?.message).toBe('the file has 10.0 MiB; the limit is 10 MiB')
  })
})

const codes = (content: string) => [...new Set(diagnosticsOf(file(content)).map(({ code }) => code))]
const tail = '\nversion: 1\nspans: {}\n'

describe('files that would take all time or memory', () => {
  const depth = 100_000
  test.each([
    ['[', '['.repeat(depth)],
    ['{', '{'.repeat(depth)],
    ['{a:', '{a: '.repeat(depth)],
    ['- ', '- '.repeat(depth)],
    ['a: ', 'a: '.repeat(depth)],
    ['? ', '? '.repeat(depth)],
    ['closed again', `x-a: ${'['.repeat(depth)}${']'.repeat(depth)}${tail}`],
    ['by indentation', Array.from({ length: 300 }, (_, level) => `${' '.repeat(level)}a:`).join('\n')]
  ])('too deep: %s', (_, content) => {
    expect(codes(content)).toEqual(['YAML_BOMB'])
  })

  test.each([
    ['*', (one: string) => `[${Array(9).fill(`*${one}`).join(', ')}]`],
    ['* as values', (one: string) => `{${Array.from({ length: 9 }, (_, key) => `k${key}: *${one}`).join(', ')}}`],
    [
      '<< of what holds more',
      (one: string) => `{<<: *${one}, ${Array.from({ length: 9 }, (_, key) => `${one}${key}: *${one}`).join(', ')}}`
    ]
  ])('aliases of aliases: %s', (_, write) => {
    const lines = ['x-a0: &a0 {a: 1}']
    for (let level = 1; level < 30; level++) lines.push(`x-a${level}: &a${level} ${write(`a${level - 1}`)}`)
    expect(codes(lines.join('\n') + tail)).toEqual(['YAML_BOMB'])
  })

  test('the same mapping merged again and again', () => {
    const keys = Array.from({ length: 2000 }, (_, key) => `k${key}: 1`).join(', ')
    expect(codes(`x-a: &a {${keys}}\nx-b: {<<: [${Array(2000).fill('*a').join(', ')}]}${tail}`)).toEqual(['YAML_BOMB'])
  })

  test('a shared block for a thousand spans is no bomb', () => {
    const spans = Array.from({ length: 1000 }, (_, index) => `  s${index}: {<<: *a, network: n${index}}`)
    const common = 'x-a: &a {mtu: 9000, sealed: true, sensors: [zeek], sources: [{interface: eth1, filter: tcp}]}'
    expect(codes(`version: 1\n${common}\nspans:\n${spans.join('\n')}\n`)).toEqual([])
  })

  test('fifty thousand keys', () => {
    const keys = Array.from({ length: 50_000 }, (_, key) => `k${key}: 1`).join('\n')
    expect(codes(`x-a:\n${keys.replace(/^/gm, ' ')}${tail}`)).toEqual([])
    expect(codes(keys + tail)).toEqual(['KEY_UNKNOWN'])
  })

  test.each(['${', '{{', '$a', '“', ' “'])('a long text of %s', (part) => {
    expect(codes(`x-a: 1${tail}name: "${part.repeat(1_000_000)}"`).length).toBe(1)
  })

  test('far too many values', () => {
    expect(codes(`x-a:\n${'- \n'.repeat(200_000)}${tail}`)).toEqual(['FILE_TOO_LARGE'])
    expect(codes(`x-a: "${'\\d'.repeat(1_000_000)}"${tail}`)).toEqual(['FILE_TOO_LARGE'])
  })

  test('a long circle is not shown whole', () => {
    const count = 5000
    const spans = Array.from({ length: count }, (_, at) => `  s${at}: {sources: [{interface: s${(at + 1) % count}}]}`)
    const [diagnostic, ...others] = diagnosticsOf(file(`version: 1\nspans:\n${spans.join('\n')}\n`))
    expect(others).toEqual([])
    expect(diagnostic).toMatchObject({ code: 'LOOP' })
    expect(diagnostic?.message).toMatch(/: s0 → s4999 → s4998 → .* → s4988 → … → s0$/)
  })

  test('a filter of more than 64 KiB', () => {
    const filter = `tcp ${'or udp '.repeat(10_000)}`
    const content = `version: 1\nspans:\n  a:\n    sources:\n      - interface: eth1\n        filter: ${filter}\n`
    expect(diagnosticsOf(file(content))).toMatchObject([
      {
        message: expect.stringContaining('filter in span "a" must have at most 64 KiB'),
        origin: { line: 6, column: 17 }
      }
    ])
  })
})

describe('whatever the file says', () => {
  const valid = `version: 1
name: sensor-7
interfaces:
  tap-a: {match: {macaddress: "00:1b:21:aa:00:01"}, dedicated: true}
x-c: &c {mtu: auto}
spans:
  span0:
    <<: *c
    description: "Core"
    sources:
      - interface: tap-a
        direction: both
        filter: not port 22
    network: {name: span, subnet: 198.18.0.0/26}
    sensors: [suricata, 'zeek']
    sealed: true
`
  const pieces = [
    ...['&a ', '*a', '<<: *a\n', '!!str ', '!x ', '? ', ': ', '- ', '\t', '|\n', '>-\n', '"', "'", '{', '}', '[', ']'],
    ...[',', '#', '%YAML 1.1\n', '---\n', '...\n', '\r', '\0', '\u001b', '\u2028', '\uFEFF', '😀', '__proto__: ', '0x'],
    ...['null', '.inf', '~', 'span0', 'sources:\n', '  ', '\n', '@', '`', '=']
  ]

  /** Only diagnostics are thrown. Each has a place in the file, and can be printed. */
  function check(content: string | Uint8Array): void {
    const source = file(content)
    const lines = new TextDecoder().decode(source.bytes).split('\n')
    for (const { origin, message, code, hint } of diagnosticsOf(source)) {
      expect(code).toMatch(/^[A-Z0-9_]+$/)
      expect(`${message}${hint ?? ''}`).not.toMatch(unprintable)
      expect(`${message}${hint ?? ''}`).not.toContain('\n')
      expect(origin?.file).toBe('spans.yaml')
      expect(origin?.line).toBeGreaterThan(0)
      expect(origin?.line).toBeLessThanOrEqual(lines.length)
      expect(origin?.column).toBeGreaterThan(0)
      expect(origin?.column).toBeLessThanOrEqual((lines[(origin?.line ?? 0) - 1]?.length ?? 0) + 1)
      if (origin) expect(excerpt(new TextDecoder().decode(source.bytes), origin).split('\n')).toHaveLength(2)
    }
    render(source)
  }

  test('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check))
  })

  test('random text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), check))
  })

  test('pieces of YAML', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 30 }), (list) => check(list.join(''))),
      { numRuns: 500 }
    )
  })

  test('a valid file with something put in, or taken out', () => {
    const change = fc.record({
      at: fc.nat(valid.length),
      remove: fc.nat(20),
      insert: fc.oneof(fc.constant(''), fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 5 }))
    })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) =>
        check(
          changes.reduce((now, { at, remove, insert }) => now.slice(0, at) + insert + now.slice(at + remove), valid)
        )
      ),
      { numRuns: 1000 }
    )
  })
})
