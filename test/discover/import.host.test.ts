/** What is imported copies the same frames as the mirrors that were found, on a real kernel. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compileCommand, parseCompiled } from '../../src/host/parsers/pcap.ts'
import { batchLine } from '../../src/host/quote-command.ts'
import { everyFrame } from '../../src/host/tc-conventions.ts'
import { writeMirror } from '../../src/host/write-filters.ts'
import type { SpanSpec } from '../../src/spec/items/span-item.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { directionKeys } from '../../src/spec/values/direction.ts'
import {
  ALL_HOSTS_GROUP,
  arp,
  BROADCAST,
  ether,
  filler,
  igmpQuery,
  ipv4Udp,
  ipv6Udp,
  LLDP_GROUP,
  lldp,
  mpls,
  qinq,
  vlan
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

const CLIENT = '02:00:00:00:0a:01'
const OTHER = '06:00:00:00:0b:02'

const datagram = (source: string, destination: string, port = 53) =>
  ipv4Udp({ source, destination, destinationPort: port, data: Buffer.from(`to ${destination}`) })

const inside = datagram('10.0.0.5', '192.0.2.1')
const who = arp({
  operation: 'request',
  senderMac: CLIENT,
  senderIp: '10.0.0.5',
  targetMac: BROADCAST,
  targetIp: '10.0.0.9'
})

/** The frame with two tags, the outer one of 802.1ad. */
const inBoth = 'from the network, in VLAN 20 of VLAN 10'

/** By name, so that a failure says which frame it was. */
const frames: Readonly<Record<string, Buffer>> = {
  'from the network': ether(OTHER, CLIENT, inside),
  'from the network, in VLAN 10': ether(OTHER, CLIENT, vlan(10, inside)),
  [inBoth]: ether(OTHER, CLIENT, qinq(10, 20, inside)),
  'from elsewhere': ether(OTHER, CLIENT, datagram('192.0.2.7', '10.0.0.5')),
  'from elsewhere, to port 22': ether(CLIENT, OTHER, datagram('192.0.2.7', '10.9.0.5', 22)),
  'from elsewhere, in VLAN 10': ether(CLIENT, OTHER, vlan(10, datagram('192.0.2.7', '192.0.2.8', 22))),
  IGMP: ether(ALL_HOSTS_GROUP, OTHER, igmpQuery('192.0.2.7')),
  IPv6: ether(OTHER, CLIENT, ipv6Udp({ source: '2001:db8::1', destination: '2001:db8::2', data: Buffer.from('six') })),
  'IPv6 of another': ether(
    OTHER,
    CLIENT,
    ipv6Udp({ source: 'fd00::1', destination: 'fd00::2', data: Buffer.from('6') })
  ),
  ARP: ether(BROADCAST, CLIENT, who),
  'ARP of another': ether(BROADCAST, OTHER, who),
  LLDP: ether(LLDP_GROUP, OTHER, lldp(OTHER, 'port 1')),
  MPLS: ether(OTHER, CLIENT, mpls([17], filler(60).bytes)),
  'an unknown protocol': ether(OTHER, CLIENT, filler(200)),
  'a long one': ether(OTHER, OTHER, filler(1400, 3))
}

