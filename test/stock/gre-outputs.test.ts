/** What leaves over GRE, as only Debian's own kernel can send it: gretap, and the three types of ERSPAN. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keysOf } from '../../src/keys.ts'
import { kindsFor } from '../lab/frames/every-kind.ts'
import { BROADCAST, ether, filler, ipv4Ping, ipv4Udp, qinq, vlan } from '../lab/frames/frames.ts'
import type { Capture } from '../lab/frames/tcpdump.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach } from '../lab/restored.ts'
import { expectConverged, macOf, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

const stranger = '02:00:00:00:67:01'
const nobody = '02:00:00:00:0a:02'

/** The outputs, and the interface of the switch that each ends in, as ip makes it. */
const receivers = {
  key7: { output: 'gretap: {remote: 10.50.0.1, key: 7}', link: 'gretap key 7' },
  one: { output: 'erspan: {remote: 10.50.0.1, type: 1}', link: 'erspan erspan_ver 0' },
  two: { output: 'erspan: {remote: 10.50.0.1, session: 5}', link: 'erspan key 5 oseq erspan_ver 1' },
  three: { output: 'erspan: {remote: 10.50.0.1, session: 6, type: 3}', link: 'erspan key 6 oseq erspan_ver 2' }
} as const

const names = keysOf(receivers)

const on = (place: 'switch' | 'host', commands: string) => lab.run(['sh', '-ec', commands], { on: place })

/** @param remote the only host that the interface sends to. */
const addReceivers = (remote = '') =>
  on(
    'switch',
    names
      .map(
        (name) => `ip link add dev ${name} type ${receivers[name].link} local 10.50.0.1 ${remote}
ip link set dev ${name} mtu 9000 addrgenmode none
ip link set dev ${name} up`
      )
      .join('\n')
  )
const removeReceivers = () => on('switch', names.map((name) => `ip link del dev ${name}`).join('\n'))

beforeAll(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 1500 },
      { card: 'tap0', mtu: 9000 }
    ]
  })
  await on('switch', 'ip addr add 10.50.0.1/24 dev sw0; sysctl -qw net.ipv4.icmp_ratelimit=0')
  await on('host', 'ip addr add 10.50.0.2/24 dev ens192')
  // While an address is asked for, frames overtake each other.
  const [cable] = lab.cables
  await on('host', `ip neigh replace 10.50.0.1 lladdr ${cable?.portMac} dev ens192`)
  await on('switch', `ip neigh replace 10.50.0.2 lladdr ${cable?.cardMac} dev sw0`)
  await addReceivers()
})
afterAll(() => lab?.close())

// With the module come gre0, gretap0 and erspan0, which stay.
restoreAfterEach(() => lab)

const outputs = names.map((name) => `{${receivers[name].output}}`).join(', ')

