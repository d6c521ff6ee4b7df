import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  parseLinkCounters,
  parseMirrorCounters,
  parsePacketSockets,
  parseTotals
} from '../../../src/host/parsers/counters.ts'
import { parseToolJson } from '../../../src/host/parsers/tool-json.ts'

const text = (name: string) => readFileSync(new URL(`../../fixtures/host/${name}`, import.meta.url), 'utf8')
const json = (name: string) => parseToolJson(text(`${name}.json`))

describe('ip', () => {
  const links = parseLinkCounters(json('ip-link-statistics'))

  test('a card whose frames nobody on the host wants', () => {
    expect(links.find(({ name }) => name === 'ens192')).toEqual({
      index: 2,
      name: 'ens192',
      mtu: 9000,
      up: true,
      running: true,
      carrierChanges: 2,
      rx: { packets: 28000, bytes: 33314000, errors: 0, dropped: 28000, missed: 0, over: 0, fifo: 0 },
      tx: { packets: 0, bytes: 0, errors: 0, dropped: 0 }
    })
  })

  test('a port that has dropped frames', () => {
    expect(links.find(({ name }) => name === 'port0')?.tx).toMatchObject({ packets: 22023, dropped: 1000 })
  })

  test('the same totals as in /proc/net/dev', () => {
    const totals = parseTotals(text('proc-net-dev.txt'))
    expect(totals).toEqual(links.map(({ name, rx, tx }) => ({ name, rx: rx.packets, tx: tx.packets })))
  })

  test('totals of an interface whose name has the mark that the headings have', () => {
    const [heading, columns] = text('proc-net-dev.txt').split('\n')
    const row =
      'a|b:     100       1    0    0    0     0          0         0      200       2    0    0    0     0       0          0'
    expect(parseTotals(`${heading}\n${columns}\n${row}\n`)).toEqual([{ name: 'a|b', rx: 1, tx: 2 }])
  })
})

describe('tc', () => {
  test('a mirror whose target has gone', () => {
    expect(parseMirrorCounters({ device: 'ens192', tcHook: 'ingress' }, json('tc-filter-statistics'))).toEqual([
      {
        device: 'ens192',
        tcHook: 'ingress',
        handle: 0x12345678,
        target: '*',
        packets: 28003,
        bytes: 32922258 + 14 * 28003,
        overlimits: 3003,
        drops: 0,
        installed: 322,
        idle: 0
      }
    ])
  })

  test('mirrors with a limit, one of them over it, and one without', () => {
    const counters = parseMirrorCounters({ device: 'ens192', tcHook: 'ingress' }, json('tc-limit-statistics'))
    const copied = { packets: 10, bytes: 10_000 + 14 * 10, overlimits: 0, drops: 0, idle: 3 }
    const policer = { packets: 10, bytes: 10_000 + 14 * 10, exceeded: 0 }
    expect(counters).toMatchObject([
      { handle: 5, ...copied, policer: { packets: 100, bytes: 100_000 + 14 * 100, exceeded: 90 } },
      { handle: 4, ...copied, policer },
      { handle: 3, ...copied },
      { handle: 2, ...copied, policer },
      { handle: 1, ...copied, policer }
    ])
    expect(counters[2]).not.toHaveProperty('policer')
  })

  test('filters of others', () => {
    expect(parseMirrorCounters({ device: 'ens224', tcHook: 'egress' }, json('tc-filter-egress'))).toEqual([])
  })
})

test('ss: a socket that reads frame by frame, one with a ring, and one that listens everywhere', () => {
  expect(parsePacketSockets(text('ss-packet.txt'))).toEqual([
    { cookie: '2', device: 'eth0', hears: 'every', drops: 21939 },
    { cookie: '1001', device: 'eth0', hears: 'every', drops: null },
    { cookie: '1002', device: null, hears: 'every', drops: 0 }
  ])
})
