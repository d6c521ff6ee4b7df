import { expect, test } from 'vitest'
import { tableObjects } from '../../../src/host/nftables/seal-table.ts'
import { parseTables } from '../../../src/host/parsers/nft.ts'
import { readTableMark, writeTableMark } from '../../../src/resources/marks.ts'

/** As nft 1.0.6 and 1.1.3 print the same table: one has its comment, and each an order of its own. */
const place = { family: 'bridge', table: 'spanplan_default' }
const table = { family: 'bridge', name: 'spanplan_default', handle: 1 }
const mark = { chain: { ...place, name: 'spanplan.name.default', handle: 4 } }
const set = { set: { ...place, name: 'spans', type: 'ifname', handle: 1, elem: ['span0'] } }
const outputs = {
  '1.0.6': [{ metainfo: { version: '1.0.6', json_schema_version: 1 } }, { table }, set, mark],
  '1.1.3': [
    { metainfo: { version: '1.1.3', json_schema_version: 1 } },
    { table: { ...table, comment: 'x' } },
    mark,
    set
  ]
}

test.each(Object.entries(outputs))('nft %s: a table is known by its chain', (_, nftables) => {
  const foreign = [{ table: { family: 'bridge', name: 'docker-bridges', handle: 9 } }]
  const [own, ...others] = parseTables({ nftables: [...nftables, ...foreign] })
  expect(others).toEqual([])
  expect(own?.name).toBe('spanplan_default')
  expect(own && readTableMark(own)).toBe('default')
})

test("a table without the chain is nobody's, whatever its name and comment say", () => {
  const [found] = parseTables({ nftables: [{ table: { ...table, comment: 'spanplan:default' } }, set] })
  expect(found?.name).toBe('spanplan_default')
  expect(found && readTableMark(found)).toBeNull()
})

test('what is written bears the mark', () => {
  const objects = tableObjects({ name: 'spanplan_default', mark: writeTableMark('default'), bridges: ['span0'] })
  expect(objects).toContainEqual({ chain: { ...place, name: 'spanplan.name.default' } })
})
