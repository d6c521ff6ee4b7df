/** An interface that only routes use, its address being elsewhere, is in use as one with an address is. */
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  await ip('addr', 'add', '192.0.2.77/32', 'dev', 'lo')
  await ip('-6', 'addr', 'add', '2001:db8:77::1/128', 'dev', 'lo', 'nodad')
  // It has IPv6, with the routes that each such interface has, and needs no address for it.
  await lab.run(['sysctl', '-q', '-w', 'net.ipv6.conf.ens224.disable_ipv6=0'])
  await ip('link', 'set', 'dev', 'ens224', 'down')
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(async () => {
  await lab.spanplan(['destroy', '--yes'])
  // With the interface and the objects go their routes, but for those that have another next hop.
  await ip('link', 'set', 'dev', 'ens224', 'down')
  await ip('nexthop', 'flush')
  await ip('-4', 'route', 'flush', 'root', '203.0.113.0/24')
  await ip('-6', 'route', 'flush', 'root', '2001:db8:5::/48')
  await expectRestored(lab, first)
})

/** As `ip route add` and `ip route del` take them, after the family. */
const routes: Readonly<Record<string, readonly [string, string, ...string[]]>> = {
  'an address on lo': ['-4', '203.0.113.0/24', 'dev', 'ens224'],
  'a gateway of the other family': ['-4', 'default', 'via', 'inet6', 'fe80::99', 'dev', 'ens224'],
  'a table of its own': ['-4', '203.0.113.0/24', 'dev', 'ens224', 'table', '100'],
  IPv6: ['-6', '2001:db8:5::/48', 'dev', 'ens224', 'metric', '77'],
  'IPv6 by a gateway': ['-6', 'default', 'via', 'fe80::99', 'dev', 'ens224', 'metric', '77'],
  'several next hops': ['-4', '203.0.113.0/24', 'nexthop', 'dev', 'ens224', 'nexthop', 'dev', 'ens192'],
  'several next hops of IPv6': [
    ...(['-6', '2001:db8:5::/48', 'metric', '77', 'nexthop', 'via', 'fe80::1', 'dev', 'ens224'] as const),
    ...['nexthop', 'via', 'fe80::2', 'dev', 'ens192']
  ],
  'a next-hop object': ['-4', '203.0.113.0/24', 'nhid', '7'],
  'an object of several next hops': ['-4', '203.0.113.0/24', 'nhid', '9']
}

/** What sets the host up for the routes by object, and what takes that away. */
async function addObjects(): Promise<void> {
  await ip('nexthop', 'add', 'id', '7', 'via', 'fe80::5', 'dev', 'ens224')
  await ip('nexthop', 'add', 'id', '8', 'via', 'fe80::6', 'dev', 'ens192')
  await ip('nexthop', 'add', 'id', '9', 'group', '7/8')
}

async function showRoutes(): Promise<string> {
  const families = await Promise.all(['-4', '-6'].map((family) => ip(family, 'route', 'show', 'table', 'all')))
  return families.join('\n')
}

describe('an interface that only routes use', () => {
  test.each(Object.keys(routes))('stays up, and is not dedicated: %s', async (name) => {
    const [family, ...words] = routes[name] ?? ['-4', '']
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224}]}}')
    await spanplan(lab, ['apply'])
    await addObjects()
    await ip(family, 'route', 'add', ...words)
    const before = await showRoutes()
    await spanplan(lab, ['destroy', '--yes'])
    expect(await showRoutes()).toBe(before)
    expect(await ip('link', 'show', 'dev', 'ens224')).toMatch(/<.*\bUP\b.*>/)
    await writeSpans(lab, 'interfaces: {ens224: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens224}]}}')
    const said = await expectRefusal(lab, ['apply'])
    expect(said).toContain('ens224 is to be dedicated to capture, but the host has a route through it: ')
    const [, command = 'false'] = /remove the route: (ip .*)$/m.exec(said) ?? []
    await lab.run(['sh', '-c', command])
    await spanplan(lab, ['plan'])
  })

  test('keeps its routes under a span', async () => {
    await ip('link', 'set', 'dev', 'ens224', 'up')
    await ip('route', 'add', '203.0.113.0/24', 'dev', 'ens224')
    const before = await showRoutes()
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224}]}}')
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect(await showRoutes()).toBe(before)
    await spanplan(lab, ['destroy', '--yes'])
    expect(await showRoutes()).toBe(before)
  })
})