/** tc's words for the filters of one bridge, and what they become; null: every frame, with the reason in a comment. */
const cases: readonly (readonly [filters: readonly string[], expression: string | null])[] = [
  [['protocol all u32 match u32 0 0'], null],
  [[`protocol all bpf bytecode ${everyFrame.replaceAll(' ', '_')}`], null],
  [['protocol ip u32 match u32 0 0'], 'ip and not vlan'],
  [['protocol ipv6 u32 match u32 0 0'], 'ip6 and not vlan'],
  [['protocol arp u32 match u32 0 0'], 'arp and not vlan'],
  [['protocol LLDP u32 match u32 0 0'], 'ether proto 0x88cc and not vlan'],
  [['protocol 802.1Q u32 match u32 0 0'], 'vlan'],
  [['protocol ip u32 match ip src 10.0.0.0/24'], 'ip src net 10.0.0.0/24 and not vlan'],
  [['protocol ip u32 match ip dst 10.0.0.5'], 'ip dst host 10.0.0.5 and not vlan'],
  [
    ['protocol ip u32 match ip protocol 17 0xff match ip dport 22 0xffff'],
    'ip proto 17 and ip[22:2] = 0x0016 and not vlan'
  ],
  [['protocol ip u32 match u32 0x0a000005 0xff0000ff at 12'], 'ip[12:4] & 0xff0000ff = 0x0a000005 and not vlan'],
  [['protocol ip u32 match u16 0x0200 0xff00 at -8'], 'ip and ether[6] = 0x02 and not vlan'],
  [['protocol ipv6 u32 match ip6 src 2001:db8::/32'], 'ip6[8:4] = 0x20010db8 and not vlan'],
  [['protocol all u32 match ether src 02:00:00:00:0a:01'], 'ether[6:4] = 0x02000000 and ether[10:2] = 0x0a01'],
  [
    ['protocol ip u32 match ip src 10.0.0.0/24', 'protocol arp u32 match u32 0 0'],
    '((ip src net 10.0.0.0/24) or (arp)) and not vlan'
  ],
  [
    ['protocol all u32 match u16 0x0600 0xff00 at -8', 'protocol ipv6 u32 match u32 0 0'],
    '(ether[6] = 0x06) or (ip6 and not vlan)'
  ],
  [
    ['protocol all u32 match u32 0x01010101 0xffffffff at 800', 'protocol arp u32 match u32 0 0'],
    '(greater 818 and ether[814:4] = 0x01010101) or (arp and not vlan)'
  ],
  [
    ['protocol 802.1Q u32 match u32 0 0', 'protocol ip u32 match ip src 10.0.0.0/24'],
    '(ip src net 10.0.0.0/24) or (vlan)'
  ]
]

const bridgesOf = (index: number) => ({ found: `found${index}`, made: `made${index}` })

const mirrorTo = (bridge: string) => ['action', 'mirred', 'egress', 'mirror', 'dev', bridge, 'continue']

let lab: Lab

const tc = (...argv: string[]) => lab.run(['tc', ...argv])

beforeEach(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 1500 },
      { card: 'ens224', mtu: 1500 }
    ]
  })
})
afterEach(() => lab?.close())

