import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseDriver, parseRing } from '../../src/host/ring/parse-ring.ts'

const captured = readFileSync(new URL('../fixtures/host/ethtool-rings.txt', import.meta.url), 'utf8')

/** What a version of ethtool has printed of an interface of a driver. */
function outputOf(version: string, flag: 'g' | 'i', driver: string): string {
  const [, text] = captured.split(`%%% ${version} ${flag} ${driver}\n`)
  if (text === undefined) throw new Error(`there is no ${version} ${flag} ${driver}`)
  return text.split('%%% ')[0] ?? ''
}

describe.each(['6.1', '6.14.2'])('ethtool %s', (version) => {
  test.each([
    ['e1000e', { now: 256, most: 4096 }],
    ['virtio_net', { now: 1024, most: 1024 }],
    ['veth', null]
  ])('the receive ring of %s', (driver, ring) => {
    expect(parseRing(outputOf(version, 'g', driver))).toEqual(ring)
    expect(parseDriver(outputOf(version, 'i', driver))).toBe(driver)
  })
})

test('what is not printed is not there', () => {
  expect(parseRing('')).toBeNull()
  expect(parseDriver('')).toBeNull()
  expect(parseDriver('driver: \nversion: 1\n')).toBeNull()
})

test('what an older ethtool prints of a driver without a ring', () => {
  const none = 'Pre-set maximums:\nRX:\t\t0\nTX:\t\t0\nCurrent hardware settings:\nRX:\t\t0\nTX:\t\t0\n'
  expect(parseRing(none)).toBeNull()
})
