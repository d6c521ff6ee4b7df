import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseVeths } from '../../../../src/host/parsers/veths.ts'

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

const folder = '/run/docker/netns'

test('veth pairs, by the namespace at their other end', () => {
  const veths = parseVeths(folder, read('ip-addr-veth'), read('ip-netns'))
  const own = { namespace: 1, hasAddress: false }
  expect([...veths]).toEqual([
    [
      `${folder}/174f35cc26d7`,
      [
        { ...own, host: 13, inside: 12, master: 'span0' },
        { ...own, host: 16, inside: 15, master: 'br-5d39b7d54f25' },
        { ...own, host: 22, inside: 21, master: null, hasAddress: true }
      ]
    ],
    [`${folder}/bafb2df18845`, [{ host: 18, inside: 17, namespace: 2, master: 'br-5d39b7d54f25', hasAddress: false }]]
  ])
})

test('links that are no veth pairs, or lead to no other namespace, are left out', () => {
  const link = { ifindex: 2, link_index: 3, link_netnsid: 1, linkinfo: { info_kind: 'veth' }, addr_info: [] }
  const links = [
    {},
    { ...link, linkinfo: { info_kind: 'macvlan' } },
    { ...link, link_netnsid: undefined, link: 'blk0' }
  ]
  expect([...parseVeths(folder, links, [{ nsid: 0 }, { nsid: 1, name: 'a' }])]).toEqual([[`${folder}/a`, []]])
})