/** A bridge has a carrier once a port of it is up. */
async function addBridges(names: readonly string[]): Promise<void> {
  const lines = names.flatMap((name, index) => [
    `link add dev ${name} address 0a:00:00:00:00:${index.toString(16).padStart(2, '0')} type bridge mcast_snooping 0`,
    `link set dev ${name} addrgenmode none`,
    `link add name p${name} type veth peer name q${name}`,
    ...[`p${name}`, `q${name}`].map((port) => `link set dev ${port} addrgenmode none`),
    `link set dev p${name} master ${name}`,
    ...[name, `p${name}`, `q${name}`].map((link) => `link set dev ${link} up`)
  ])
  await lab.run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** Imports, and checks that the file is valid, and nothing changed. */
async function importSpans(...options: string[]): Promise<{ text: string; spans: readonly SpanSpec[] }> {
  const before = await lab.snapshotText()
  const { stdout } = await spanplan(lab, ['import', ...options])
  expect(await lab.snapshotText()).toBe(before)
  await writeFile(join(lab.files, 'imported.yaml'), stdout)
  await spanplan(lab, ['validate', '-f', 'imported.yaml'])
  return { text: stdout, spans: loadSpec([{ path: 'imported.yaml', bytes: Buffer.from(stdout) }]).spans }
}

test.each([
  ['ingress', 'sw0'],
  ['egress', 'ens192']
] as const)('at %s, an expression takes the same frames as the filters that it is made of', async (hook, from) => {
  await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
  await addBridges(cases.flatMap((_, index) => Object.values(bridgesOf(index))))
  let pref = 100
  for (const [index, [filters]] of cases.entries()) {
    for (const filter of filters) {
      const words = filter.split(' ').map((word) => word.replaceAll('_', ' '))
      await tc(
        'filter',
        'add',
        'dev',
        'ens192',
        hook,
        'pref',
        String(pref++),
        ...words,
        ...mirrorTo(bridgesOf(index).found)
      )
    }
  }
  const { spans } = await importSpans()
  const found = cases.map((_, index) => spans.find(({ name }) => name === bridgesOf(index).found)?.sources)
  expect(found).toMatchObject(
    cases.map(([, expression]) => [
      { interface: 'ens192', directions: directionKeys[hook], filter: expression && { expression } }
    ])
  )

  for (const [index, [, expression]] of cases.entries()) {
    const program = expression === null ? everyFrame : await compile(expression)
    const mirror = {
      device: 'ens192',
      tcHook: hook,
      handle: index + 1,
      program,
      target: bridgesOf(index).made,
      cookie: '00'
    }
    await lab.run(['tc', '-batch', '-'], { input: `${batchLine(writeMirror(mirror))}\n` })
  }
  const captures = await Promise.all(
    cases.map(async (_, index) => {
      const { found, made } = bridgesOf(index)
      return [await lab.captureLink(found), await lab.captureLink(made)] as const
    })
  )
  await lab.send(Object.values(frames), from)
  const counts = () => captures.map((pair) => pair.map((capture) => capture.frames.length))
  await until('each bridge has frames', async () =>
    counts()
      .flat()
      .every((count) => count > 0)
  )
  for (const [index, [filters, expression]] of cases.entries()) {
    const heard = await Promise.all((captures[index] ?? []).map((capture) => capture.stop()))
    // The differences of which the file tells: no expression leaves 802.1ad out, or counts from behind a tag.
    const behind = hook === 'egress' && filters.some((filter) => /^protocol all u32 match (?!u32 0 0)/.test(filter))
    const anyTag = /(?<!not )vlan\)?$/.test(expression ?? '')
    const told = Object.keys(frames).filter((name) => (behind && /VLAN/.test(name)) || (anyTag && name === inBoth))
    const [before = [], after = []] = heard.map((one) =>
      Object.keys(frames).filter(
        (name) => !told.includes(name) && one.frames.some((frame) => frames[name]?.equals(frame))
      )
    )
    expect({ filters, frames: after }).toEqual({ filters, frames: before })
    expect(before).not.toEqual([])
  }
})

async function compile(expression: string): Promise<string> {
  const stdout = await lab.run(compileCommand(expression))
  const compiled = parseCompiled(expression, { stdout, stderr: '', status: 0 })
  return compiled.state === 'compiled' ? compiled.program : ''
}

test('u32 at both hooks, which the kernel shows as one', async () => {
  await addBridges(['br0', 'br1'])
  await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
  const match = (network: string) => ['pref', '7', 'protocol', 'ip', 'u32', 'match', 'ip', 'src', network]
  await tc('filter', 'add', 'dev', 'ens192', 'egress', ...match('10.1.0.0/16'), ...mirrorTo('br0'))
  await tc('filter', 'add', 'dev', 'ens192', 'ingress', ...match('10.2.0.0/16'), ...mirrorTo('br0'))
  await tc('filter', 'add', 'dev', 'ens192', 'ingress', ...match('10.3.0.0/16'), ...mirrorTo('br1'))
  const { spans } = await importSpans()
  const sources = spans.map(({ name, sources: of }) => [
    name,
    ...of.map(({ directions, filter }) => `${directions}: ${filter?.expression}`)
  ])
  expect(sources).toEqual([
    ['br0', 'received: ip src net 10.2.0.0/16 and not vlan', 'sent: ip src net 10.1.0.0/16 and not vlan'],
    ['br1', 'received: ip src net 10.3.0.0/16 and not vlan']
  ])
})

