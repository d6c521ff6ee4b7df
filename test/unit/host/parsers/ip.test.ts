import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseLinks, parseOffloads, parseOwnMacEntries } from '../../../../src/host/parsers/ip.ts'
import { parseToolJson } from '../../../../src/host/parsers/json.ts'

const read = (name: string) =>
  parseToolJson(readFileSync(new URL(`../../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

describe('ip', () => {
  const links = parseLinks(read('ip-link'), read('ip-addr'))
  const kinds = parseLinks(read('ip-link-kinds'), read('ip-addr-kinds'))
  const find = (name: string) => kinds.find((link) => link.name === name)

  test("a span's bridge", () => {
    expect(links.find(({ name }) => name === 'span0')).toEqual({
      index: 4,
      name: 'span0',
      altnames: [],
      type: 'ether',
      kind: 'bridge',
      mac: '02:83:dc:b0:a6:8c',
      permanentMac: '02:83:dc:b0:a6:8c',
      mtu: 9000,
      up: true,
      promiscuous: false,
      arp: true,
      alias: 'spanplan:default:owned+network:2.0183',
      master: null,
      lower: null,
      peer: null,
      foreignPeer: false,
      addresses: [],
      generatesAddress: false,
      bridge: { ageing: 0, forwardDelay: 0, stp: false, snooping: false, vlanFiltering: false },
      port: null
    })
  })

  test("a sensor's port", () => {
    expect(links.filter(({ master }) => master === 'span0')).toMatchObject(
      [0, 1].map(() => ({
        kind: 'veth',
        foreignPeer: true,
        lower: null,
        bridge: null,
        port: { isolated: true, learning: false, flooding: true }
      }))
    )
  })

  test('an interface that is copied from', () => {
    expect(links.find(({ name }) => name === 'ens192')).toMatchObject({ promiscuous: true, up: true, mtu: 9000 })
  })

  test('altnames, addresses and an alias that is no valid JSON', () => {
    expect(find('ens224')).toMatchObject({
      altnames: ['enp19s0', 'tap-a'],
      alias: '\u001b[31mred\tx',
      addresses: [{ family: 'inet', address: '192.0.2.7', prefix: 24, automatic: false }]
    })
  })

  test('lower links and peers', () => {
    expect(find('mv0')).toMatchObject({ kind: 'macvlan', lower: find('ens224')?.index, peer: null })
    expect(find('blk0')).toMatchObject({ kind: 'veth', lower: null, peer: find('blk1')?.index, foreignPeer: false })
    expect(find('vx0')).toMatchObject({ kind: 'vxlan', lower: null, peer: null })
  })

  test('a device without MAC addresses', () => {
    expect(find('tun0')).toMatchObject({ type: 'none', mac: '', permanentMac: '' })
  })

  test('{} for a link that is left out', () => {
    expect(parseLinks([{}], [{}, {}])).toEqual([])
  })
})

test('bridge: the entries that keep frames to a bridge from its ports', () => {
  const entries = parseOwnMacEntries(read('bridge-fdb'))
  expect(entries).toContain('br9 0a:00:00:00:00:09')
})

test('ethtool: offloads, fixed ones too', () => {
  const offloads = parseOffloads(read('ethtool'))
  const off = { active: false, fixed: false }
  expect(offloads.get('span0')).toMatchObject({ tx: off, tso: off, gso: off, gro: { active: true, fixed: false } })
  expect(offloads.get('ens192')).toMatchObject({ 'rx-gro-hw': { active: false, fixed: true } })
  expect(parseOffloads([{ ifname: 'old' }])).toEqual(new Map([['old', {}]]))
})
