import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseFilters } from '../../src/host/parsers/filters.ts'
import { parseToolJson } from '../../src/host/parsers/tool-json.ts'
import { batchLine, batchWord, shellLine } from '../../src/host/quote-command.ts'
import type { Program, TcHook } from '../../src/host/snapshot.ts'
import { mirrorPref, sealPref } from '../../src/host/tc-conventions.ts'
import { writeDirectAction, writeFilter, writeMirror } from '../../src/host/write-filters.ts'
import { createLab, type Lab } from '../lab/lab.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }] })
  for (const bridge of ['span0', 'dev']) await lab.run(['ip', 'link', 'add', 'dev', bridge, 'type', 'bridge'])
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'clsact'])
})

afterAll(() => lab?.close())

const uint32 = fc.integer({ min: 0, max: 0xffffffff })

/** Programs that the kernel takes: loads, arithmetic, jumps within the program; a return at the end. */
const program: fc.Arbitrary<Program> = fc
  .array(
    fc.oneof(
      fc.tuple(fc.constantFrom(0x28, 0x30, 0x20), fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 1500 })),
      fc.tuple(fc.constantFrom(0x04, 0x54, 0x44), fc.constant(0), fc.constant(0), uint32),
      fc.tuple(fc.constantFrom(0x15, 0x25, 0x35, 0x45), fc.constantFrom(0, 1), fc.constantFrom(0, 1), uint32)
    ),
    { maxLength: 60 }
  )
  .chain((body) => uint32.map((result) => [...body, [6, 0, 0, 0], [6, 0, 0, result]]))
  .map((instructions) => [instructions.length, ...instructions.map((one) => one.join(' '))].join(','))

const cookie = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'))

async function readBack(tcHook: TcHook) {
  const output = await lab.run(['tc', '-json', 'filter', 'show', 'dev', 'ens192', tcHook])
  return parseFilters({ device: 'ens192', tcHook }, JSON.parse(output))
}

describe('what is written with tc is read back', () => {
  test('mirrors', async () => {
    const tcHook = fc.constantFrom<TcHook>('ingress', 'egress')
    const handle = fc.integer({ min: 1, max: 0xffffffff })
    await fc.assert(
      fc.asyncProperty(fc.record({ tcHook, handle, program, cookie }), async (mirror) => {
        const words = writeMirror({ ...mirror, device: 'ens192', target: 'span0' })
        await lab.run(['tc', '-batch', '-'], { input: `${batchLine(words)}\n` })
        const found = await readBack(mirror.tcHook)
        await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', mirror.tcHook])
        expect(found).toEqual([
          {
            device: 'ens192',
            tcHook: mirror.tcHook,
            chain: 0,
            pref: mirrorPref,
            protocol: 'all',
            kind: 'bpf',
            handle: mirror.handle,
            program: mirror.program,
            directAction: false,
            classId: null,
            selects: { kind: 'bpf' },
            copies: [{ target: 'span0', control: 'continue', cookie: mirror.cookie }],
            others: false,
            mirror: { target: 'span0', control: 'continue', cookie: mirror.cookie }
          }
        ])
      }),
      { numRuns: 60 }
    )
  })

  test('the seal', async () => {
    await lab.run(['tc', ...writeDirectAction({ device: 'ens192', tcHook: 'ingress' }, sealPref, 0xfedcba98)])
    const [seal] = await readBack('ingress')
    expect(seal).toMatchObject({ pref: sealPref, handle: 0xfedcba98, program: '1,6 0 0 2', directAction: true })
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  })
})

const written = {
  device: fc.constant('ens192'),
  classId: fc.option(fc.constantFrom('1:10', '1:ffff')),
  pref: fc.integer({ min: 1, max: 0xffff }),
  protocol: fc.constantFrom('all', 'ip', '802.1Q', 'ipv6', 'arp', 'LLDP', '802_2', '[34997]'),
  copies: fc
    .array(
      fc.record({
        target: fc.constantFrom('span0', 'dev'),
        control: fc.constantFrom('pipe', 'continue', 'pass', 'reclassify', 'drop'),
        cookie: fc.option(cookie)
      }),
      { minLength: 1, maxLength: 3 }
    )
    // tc gives an action without a cookie that of the one before.
    .map((copies) =>
      copies.map((copy, index) => ({
        ...copy,
        cookie: copies.slice(0, index).some((one) => one.cookie) ? 'a1' : copy.cookie
      }))
    )
}

const rules = {
  bpf: fc.record({ handle: fc.integer({ min: 1, max: 0xffffffff }), program, directAction: fc.boolean() }),
  u32: fc.record({
    handle: fc.integer({ min: 1, max: 0xfff }),
    // tc itself makes one of two keys with the same place.
    keys: fc.uniqueArray(
      fc
        .record({ offset: fc.integer({ min: -4, max: 100 }).map((word) => word * 4), value: uint32, mask: uint32 })
        .map((key) => ({ ...key, value: (key.value & key.mask) >>> 0 })),
      { minLength: 1, maxLength: 4, selector: ({ offset }) => offset }
    )
  })
}

