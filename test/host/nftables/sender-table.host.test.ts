/** Tables that choose the senders of tunnels, as this host's nft prints them: no tunnel of these is made. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  isSenderTable,
  normalizeObjects,
  readSenders,
  removeSenderTable,
  writeSenderTable
} from '../../../src/host/nftables/sender-table.ts'
import { parseTables } from '../../../src/host/parsers/nft.ts'
import { parseToolJson } from '../../../src/host/parsers/tool-json.ts'
import { tunnelKindOf } from '../../../src/host/tunnels/registry.ts'
import { plainTunnel } from '../../../src/spec/sources/tunnel-spec.ts'
import { createLab, type Lab } from '../../lab/lab.ts'

let lab: Lab
beforeAll(async () => {
  lab = await createLab({ docker: false })
})
afterAll(() => lab?.close())

const gretap = { ...plainTunnel, protocol: 'gretap', local: '192.0.2.7' } as const
const erspan = { ...gretap, protocol: 'erspan' } as const

test.each([
  { ...plainTunnel, protocol: 'vxlan', identifier: 42, port: 4789 } as const,
  { ...plainTunnel, protocol: 'vxlan', identifier: 0, port: 4790, local: '2001:db8::7' } as const,
  { ...plainTunnel, protocol: 'vxlan', identifier: 44, port: 4789, group: '239.1.1.1', interface: 'ens192' } as const,
  gretap,
  { ...gretap, identifier: 0 },
  { ...gretap, identifier: 2 ** 32 - 1 },
  { ...erspan, type: 1 },
  { ...erspan, type: 2, identifier: 0 },
  { ...erspan, type: 3, identifier: 1023 }
])('of $protocol, type $type, with $identifier, is read as it was written', async (tunnel) => {
  const { addresses, ...packets } = tunnelKindOf(tunnel).packets(tunnel)
  const senders = addresses === 'ip' ? ['10.60.0.0/16', '192.0.2.1'] : ['2001:db8::/64', '2001:db8:1::1']
  const table = { link: 'tunnel0', mark: 'spanplan.name.default', packets: { addresses, ...packets }, senders }
  await lab.run(writeSenderTable(table))
  const listing = await lab.run(['nft', '-j', 'list', 'ruleset', 'inet'])
  const [found] = parseTables(parseToolJson(listing)).map(normalizeObjects)
  await lab.run(removeSenderTable('tunnel0'))
  expect(found && readSenders(found)).toEqual(senders)
  expect(found && isSenderTable(found, table)).toBe(true)
})

test('of as many senders as a file may name, however long their prefixes are, nft takes all', async () => {
  const tunnel = {
    ...plainTunnel,
    protocol: 'vxlan',
    identifier: 2 ** 24 - 1,
    port: 65535,
    group: 'ff0e::7',
    interface: 'ens192'
  } as const
  const senders = Array.from(
    { length: 256 },
    (_, index) => `2001:db8:ffff:ffff:ffff:ffff:${(0xff00 + index).toString(16)}:0/112`
  )
  const table = {
    link: 'vxlan-ffffffff',
    mark: `spanplan.name.${'n'.repeat(63)}`,
    packets: tunnelKindOf(tunnel).packets(tunnel),
    senders
  }
  await lab.run(writeSenderTable(table))
  const listing = await lab.run(['nft', '-j', 'list', 'ruleset', 'inet'])
  const [found] = parseTables(parseToolJson(listing)).map(normalizeObjects)
  await lab.run(removeSenderTable('vxlan-ffffffff'))
  expect(found && readSenders(found)).toEqual(senders)
})