test('what the kernel routes by itself is no use: an interface with IPv6 may be dedicated, and goes down again', async () => {
  await ip('link', 'set', 'dev', 'ens224', 'addrgenmode', 'eui64')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224}]}}')
  await spanplan(lab, ['apply'])
  expect(await ip('-6', 'route', 'show', 'table', 'all', 'dev', 'ens224')).toContain('ff00::/8')
  await writeSpans(lab, 'interfaces: {ens224: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens224}]}}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await ip('link', 'set', 'dev', 'ens224', 'addrgenmode', 'none')
  await expectRestored(lab, first)
})

test('a bridge that was down, was adopted, and that routes use by now, stays up', async () => {
  await ip('link', 'add', 'span0', 'type', 'bridge')
  await ip('link', 'set', 'dev', 'span0', 'addrgenmode', 'none')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await ip('route', 'add', '203.0.113.0/24', 'dev', 'span0')
  await spanplan(lab, ['destroy', '--yes'])
  expect(await ip('route', 'show', 'dev', 'span0')).toContain('203.0.113.0/24')
  await ip('link', 'del', 'dev', 'span0')
})

test('a route is found among the routes of many interfaces as among those of one', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `many${index}`)
  for (const name of names) await ip('link', 'add', name, 'up', 'type', 'veth', 'peer', `of-${name}`)
  await ip('link', 'set', 'dev', 'ens224', 'up')
  await addObjects()
  const interfaces = (all: readonly string[]) => all.map((name) => `${name}: {dedicated: true}`).join(', ')
  const spans = (all: readonly string[]) => all.map((name) => `{interface: ${name}}`).join(', ')
  const refusal = async (...all: string[]) => {
    await writeSpans(lab, `interfaces: {${interfaces(all)}}\nspans: {span0: {sources: [${spans(all)}]}}`)
    return (await expectRefusal(lab, ['plan'])).match(/.* route through it: .*/g)
  }
  const isByObject = ([, ...words]: readonly string[]) => words.includes('nhid')
  const cases = [
    ...Object.values(routes).map((route) => ({ mode: 1, route })),
    // Where these name no device.
    ...Object.values(routes)
      .filter(isByObject)
      .map((route) => ({ mode: 0, route }))
  ]
  for (const { mode, route } of cases) {
    await lab.run(['sysctl', '-q', '-w', `net.ipv4.nexthop_compat_mode=${mode}`])
    const [family, ...words] = route
    await ip(family, 'route', 'add', ...words)
    const alone = await refusal('ens224')
    expect(alone).toHaveLength(1)
    expect(await refusal('ens224', ...names)).toEqual(alone)
    await ip(family, 'route', 'del', ...words)
  }
  await lab.run(['sysctl', '-q', '-w', 'net.ipv4.nexthop_compat_mode=1'])
  for (const name of names) await ip('link', 'del', 'dev', name)
})

test('a routing table of a hundred thousand routes is not read for one interface', async () => {
  const lines = Array.from({ length: 100_000 }, (_, index) => {
    const [high, low] = [index >> 8, index & 255]
    return `route add 20.${high >> 8}.${high & 255}.${low}/32 dev ens192`
  })
  const file = join(lab.files, 'routes')
  await writeFile(file, `${lines.join('\n')}\nroute add 203.0.113.0/24 dev ens224\n`)
  await ip('link', 'set', 'dev', 'ens224', 'up')
  await ip('-batch', file)
  await writeSpans(lab, 'interfaces: {ens224: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens224}]}}')
  // Bytes are a measure that does not depend on how fast the machine is.
  const sizes = join(lab.files, 'sizes')
  const count = `printf '%s\\n' "$input" | run "$@" | tee -a ${sizes}; exit`
  const { options } = await wrapPrograms(lab, { ip: count })
  const { stderr } = await spanplan(lab, ['plan'], 1, options)
  expect(stderr).toContain('a route through it: 203.0.113.0/24 dev ens224')
  expect((await stat(sizes)).size).toBeLessThan(100_000)
  await ip('route', 'flush', 'root', '20.0.0.0/8')
})