test.each([
  ['a hook', ['ingress'], (rows: unknown) => parseFilters({ device: 'ens192', tcHook: 'ingress' }, rows)],
  ['a queueing discipline', ['parent', '1:'], (rows: unknown) => parseFilters({ device: 'ens192', parent: '1:' }, rows)]
] as const)("anybody's filter on %s is put back as it was", async (_, place, parse) => {
  const renew = async () => {
    const lines = ['qdisc del dev ens192 clsact', 'qdisc del dev ens192 root', 'qdisc add dev ens192 clsact']
    const input = [...lines, 'qdisc add dev ens192 root handle 1: htb\n'].join('\n')
    await lab.run(['tc', '-force', '-batch', '-'], { input }).catch(() => undefined)
  }
  const show = async () => {
    const rows = await lab.run(['tc', '-json', 'filter', 'show', 'dev', 'ens192', ...place])
    return parse(parseToolJson(rows))
  }
  const filter = fc.oneof(
    fc.record({ ...written, rule: rules.bpf }).map(({ rule, ...rest }) => ({
      ...rest,
      ...rule,
      kind: 'bpf',
      selects: { kind: 'bpf' as const }
    })),
    fc.record({ ...written, rule: rules.u32 }).map(({ rule: { handle, keys }, ...rest }) => ({
      ...rest,
      handle,
      kind: 'u32',
      program: null,
      directAction: false,
      selects: { kind: 'u32' as const, keys }
    }))
  )
  const here = place.length === 1 ? { tcHook: 'ingress' as const } : { parent: '1:' }
  await fc.assert(
    fc.asyncProperty(filter, fc.integer({ min: 0, max: 5 }), async (one, chain) => {
      await renew()
      const words = writeFilter({ ...one, ...here, chain, others: false, mirror: null })
      expect(words).not.toBeNull()
      await lab.run(['tc', ...(words ?? [])])
      const [found, ...others] = await show()
      expect(others).toEqual([])
      const { handle, ...rest } = one
      expect(found).toMatchObject({ ...rest, ...here, chain, others: false })
      // The number of u32's table is the kernel's choice.
      expect((found?.handle ?? 0) % (one.kind === 'u32' ? 2 ** 12 : 2 ** 32)).toBe(handle)
      await renew()
      await lab.run(['tc', ...((found && writeFilter(found)) ?? [])])
      expect(await show()).toEqual([found])
    }),
    { numRuns: 40 }
  )
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens192', 'root'])
})

/** Words that tools and shells would like to read as something else; no program takes a NUL or half a surrogate pair. */
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ' ',
      '\t',
      '\n',
      '\\',
      '"',
      "'",
      '#',
      '$',
      '`',
      ';',
      '&',
      '|',
      '*',
      '?',
      '~',
      '-',
      '=',
      '%',
      '\u001b',
      '\u009b',
      '\u202e'
    ),
    fc.constantFrom('a', 'Z', '0', '/', 'é', '日', '\u00a0', '\u3000', '😀')
  ),
  minLength: 1,
  maxLength: 30
})

describe('words', () => {
  test('ip -batch reads them as they were', async () => {
    const carried = hostile.filter((word) => batchWord(word) !== null && Buffer.byteLength(word) < 256)
    await fc.assert(
      fc.asyncProperty(fc.array(carried, { minLength: 20, maxLength: 20 }), async (words) => {
        const lines = words.flatMap((word) => [
          batchLine(['link', 'set', 'dev', 'span0', 'alias', word]),
          'link show dev span0'
        ])
        const output = await lab.run(['ip', '-json', '-batch', '-'], { input: `${lines.join('\n')}\n` })
        const aliases = output.split('\n').map((line) => /"ifalias":"((?:\\.|[^"\\])*)"/.exec(line)?.[1])
        expect(aliases).toEqual(words.map((word) => asIpPrints(word)))
      }),
      { numRuns: 25 }
    )
  })

  test('a shell reads them as they were', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 20 }), async (words) => {
        const line = shellLine(['printf', '%s\\0', ...words])
        expect(line).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
        const output = await lab.run(['sh', '-c', line])
        expect(output).toBe(words.map((word) => `${word}\0`).join(''))
      }),
      { numRuns: 50 }
    )
  })

  test.each(['a b', '"', "'", 'a"b', '', '\t'])('%j can be quoted', (word) => expect(batchWord(word)).not.toBeNull())
  test.each(['#', 'a\nb', '\\', `'"`])('%j cannot', (word) => expect(batchWord(word)).toBeNull())
})

/** lib/json_writer.c of iproute2 */
function asIpPrints(word: string): string {
  return word.replace(/["\\]/g, '\\$&').replaceAll('\t', '\\t').replaceAll('\n', '\\n')
}
