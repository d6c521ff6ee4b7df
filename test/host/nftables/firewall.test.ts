import { expect, test } from 'vitest'
import { findBarriers, parseFirewall } from '../../../src/host/nftables/firewall.ts'
import type { Passage } from '../../../src/host/nftables/passage.ts'

const passage: Passage = {
  way: 'in',
  family: 'inet',
  protocol: 'udp',
  port: 4789,
  senders: ['10.50.0.1'],
  receivers: ['10.50.0.2'],
  interfaces: ['ens192'],
  devices: ['ens192']
}

const place = { family: 'inet', table: 'filter' }
const toTunnel = { match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 4789 } }

test.each<[string, unknown]>([
  // As nft 1.1.3 prints it: it warns that it has no JSON for that.
  ['a chain without a name, as text', [toTunnel, 'jump {\n\t\t\tcounter packets 0 bytes 0 drop\n\t\t}']],
  ['a jump to nowhere', [toTunnel, { jump: null }]],
  ['a jump to what is no name', [toTunnel, { goto: { target: { chain: 'other' } } }]],
  ['no statements', undefined]
])('a rule that is not understood may do anything, and ends no run: %s', (_, expr) => {
  const chain = { ...place, name: 'input', type: 'filter', hook: 'input', prio: 0, policy: 'accept' }
  const rule = { ...place, chain: 'input', handle: 4, expr }
  const barriers = findBarriers(parseFirewall({ nftables: [{ chain }, { rule }] }), passage)
  expect(barriers).toMatchObject([{ isClosed: false, rule: { handle: 4 } }])
})
