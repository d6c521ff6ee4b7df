import { describe, expect, test } from 'vitest'
import { findInsideTag } from '../../../src/spec/filter/inside-tag.ts'

describe('what stands right of "vlan" is looked for behind a tag', () => {
  test.each([
    ['not vlan 5 and udp', 'udp', 'udp and not vlan 5'],
    ['not (vlan 5) and udp port 53', 'udp port 53', 'udp port 53 and not (vlan 5)'],
    ['! vlan && udp', 'udp', 'udp and ! vlan'],
    ['vlan 5 or udp', 'udp', 'udp or vlan 5'],
    ['vlan 5 or (udp and port 53) or arp', 'udp', '(udp and port 53) or arp or vlan 5'],
    ['tcp and (vlan 5 or host 10.0.0.1)', 'host 10.0.0.1', 'tcp and (host 10.0.0.1 or vlan 5)'],
    ['not vlan 5 and ether proto 0x800', 'ether proto 0x800', 'ether proto 0x800 and not vlan 5'],
    ['not mpls and udp', 'udp', 'udp and not mpls'],
    ['pppoes or udp', 'udp', 'udp or pppoes'],
    [
      'not geneve and ether src 02:00:00:00:0a:01',
      'ether src 02:00:00:00:0a:01',
      'ether src 02:00:00:00:0a:01 and not geneve'
    ],
    // Nothing else is sure to be meant.
    ['vlan 5 or vlan 6', 'vlan 6', null],
    ['not vlan 5 and not vlan 6', 'vlan 6', null],
    ['vlan 5 and port 53 or 80', '80', null],
    ['not vlan 5 and udp or tcp', 'udp', null]
  ])('%s', (expression, part, better) => {
    const found = findInsideTag(expression)
    expect(found).toMatchObject({ part, better })
    expect(expression.startsWith(part, found?.at)).toBe(true)
  })

  test.each([
    'udp',
    'vlan 5',
    'not vlan 5',
    'vlan 5 and udp',
    'vlan and (tcp or udp)',
    'vlan 5 and vlan 6',
    'udp and not vlan 5',
    'tcp or (vlan and tcp)',
    'not (vlan 5 and udp)',
    'vlan 5 or ether src 02:00:00:00:0a:01',
    'not vlan 5 and less 100',
    'not vlan 5 and ether[12:2] = 0x800',
    'mpls 100 and mpls 200 and host 10.0.0.1',
    // Names of what each object of JavaScript has.
    'vlan 5 and host constructor and host toString',
    'constructor or host 10.0.0.1'
  ])('%s: as it is meant', (expression) => {
    expect(findInsideTag(expression)).toBeNull()
  })
})