test('the old ingress qdisc, and a classful root: what cannot be said is said in comments', async () => {
  await addBridges(['br0'])
  await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'mtu', '1400'])
  await tc('qdisc', 'add', 'dev', 'ens224', 'ingress')
  await tc('qdisc', 'add', 'dev', 'ens224', 'root', 'handle', '1:', 'htb')
  await tc('class', 'add', 'dev', 'ens224', 'parent', '1:', 'classid', '1:10', 'htb', 'rate', '1gbit')
  const all = ['protocol', 'all', 'u32', 'match', 'u32', '0', '0']
  await tc('filter', 'add', 'dev', 'ens224', 'ingress', 'pref', '1', ...all, ...mirrorTo('br0'))
  const sorted = ['parent', '1:', 'pref', '2', ...all, 'flowid', '1:10']
  await tc('filter', 'add', 'dev', 'ens224', ...sorted, ...mirrorTo('br0'))
  const program = await compile('port 22')
  await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
  const compiled = ['protocol', 'all', 'bpf', 'bytecode', program]
  await tc('filter', 'add', 'dev', 'ens192', 'egress', 'pref', '3', ...compiled, ...mirrorTo('br0'))
  await tc('filter', 'add', 'dev', 'ens192', 'egress', 'pref', '4', ...all, ...mirrorTo('ens224'))

  const { text, spans } = await importSpans()
  expect(spans).toMatchObject([
    {
      name: 'br0',
      sources: [
        { interface: 'ens192', directions: ['sent'], filter: null },
        { interface: 'ens224', directions: ['received', 'sent'], filter: null }
      ],
      network: null,
      mtu: 'auto'
    }
  ])
  const length = Number.parseInt(program, 10)
  expect(text).toContain(`its program of ${length} instructions cannot be turned back into an expression`)
  expect(text).toContain('# THIS COPIES EVERY FRAME: put your expression here')
  expect(text).toContain('# ens224 parent 1:, u32 filter at preference 2: it also sorts frames into class 1:10')
  expect(text).toContain('# ens192 egress, u32 filter at preference 4: copies to ens224: it is not a bridge')
})

test('a host without mirrors, for anybody', async () => {
  const { text, spans } = await importSpans()
  expect(spans).toEqual([])
  expect(text).toMatch(/^spans: \{\}$/m)
  const { stdout } = await spanplan(lab, ['import'], 0, {
    through: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
  })
  expect(stdout).toContain('There are no mirrors')
})

test('what spanplan made itself, with its name', async () => {
  await writeSpans(lab, 'name: sensor-7\nspans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
  const { text, spans } = await importSpans()
  expect(text).toMatch(/^name: sensor-7$/m)
  expect(spans).toMatchObject([
    { name: 'span0', sources: [{ interface: 'ens192', directions: ['received', 'sent'], filter: null }] }
  ])
  await spanplan(lab, ['plan', '-f', 'imported.yaml', '--detailed-exitcode'])
})

test('what spanplan made for several names: a file for each, which changes nothing', async () => {
  await writeSpans(lab, 'name: a\nspans: {a0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
  await writeSpans(lab, 'name: b\nspans: {b0: {sources: [{interface: ens192}, {interface: ens224}]}}')
  await spanplan(lab, ['apply'])
  const { text, spans } = await importSpans()
  expect(spans.map(({ name }) => name)).toEqual(['a0'])
  const [command = ''] = /spanplan import --name \S+/.exec(text) ?? []
  await spanplan(lab, ['plan', '-f', 'imported.yaml', '--detailed-exitcode'])
  const [, ...args] = command.split(' ')
  const others = await importSpans(...args.slice(1))
  expect(others.spans.map(({ name }) => name)).toEqual(['b0'])
  await spanplan(lab, ['plan', '-f', 'imported.yaml', '--detailed-exitcode'])
})

test('what spanplan made with outputs: what its tunnels send is no filter of a source', async () => {
  await lab.run(['ip', 'addr', 'add', '10.50.0.2/24', 'dev', 'ens192'])
  await writeSpans(
    lab,
    `spans:
  span0:
    sources: [{interface: ens192}, {interface: ens224, direction: ingress}]
    outputs: [{vxlan: {id: 42, remote: 10.50.0.9}}, {vxlan: {id: 7, remote: 10.50.0.1, port: 4790}}]`
  )
  await spanplan(lab, ['apply'])
  const { text, spans } = await importSpans()
  expect(text).not.toContain('THIS COPIES EVERY FRAME')
  expect(spans).toMatchObject([
    {
      sources: [
        { interface: 'ens192', filter: null },
        { interface: 'ens224', filter: null }
      ],
      outputs: [{ kind: 'vxlan' }, { kind: 'vxlan' }]
    }
  ])
  await spanplan(lab, ['plan', '-f', 'imported.yaml', '--detailed-exitcode'])
})
