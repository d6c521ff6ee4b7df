import { expect, test } from 'vitest'
import { normalizeObjects } from '../../../src/host/nftables/sender-table.ts'

const bits = (offset: number, len: number) => ({ payload: { base: 'th', offset, len } })
const rule = (left: object, packets: number) => ({
  rule: { expr: [{ match: { left, right: 5 } }, { counter: { packets } }] }
})

test('what has been counted, and how nft 1.0 and 1.1 print the last bits of two bytes, makes no difference', () => {
  const [counted, uncounted, masked] = normalizeObjects([
    rule(bits(86, 10), 7),
    rule(bits(86, 10), 0),
    rule({ '&': [bits(80, 16), 0x3ff] }, 0)
  ])
  expect(counted).toEqual(uncounted)
  expect(masked).toEqual(uncounted)
})

test('other masks stay', () => {
  for (const mask of [0x2ff, 0x3fe, 0xfc00]) {
    expect(normalizeObjects({ '&': [bits(80, 16), mask] })).toEqual({ '&': [bits(80, 16), mask] })
  }
})
