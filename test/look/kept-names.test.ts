import { expect, test } from 'vitest'
import { chooseNames } from '../../src/look/listening.ts'

/** A container whose interfaces have these names, in the order of its networks; `=` before one that an option gives. */
function choose(interfaces: Readonly<Record<string, string>>, lost: readonly string[]): string {
  const option = 'com.docker.network.endpoint.ifname'
  const endpoints = Object.entries(interfaces).map(([network, name]) => ({
    network,
    networkId: network,
    aliases: [],
    fixedAddress: null,
    port: 'unknown' as const,
    driverOptions: name.startsWith('=') ? { [option]: name.slice(1) } : {}
  }))
  const listened = lost.map((network) => ({ network, name: interfaces[network]?.replace('=', '') ?? null }))
  return [...chooseNames({ endpoints }, listened)].map((pair) => pair.join('=')).join(' ')
}

test.each([
  ['its only interface', { span: 'eth0' }, ['span'], 'span=eth0'],
  ['one beside another', { web: 'eth0', span: 'eth1' }, ['span'], 'span=eth1'],
  ['two of two spans', { web: 'eth0', a: 'eth2', b: 'eth1' }, ['a', 'b'], 'a=eth2 b=eth1'],
  ['none that Docker may come to, when the container starts', { span: 'eth1', web: 'eth0', x: 'eth2' }, ['span'], ''],
  ['the one above, but not the one below', { web: 'eth0', a: 'eth1', x: 'eth2', b: 'eth3' }, ['a', 'b'], 'b=eth3'],
  ['none that an option gives already', { span: '=mon0' }, ['span'], ''],
  ['none that the container has chosen', { span: 'mon0' }, ['span'], ''],
  ['none beyond the one that an option takes', { x: '=eth1', span: 'eth1' }, ['span'], '']
])('keeps %s', (_, interfaces, lost, kept) => {
  expect(choose(interfaces, lost)).toBe(kept)
})
