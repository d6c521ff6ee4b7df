/** Fractions and rates, as texts of the file. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readFraction, suggestFraction, writeFraction } from '../../../src/spec/values/fraction.ts'
import { readRate, suggestRate, writeRate } from '../../../src/spec/values/rate.ts'

test('every rate is read as it was written, whatever its unit', () => {
  const rate = fc.oneof(
    fc.integer({ min: 8000, max: 1e15 }),
    fc.tuple(fc.integer({ min: 8, max: 1000 }), fc.constantFrom(1e3, 1e6, 1e9, 1e12)).map(([one, unit]) => one * unit)
  )
  fc.assert(
    fc.property(rate, (bits) => {
      expect(readRate(writeRate(bits))).toBe(bits)
    })
  )
})

test.each([
  [2_000_000_000, '2gbit'],
  [2_500_000_000, '2.5gbit'],
  [999_999_999, '999999.999kbit'],
  [8000, '8kbit'],
  [8001, '8.001kbit'],
  [1e15, '1000tbit']
])('%d bits a second are %s', (bits, text) => {
  expect(writeRate(bits)).toBe(text)
})

test.each([
  ['2G', 'did you mean "2gbit"?'],
  ['2 Gbps', 'did you mean "2gbit"?'],
  ['1.5mbits/s', 'did you mean "1.5mbit"?'],
  // A capital B stands for bytes.
  ['250MB/s', 'did you mean "2000mbit"?'],
  ['1Gbyte', 'did you mean "8gbit"?'],
  ['1000', 'give it a unit: kbit, mbit, gbit or tbit'],
  ['fast', undefined],
  ['-1gbit', undefined]
])('a hint for the rate %s', (text, hint) => {
  expect(suggestRate(text)).toBe(hint)
})

test('every fraction is read as it was written', () => {
  const fraction = fc
    .integer({ min: 2, max: 65536 })
    .chain((of) => fc.record({ take: fc.integer({ min: 1, max: of - 1 }), of: fc.constant(of) }))
  fc.assert(
    fc.property(fraction, (one) => {
      expect(readFraction(writeFraction(one))).toEqual(one)
    })
  )
})

test.each([
  ['10%', 'write 1/10'],
  ['0.5 %', 'write 1/200'],
  ['0.25', 'write 1/4'],
  ['.1', 'write 1/10'],
  ['1:10', 'write 1/10'],
  ['2 out of 10', 'write 1/5'],
  ['01/10', 'write 1/10'],
  ['1 / 10', 'write 1/10'],
  ['100', 'write 1/100'],
  ['100%', undefined],
  ['0', undefined],
  ['0:0', undefined],
  ['1', undefined],
  ['1/10/2', undefined]
])('a hint for the fraction %s', (text, hint) => {
  expect(suggestFraction(text)).toBe(hint)
})
