import { expect, test } from 'vitest'
import { parseNextHops, parseRoutes, splitRoutes } from '../../../src/host/parsers/routes.ts'

/** What `ip -4 -json route show table all dev v0` (6.15) printed on Linux 6.18, as `ip -batch` has it: on one line. */
const inet = `[{"type":"local","dst":"203.0.118.0/24","table":"100","scope":"host","flags":[]},{"dst":"203.0.113.0/24",
"scope":"link","flags":[]},{"dst":"203.0.114.0/24","via":{"family":"inet6","host":"fe80::99"},"flags":[]},
{"dst":"203.0.115.0/24","flags":[],"nexthops":[{"dev":"v0","weight":1,"flags":[]},{"dev":"w0","weight":1,"flags":[]}]},
{"dst":"203.0.116.0/24","nhid":7,"via":{"family":"inet6","host":"fe80::5"},"flags":[]},{"dst":"203.0.117.0/24","nhid":9,
"flags":[],"nexthops":[{"via":{"family":"inet6","host":"fe80::5"},"dev":"v0","weight":1,"flags":[]},{"via":{"family":
"inet6","host":"fe80::6"},"dev":"w0","weight":1,"flags":[]}]}]`

/** The same with -6. */
const inet6 = `[{"dst":"2001:db8:5::/48","metric":1024,"flags":[],"pref":"medium","nexthops":[{"gateway":"fe80::1","dev":
"v0","weight":1,"flags":[]},{"gateway":"fe80::2","dev":"w0","weight":1,"flags":[]}]},{"dst":"fe80::/64","protocol":"kernel",
"metric":256,"flags":[],"pref":"medium"},{"type":"local","dst":"fe80::585a:d9ff:fe82:2037","table":"local","protocol":
"kernel","metric":0,"flags":[],"pref":"medium"},{"type":"multicast","dst":"ff00::/8","table":"local","protocol":"kernel",
"metric":256,"flags":[],"pref":"medium"}]`

/** What `ip -json nexthop show` printed. */
const nextHops = parseNextHops([
  { id: 7, gateway: 'fe80::5', dev: 'v0', scope: 'link', flags: [] },
  { id: 8, gateway: 'fe80::6', dev: 'w0', scope: 'link', flags: [] },
  { id: 9, group: [{ id: 7 }, { id: 8 }], flags: [] },
  { id: 11, blackhole: null, flags: [] }
])

test('the routes, as ip shows them, with the command that deletes each; less those of the kernel', () => {
  const routes = [
    ...parseRoutes('v0', 'inet', JSON.parse(inet), nextHops),
    ...parseRoutes('v0', 'inet6', JSON.parse(inet6), nextHops),
    ...parseRoutes('v0', 'inet6', [], nextHops)
  ]
  expect(routes.map(({ text, removal }) => [text, removal.join(' ')])).toEqual([
    ['local 203.0.118.0/24 dev v0 table 100', 'ip route del local 203.0.118.0/24 dev v0 table 100'],
    ['203.0.113.0/24 dev v0', 'ip route del 203.0.113.0/24 dev v0'],
    ['203.0.114.0/24 via inet6 fe80::99 dev v0', 'ip route del 203.0.114.0/24 dev v0'],
    ['203.0.115.0/24', 'ip route del 203.0.115.0/24'],
    ['203.0.116.0/24 nhid 7', 'ip route del 203.0.116.0/24 nhid 7'],
    ['203.0.117.0/24 nhid 9', 'ip route del 203.0.117.0/24 nhid 9'],
    ['2001:db8:5::/48 metric 1024', 'ip -6 route del 2001:db8:5::/48 metric 1024']
  ])
})

test('a route without a device is none of this one', () => {
  const routes = ['blackhole', 'unreachable', 'prohibit', 'throw'].map((type) => ({
    type,
    dst: '192.0.2.0/24',
    flags: []
  }))
  expect(parseRoutes('v0', 'inet', routes, nextHops)).toEqual([])
})

test('the routes of all devices, split into those of each', () => {
  const [one, several] = [
    { dst: '203.0.113.0/24', dev: 'v0' },
    { dst: '203.0.114.0/24', nexthops: [{ dev: 'v0' }, { dev: 'w0' }] }
  ]
  // As with net.ipv4.nexthop_compat_mode=0.
  const [object, group, gone] = [7, 9, 10].map((nhid) => ({ dst: '203.0.115.0/24', nhid }))
  const nowhere = { type: 'blackhole', dst: '203.0.116.0/24' }
  expect(splitRoutes([one, several, object, group, gone, nowhere], nextHops)).toEqual(
    new Map([
      ['v0', [one, several, object, group]],
      ['w0', [several, group]]
    ])
  )
})

test('a route by an object of another device is none of this one', () => {
  const routes = ['v0', 'w0', 'x0'].map((device) => parseRoutes(device, 'inet', JSON.parse(inet), nextHops))
  expect(routes.map((some) => some.filter(({ text }) => text.includes('nhid')).length)).toEqual([2, 1, 0])
})
