import fc from 'fast-check'
import { expect, test } from 'vitest'
import { indexNames } from '../../src/spec/span-names.ts'

test('a bridge that no span of the files has is called by its own name', () => {
  const { nameOf, bridgeOf } = indexNames([{ name: 'dmz-mirror', bridge: 'span0' }])
  expect([nameOf('span0'), nameOf('span1')]).toEqual(['dmz-mirror', 'span1'])
  expect([bridgeOf('dmz-mirror'), bridgeOf('span1')]).toEqual(['span0', 'span1'])
})

test('but not where a span of the files has that name', () => {
  const { nameOf, bridgeOf } = indexNames([{ name: 'span0', bridge: 'span1' }])
  expect([nameOf('span1'), nameOf('span0')]).toEqual(['span0', 'bridge:span0'])
  expect(bridgeOf('bridge:span0')).toBe('span0')
})

test('each bridge has a name that no other has, and is found by it', () => {
  const word = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const unlike = <Key extends 'name' | 'bridge'>(key: Key) => ({ selector: (one: { [K in Key]: string }) => one[key] })
  const spans = fc
    .uniqueArray(fc.record({ name: word, bridge: word }), unlike('name'))
    .map((all) => all.filter(({ bridge }, at) => all.findIndex((other) => other.bridge === bridge) === at))
  fc.assert(
    fc.property(spans, (listed) => {
      const { nameOf, bridgeOf } = indexNames(listed)
      const bridges = ['a', 'b', 'c', 'd', 'e', 'f']
      expect(new Set(bridges.map(nameOf)).size).toBe(bridges.length)
      expect(bridges.map(nameOf).map(bridgeOf)).toEqual(bridges)
      for (const { name, bridge } of listed) expect([nameOf(bridge), bridgeOf(name)]).toEqual([name, bridge])
    })
  )
})
