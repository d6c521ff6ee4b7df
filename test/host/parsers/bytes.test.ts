import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeBytes, encodeBytes } from '../../../src/host/parsers/bytes.ts'

test.each([
  ['odd\xff', 'odd\udcff'],
  ['\xed\xa0\x80', '\udced\udca0\udc80'],
  ['\xc3\xbc\x80', '\u00fc\udc80'],
  ['\xf0\x9f\x98\x80\xf0', '\ud83d\ude00\udcf0'],
  ['\xc0\xaf', '\udcc0\udcaf']
])('%j', (bytes, text) => {
  expect(decodeBytes(Buffer.from(bytes, 'latin1'))).toBe(text)
})

test('all bytes come back, and two texts never become one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(new Uint8Array(encodeBytes(decodeBytes(bytes)))).toEqual(bytes)
    }),
    { numRuns: 3000 }
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(decodeBytes(Buffer.from(text))).toBe(text)
    })
  )
})