/** The interface below is a source, too. */
const write = (more = '') =>
  writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: tap0, direction: ingress}, {interface: ens192}], outputs: [${outputs}]${more}}}`
  )

/** Each frame as often as said, in any order: the emulated processors share the packets of a tunnel. */
async function expectEach(capture: Capture, expected: Readonly<Record<string, Buffer>>, times = 1): Promise<void> {
  const known = new Map(Object.entries(expected).map(([name, frame]) => [frame.toString('hex'), name]))
  const { frames, dropped } = await capture.stop({ count: known.size * times })
  const heard = frames.map((frame) => known.get(frame.toString('hex')) ?? frame.toString('hex'))
  expect(heard.sort()).toEqual([...known.values()].flatMap((name) => Array(times).fill(name)).sort())
  expect(dropped).toBe(0)
}

const captureAll = () => Promise.all(names.map((name) => lab.captureLink(name, { direction: 'in' }, 'switch')))

/** How many frames have left by one of the tunnels. */
async function countFrames(): Promise<number> {
  const links = JSON.parse(await on('host', 'ip -s -j link show type gretap'))
  const [link] = links.filter(({ ifname }: { ifname: string }) => ifname.startsWith('gretap-'))
  return link.stats64.tx.packets
}

test('each frame of each kind leaves once, byte for byte, and nothing of the host does; nothing comes back', async () => {
  await write()
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/erspan type 3, session 6, remote 10\.50\.0\.1; .* let GRE \(IP protocol 47\) out/)
  expect(stdout).toContain('all but what outputs send')
  await expectConverged(lab)
  const links = /(?:gretap|erspan)-\w{8}/g
  const devices = ['tap0', 'ens192', 'span0', ...new Set(stdout.match(links))]
  expect(devices).toHaveLength(7)
  const macs = await Promise.all(devices.map((device) => macOf(lab, device)))
  const frames = kindsFor(
    stranger,
    Object.fromEntries(devices.map((device, index) => [`to ${device}`, macs[index] ?? '']))
  )
  const captures = await captureAll()
  await lab.send(Object.values(frames), 'sw1', 'switch')
  for (const capture of captures) await expectEach(capture, frames)
  // What the tunnels send is not copied into them.
  expect(await countFrames()).toBeLessThan(60)
  const { stdout: status } = await spanplan(lab, ['status', '--for', '1s'])
  expect(status).toMatch(/ {2}output +erspan session 5 to 10\.50\.0\.1 /)
  expect(status).toContain('span0: healthy')

  await removeReceivers()
  await addReceivers('remote 10.50.0.2')
  const bridge = await lab.captureLink('span0', { direction: 'in' })
  // The interface below is a source: that a packet comes is copied, as all that it receives.
  const answers = await lab.captureLink('ens192', { direction: 'out', expression: 'not ip proto 47' })
  for (const name of names) await lab.send([ether(BROADCAST, stranger, filler(100))], name, 'switch')
  expect((await bridge.stop({ seconds: 1 })).frames).toEqual([])
  expect((await answers.stop({ seconds: 0 })).frames).toEqual([])
  const [{ stats64: received }] = JSON.parse(await on('host', `ip -s -j link show dev ${devices.at(-1)}`))
  expect(received.rx.packets).toBe(1)
  await removeReceivers()
  await addReceivers()
})

test('frames as large as the span takes leave whole, with tags and DF, and another spanplan takes them', async () => {
  await write(', mtu: 1500')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const largest = ipv4Udp({ source: '192.0.2.1', destination: '192.0.2.2', data: filler(1486).bytes })
  // Do not fragment (RFC 791).
  largest.bytes.writeUInt16BE(0x4000, 6)
  const frames = {
    untagged: ether(nobody, stranger, largest),
    VLAN: ether(nobody, stranger, vlan(10, largest)),
    QinQ: ether(nobody, stranger, qinq(100, 10, largest)),
    'ICMP without data': ether(nobody, stranger, ipv4Ping({ source: '192.0.2.1', destination: '192.0.2.2' }))
  }
  const captures = await captureAll()
  await lab.send(Object.values(frames), 'sw1', 'switch')
  for (const capture of captures) await expectEach(capture, frames)
  // Somebody changes how a tunnel sends.
  await on(
    'host',
    `name=$(ip -o link show type gretap | sed -n 's/.*\\(gretap-[0-9a-f]*\\)@.*/\\1/p')
ip link set dev $name type gretap remote 10.50.0.1 key 7 ttl 1 nopmtudisc ignore-df`
  )
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/-\/\+ tunnel +gretap-\w{8} +options: ttl, 1 → none/)
  await expectConverged(lab)

  // The other host.
  await removeReceivers()
  await on(
    'switch',
    'ip link add dev out0 type veth peer name out1; ip link set dev out1 mtu 9000 addrgenmode none; ip link set dev out1 up'
  )
  const file = join(lab.files, 'there.yaml')
  await writeFile(
    file,
    `version: 1
spans:
  there:
    mtu: 9000
    sources:
      - gretap: {local: 10.50.0.1, key: 7}
      - erspan: {local: 10.50.0.1, type: 1}
      - erspan: {local: 10.50.0.1, session: 5}
      - erspan: {local: 10.50.0.1, session: 6, type: 3}
    outputs:
      - interface: out0
`
  )
  const there = { through: ['nsenter', `--net=/run/netns/${lab.name}-sw`] }
  await spanplan(lab, ['apply', '--yes', '-f', file], 0, there)
  const tool = await lab.captureLink('out1', { direction: 'in' }, 'switch')
  await lab.send(Object.values(frames), 'sw1', 'switch')
  await expectEach(tool, frames, names.length)
  await spanplan(lab, ['destroy', '--all', '--yes'], 0, there)
  await on('switch', 'ip link del dev out0')
  await addReceivers()
})

test('that nobody takes it at the remote host is not sent there again and again', async () => {
  await write()
  await removeReceivers()
  await spanplan(lab, ['apply', '--yes'])
  const errors = await lab.captureLink('ens192', { direction: 'in', expression: 'icmp' })
  await lab.send([ether(BROADCAST, stranger, filler(100))], 'sw1', 'switch')
  expect((await errors.stop({ seconds: 2 })).frames).toHaveLength(names.length)
  expect(await countFrames()).toBe(1)
  await addReceivers()
})
