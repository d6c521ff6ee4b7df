import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { parseToolJson } from '../../../../src/host/parsers/json.ts'
import { findHooks, parseQdiscs } from '../../../../src/host/parsers/qdiscs.ts'

const read = (name: string) =>
  parseToolJson(readFileSync(new URL(`../../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

test('qdiscs, with their blocks', () => {
  const qdiscs = parseQdiscs(read('tc-qdisc-foreign'))
  const place = { handle: 'ffff:', root: false, parent: 'ffff:fff1', plainPrio: false }
  expect(qdiscs).toContainEqual({ ...place, device: 'ens192', kind: 'clsact', block: null })
  expect(qdiscs).toContainEqual({ ...place, device: 'blk0', kind: 'clsact', block: 21 })
  expect(qdiscs).toContainEqual({ ...place, device: 'blk1', kind: 'ingress', block: null })
  expect(findHooks(qdiscs).filter(({ device }) => device.startsWith('blk'))).toEqual([
    { device: 'blk1', tcHook: 'ingress' },
    { device: 'blk0', tcHook: 'ingress' },
    { device: 'blk0', tcHook: 'egress' }
  ])
})

test('a prio qdisc, as tc makes it', () => {
  const prio = (found: readonly { plainPrio: boolean; device: string }[]) =>
    found.filter(({ plainPrio }) => plainPrio).map(({ device }) => device)
  expect(prio(parseQdiscs(read('tc-stock-qdisc')))).toEqual(['veth0'])
  const other = z
    .array(z.looseObject({}))
    .parse(read('tc-stock-qdisc'))
    .map((row) => ({ ...row, options: { bands: 4 } }))
  expect(prio(parseQdiscs(other))).toEqual([])
})
