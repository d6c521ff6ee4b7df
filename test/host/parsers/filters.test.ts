import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseFilters } from '../../../src/host/parsers/filters.ts'
import { findClassful, parseQdiscs } from '../../../src/host/parsers/qdiscs.ts'
import { parseToolJson } from '../../../src/host/parsers/tool-json.ts'
import type { Filter } from '../../../src/host/snapshot.ts'
import { writeFilter } from '../../../src/host/write-filters.ts'

const read = (name: string) =>
  parseToolJson(readFileSync(new URL(`../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

const ingress: Filter[] = parseFilters({ device: 'veth0', tcHook: 'ingress' }, read('tc-stock-ingress'))
const egress: Filter[] = parseFilters({ device: 'veth0', tcHook: 'egress' }, read('tc-stock-egress'))
const at = (filters: typeof ingress, pref: number) => filters.filter((filter) => filter.pref === pref)
const copy = { target: 'br0', control: 'pipe', cookie: null }

describe('what a filter selects', () => {
  test.each([
    ['matchall', 10, { kind: 'matchall' }],
    ['a u32 key below the network header', 18, { kind: 'u32', keys: [{ offset: -4, value: 0x800, mask: 0xffff }] }],
    ['a u32 key that follows a header', 14, { kind: 'unknown' }],
    ['a mark', 17, { kind: 'unknown' }],
    ['a hash table', 19, { kind: 'unknown' }],
    ['u32 with a policer', 23, { kind: 'unknown' }],
    ['flower', 30, { kind: 'flower', keys: { src_ip: '10.0.0.0/24', dst_port: 22 } }],
    ['flower in a VLAN', 31, { kind: 'flower', keys: { vlan_id: 10, vlan_ethtype: 'ip' } }],
    ['flower with a range', 33, { kind: 'unknown' }],
    ['flower with a mask', 43, { kind: 'unknown' }],
    ['another kind', 45, { kind: 'unknown' }]
  ])('%s', (_, pref, selects) => {
    for (const filter of at(ingress, pref)) expect(filter).toMatchObject({ selects })
    expect(at(ingress, pref)).not.toEqual([])
  })

  test('each match of u32', () => {
    const [filter, linked, ...others] = at(ingress, 12)
    expect(others).toEqual([])
    expect(filter?.selects).toEqual({
      kind: 'u32',
      keys: [
        { offset: 12, value: 0x0a000000, mask: 0xffffff00 },
        { offset: 8, value: 0x00060000, mask: 0x00ff0000 }
      ]
    })
    expect(linked).toMatchObject({ selects: { kind: 'unknown' }, copies: [], others: true })
  })
})

test('u32 as iproute2 5.15 prints it, as text, is what later versions print; with a link, it is not understood', () => {
  const text = readFileSync(new URL('../../fixtures/host/tc-filter-u32-5.15.txt', import.meta.url), 'utf8')
  const place = { device: 'ens192', tcHook: 'ingress' } as const
  const [old, known] = [parseToolJson(text), read('tc-filter-u32-6.1')].map((document) => parseFilters(place, document))
  const without = (filters: readonly Filter[] = []) => filters.filter(({ pref }) => pref !== 9)
  expect(without(old)).toEqual(without(known))
  expect(without(old).map(({ pref, copies }) => [pref, copies.length])).toEqual(
    [5, 6, 7, 8, 10].map((pref) => [pref, 1])
  )
  expect(at(old ?? [], 9)).toContainEqual(expect.objectContaining({ selects: { kind: 'unknown' }, others: true }))
  const quoted = JSON.stringify([{ ifalias: '"options":{fh 800: ht divisor 1 }' }])
  expect(parseToolJson(quoted)).toEqual(JSON.parse(quoted))
})

describe('what a filter does', () => {
  test('copies, once or more', () => {
    expect(at(ingress, 10)).toMatchObject([{ copies: [copy], others: false, mirror: copy, classId: null, handle: 1 }])
    expect(at(ingress, 13)).toMatchObject([{ copies: [copy, copy], others: false, mirror: null, classId: '1:5' }])
    expect(at(ingress, 36)).toMatchObject([
      { copies: [copy, { target: 'br1', control: 'continue', cookie: null }], others: false, mirror: null }
    ])
  })

  test('more than copies', () => {
    expect(at(ingress, 15)).toMatchObject([{ copies: [copy], others: true, mirror: null, classId: '1:1' }])
    expect(at(ingress, 20)).toMatchObject([{ copies: [copy], others: true, mirror: copy }])
    expect(at(egress, 10)).toMatchObject([{ copies: [copy], others: true, mirror: null }])
  })

  test('no copy to the egress of a device', () => {
    for (const pref of [11, 12]) expect(at(egress, pref)).toMatchObject([{ copies: [], others: true, mirror: null }])
    // Only one of the two goes out of the device.
    expect([11, 12].map((pref) => at(egress, pref)[0]?.redirects)).toEqual([undefined, ['br0']])
  })
})

/** The limits that a place's filters set, and whether they do more than copy, by handle. */
function limitsOf(tcHook: Filter['tcHook'], version: string) {
  const filters = parseFilters({ device: 'ens192', tcHook }, read(`tc-limit-${tcHook}-${version}`))
  return Object.fromEntries(filters.map(({ handle, mirror, others }) => [handle, [mirror?.limit ?? mirror, others]]))
}

const unlimited = { target: 'span0', control: 'continue', cookie: '7370616e706c616e01018300ed954e41' }

describe.each(['6.1', '6.15', '7.3'])('the policer before a mirror, by iproute2 %s', (version) => {
  test('is its limit, which the cookie says', () => {
    expect(limitsOf('ingress', version)).toMatchObject({
      1: [8_000_000, false],
      2: [2_000_000_000, false],
      3: [unlimited, false]
    })
    expect(limitsOf('egress', version)).toMatchObject({ 6: [2_000_000_000, false] })
  })

  test('is no limit of spanplan where others have written it, or changed what it does with a frame', () => {
    expect(limitsOf('ingress', version)).toMatchObject({ 4: ['unknown', true], 5: ['unknown', true] })
    expect(limitsOf('egress', version)).toMatchObject({ 7: ['unknown', true] })
  })

  test('belongs to no filter that does more than copy once', () => {
    expect(limitsOf('egress', version)).toMatchObject({ 8: [null, true] })
  })

  test('is written as it was', () => {
    const filters = parseFilters({ device: 'ens192', tcHook: 'egress' }, read(`tc-limit-egress-${version}`))
    const words = filters.flatMap((filter) => (filter.handle === 6 ? (writeFilter(filter)?.join(' ') ?? []) : []))
    expect(words).toEqual([
      `filter add dev ens192 egress protocol all pref 8 handle 0x6 bpf bytecode 1,6 0 0 4294967295 action police rate 2000000000bit burst 12500000b mtu 1048576b overhead 0 conform-exceed continue/pipe cookie 7370616e726174650000000077359400 action mirred egress mirror dev span0 continue cookie ${unlimited.cookie}`
    ])
  })
})

test('a foreign policer before a mirror is more than a copy, and is not written', () => {
  for (const hook of ['ingress', 'egress'] as const) {
    const filters = parseFilters({ device: 'ens192', tcHook: hook }, read(`tc-limit-${hook}-6.15`))
    const unwritten = filters.filter((filter) => writeFilter(filter) === null).map(({ handle }) => handle)
    expect(unwritten.sort()).toEqual(hook === 'ingress' ? [4, 5] : [7, 8])
  }
})

test('filters of a queueing discipline', () => {
  const sorters = findClassful(parseQdiscs(read('tc-stock-qdisc')))
  expect(sorters.map(({ device, kind, handle, root, parent }) => ({ device, kind, handle, root, parent }))).toEqual([
    { device: 'veth1', kind: 'fq_codel', handle: '1:', root: true, parent: null },
    { device: 'veth0', kind: 'prio', handle: '1:', root: true, parent: null },
    { device: 'veth0', kind: 'htb', handle: '10:', root: false, parent: '1:1' },
    { device: 'veth0', kind: 'drr', handle: '20:', root: false, parent: '10:1' }
  ])
  expect(parseFilters({ device: 'veth0', parent: '1:' }, read('tc-stock-class'))).toMatchObject([
    { parent: '1:', pref: 5, kind: 'u32', classId: '1:1', copies: [copy] },
    { parent: '1:', pref: 6, kind: 'matchall', classId: null, copies: [copy] }
  ])
})

const mirror = 'action mirred egress mirror dev br0'

// Each but the cookie's control and the handle as it was first written: README.md beside the captured output.
test.each([
  ['ingress', 11, `protocol all pref 11 handle 0x5 matchall classid 1:10 ${mirror} continue cookie a1b2`],
  [
    'ingress',
    16,
    `protocol all pref 16 handle 0x800 u32 match u32 0x2000000 0xffffffff at -8 match u32 0x10000 0xffff0000 at -4 ${mirror} pipe`
  ],
  [
    'ingress',
    31,
    `protocol 802.1Q pref 31 handle 0x1 flower vlan_id 10 vlan_prio 3 vlan_ethtype ip src_ip 1.2.3.4 ${mirror} pipe`
  ],
  [
    'ingress',
    32,
    `protocol all pref 32 handle 0x1 flower dst_mac 02:00:00:00:00:00/16 src_mac 02:00:00:00:00:01 ${mirror} pipe`
  ],
  ['ingress', 42, `chain 5 protocol all pref 42 handle 0x1 matchall ${mirror} pipe`],
  ['egress', 14, `protocol all pref 14 handle 0x3 bpf da bytecode 1,6 0 0 0 ${mirror} pipe`]
] as const)('%s filter %i is written as it was', (hook, pref, words) => {
  const [filter] = at(hook === 'ingress' ? ingress : egress, pref)
  expect(filter && writeFilter(filter)?.join(' ')).toBe(`filter add dev veth0 ${hook} ${words}`)
})

test('what is not wholly understood is not written', () => {
  const unwritten = (filters: typeof ingress) => [
    ...new Set(filters.flatMap((filter) => (writeFilter(filter) === null ? [filter.pref] : [])))
  ]
  expect(unwritten(ingress)).toEqual([12, 14, 15, 17, 19, 20, 23, 33, 34, 43, 45])
  expect(unwritten(egress)).toEqual([10, 11, 12, 15, 16])
  const [gone] = parseFilters({ device: 'ens224', tcHook: 'ingress' }, read('tc-filter-foreign'))
  expect(gone && writeFilter(gone)).toBeNull()
})
