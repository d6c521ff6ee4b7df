import { describe, expect, test } from 'vitest'
import { judgeOrigins } from '../../src/host/address-origin.ts'

describe('an address of which ip prints no origin', () => {
  const isKernels = judgeOrigins([{ local: '127.0.0.1' }])

  test.each([
    ['fe80::28b4:32ff:fe73:3855', {}, true],
    ['fe80::2ff:fe00:1', {}, true],
    ['fe80::ff:fe00:1', {}, true],
    ['fe80::9c1f:3d2a:77b0:41e5', { 'stable-privacy': true }, true],
    // As somebody types an address, and as NetworkManager sets its own.
    ['fe80::1', {}, false],
    ['fe80::9c1f:3d2a:77b0:41e5', {}, false],
    ['fe80::28b4:32ff:fe73:3855', { noprefixroute: true }, false],
    ['2001:db8::28b4:32ff:fe73:3855', {}, false],
    ['2001:db8::9c1f:3d2a:77b0:41e5', { 'stable-privacy': true }, false],
    ['192.0.2.7', {}, false]
  ])('%s %j', (local, flags, expected) => {
    expect(isKernels({ local, ...flags })).toBe(expected)
  })
})

test("where ip prints origins, an address without one is a user's", () => {
  const isKernels = judgeOrigins([{ local: '::1', protocol: 'kernel_lo' }])
  expect(isKernels({ local: 'fe80::28b4:32ff:fe73:3855' })).toBe(false)
  expect(isKernels({ local: 'fe80::1', protocol: 'kernel_ll' })).toBe(true)
})
