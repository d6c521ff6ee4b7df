/** A VXLAN as an output: another host gets every frame of the span once, and never what the tunnel itself sends. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { examine, findingsOf } from '../lab/commands/doctor.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import {
  ALL_HOSTS_GROUP,
  BROADCAST,
  ether,
  filler,
  icmpError,
  ipv4Ping,
  ipv4Udp,
  ipv6Udp,
  LLDP_GROUP,
  STP_GROUP
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach, runnersOf, wordsOf } from '../lab/restored.ts'
import { expectConverged, expectFrames, expectRefusal, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab

const stranger = '02:00:00:00:57:01'
const nobody = '02:00:00:00:0a:02'

const { onHost, onSwitch } = runnersOf(() => lab)

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192', mtu: 1500 }] })
  await onSwitch('ip addr add 10.50.0.1/24 dev sw0')
  await onHost('ip addr add 10.50.0.2/24 dev ens192')
  await onSwitch('ip addr add fd50::1/64 dev sw0 nodad')
  await onHost('ip addr add fd50::2/64 dev ens192 nodad')
  await onSwitch('ip link add dev six0 type vxlan id 46 local fd50::1 dstport 4789 nolearning')
  for (const words of ['mtu 9000', 'addrgenmode none', 'up']) await onSwitch(`ip link set dev six0 ${words}`)
  await onSwitch('ip link add dev in0 type vxlan id 42 local 10.50.0.1 dstport 4789 nolearning')
  for (const words of ['mtu 9000', 'addrgenmode none', 'up']) await onSwitch(`ip link set dev in0 ${words}`)
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

const write = (vxlan: string, source = 'interface: ens192') =>
  writeSpans(lab, `spans: {span0: {sources: [{${source}}], outputs: [{vxlan: {${vxlan}}}]}}`)

const usual = 'id: 42, remote: 10.50.0.1'

const { bytes: quoted } = ipv4Udp({
  ...{ source: '192.0.2.2', destination: '192.0.2.3', destinationPort: 4789 },
  data: Buffer.alloc(400, 65)
})

const frames = {
  'unknown unicast': ether(nobody, stranger, filler(100)),
  broadcast: ether(BROADCAST, stranger, filler(101)),
  multicast: ether(ALL_HOSTS_GROUP, stranger, filler(102)),
  LLDP: ether(LLDP_GROUP, stranger, filler(103)),
  STP: ether(STP_GROUP, stranger, filler(104)),
  'ICMP without data': ether(nobody, stranger, ipv4Ping({ source: '192.0.2.1', destination: '192.0.2.2' })),
  // As it is said of a packet to the tunnel's port, but not to the tunnel's other end.
  'ICMP of others': ether(nobody, stranger, icmpError({ source: '192.0.2.1', destination: '192.0.2.2' }, { quoted })),
  '14 bytes': ether(nobody, stranger, filler(14)),
  '60 bytes': ether(nobody, stranger, filler(60)),
  '1464 bytes': ether(nobody, stranger, filler(1464)),
  '1514 bytes': ether(nobody, stranger, filler(1514))
}

/** The frames that have left by the tunnel. */
async function countSent(): Promise<number> {
  const [{ stats64: sent }] = JSON.parse(await onHost('ip -s -j link show type vxlan'))
  return sent.tx.packets
}

const heard = () => lab.captureLink('in0', { direction: 'in', expression: `ether src ${stranger}` }, 'switch')

test('another host gets each frame once, also where the source carries the tunnel; a destroy leaves nothing', async () => {
  await write(usual)
  const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/\+ +mirror +ens192 ingress → vxlan-3d98b18a/)
  expect(stdout).toMatch(/\+ +tunnel +vxlan-\w+ +vxlan 42, UDP port 4789, remote 10\.50\.0\.1; .* firewall .* out/)
  expect(stdout).toContain('all but what outputs send')
  expect(stderr).toContain('frames of span0 with more than 1450 bytes leave by vxlan 42 in fragments')
  await expectConverged(lab)
  const all = await heard()
  await lab.send(Object.values(frames))
  await expectFrames(all, frames)
  // What the tunnel sends is not copied into it.
  expect(await countSent()).toBeLessThan(30)
  const { stdout: status } = await spanplan(lab, ['status', '--for', '1s'])
  expect(status).toMatch(/ {2}output +vxlan 42 /)
  expect(status).toContain('span0: healthy')
})

test('a firewall that keeps in what the tunnel sends: the command of the doctor lets it out', async () => {
  const rules = 'type filter hook output priority filter; policy drop; icmpv6 type { nd-neighbor-solicit } accept;'
  await lab.run(['nft', '-f', '-'], { input: `table inet filter { chain output { ${rules} }; }` })
  await write(usual)
  await spanplan(lab, ['apply', '--yes'])
  const all = await heard()
  await lab.send([frames.broadcast])
  const [{ message, command } = { message: '', command: null }] = findingsOf(await examine(lab), 'firewall', 'warning')
  expect(message).toContain('the chain output of the table inet filter drops what leaves to UDP port 4789 of 10.50.0.1')
  await lab.run(['sh', '-c', command ?? 'false'])
  await lab.send([frames.multicast])
  await expectFrames(all, { multicast: frames.multicast })
  expect(findingsOf(await examine(lab), 'firewall', 'ok')).toMatchObject([
    { message: 'each chain of nftables lets out what outputs send' }
  ])
  await onHost('nft delete table inet filter')
})

test('what is too large for the way leaves in fragments, also IPv6 and IPv4 that must not be fragmented', async () => {
  await write(usual)
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain(
    'frames of span0 with more than 1450 bytes leave by vxlan 42 in fragments: with the 50 bytes that it adds'
  )
  const ends = { source: '192.0.2.1', sourcePort: 1, destination: '192.0.2.2', destinationPort: 9 }
  const large = ether(nobody, stranger, ipv4Udp({ ...ends, data: Buffer.alloc(1472) }))
  const whole = Buffer.from(large)
  // The flag, and the checksum of the header.
  whole.writeUInt16BE(0x4000, 20)
  whole.writeUInt16BE((large.readUInt16BE(24) + 0xffff - 0x4000) % 0xffff, 24)
  const ends6 = { ...ends, source: 'fd00::1', destination: 'fd00::2' }
  const large6 = ether(nobody, stranger, ipv6Udp({ ...ends6, data: Buffer.alloc(1452) }))
  const all = await heard()
  const back = await lab.captureLink('vxlan-3d98b18a', { direction: 'in' })
  await lab.send([large, whole, large6, frames.broadcast])
  await expectFrames(all, { large, whole, large6, broadcast: frames.broadcast })
  // The kernel answers none of these.
  expect((await back.stop({ seconds: 1 })).frames).toEqual([])
})

test('what the host itself sends stays as large as it was', async () => {
  await write(usual)
  await spanplan(lab, ['apply', '--yes'])
  const all = await lab.captureLink('in0', { direction: 'in', expression: 'udp port 9' }, 'switch')
  await lab.run(['bash', '-c', 'head -c 1472 /dev/zero >/dev/udp/10.50.0.1/9'])
  const { frames: copies } = await all.stop({ count: 1 })
  expect(copies.map(({ length }) => length)).toEqual([1514])
  // The kernel knows of no smaller way to that host.
  expect(await onHost('ip route get 10.50.0.1')).not.toContain('mtu')
})

test('one that an earlier version has made a port of the bridge comes off it, and no frame is lost or comes twice', async () => {
  await write(usual)
  await spanplan(lab, ['apply', '--yes'])
  const link = 'vxlan-3d98b18a'
  for (const tcHook of ['ingress', 'egress']) {
    const filters: {
      readonly options?: { readonly handle: string; readonly actions: [{ readonly to_dev: string }] }
    }[] = JSON.parse(await onHost(`tc -j filter show dev ens192 ${tcHook}`))
    const feed = filters.find(({ options }) => options?.actions[0].to_dev === link)
    await onHost(`tc filter del dev ens192 ${tcHook} pref 8 handle ${feed?.options?.handle} bpf`)
  }
  const seal = `tc filter replace dev ${link} ingress protocol all pref 9 handle`
  await lab.run([...wordsOf(`${seal} 0x591aa598 bpf da classid 5dc:5451 bytecode`), '1,6 0 0 2'])
  await onHost(`tc filter del dev ${link} ingress pref 9 handle 0x7357a598 bpf`)
  await onHost(`sysctl -q -w net.ipv6.conf.${link}.disable_ipv6=1`)
  await onHost(`ip link set dev ${link} master span0`)
  await onHost(`ip link set dev ${link} type bridge_slave isolated on learning off`)
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/- +output +vxlan 42 → span0/)
  expect(stdout).toMatch(/\+ +mirror +ens192 ingress → vxlan-3d98b18a/)
  await expectConverged(lab)
  expect(await onHost(`ip -br link show master span0`)).toBe('')
  const all = await heard()
  await lab.send(Object.values(frames))
  await expectFrames(all, frames)
})

test('what comes back by the tunnel gets nowhere', async () => {
  await write(usual)
  await spanplan(lab, ['apply', '--yes'])
  await onSwitch('bridge fdb append 00:00:00:00:00:00 dev in0 dst 10.50.0.2')
  const bridge = await lab.captureLink('span0', { direction: 'in' })
  await lab.send(Object.values(frames).slice(0, 5), 'in0', 'switch')
  expect((await bridge.stop({ seconds: 1 })).frames).toEqual([])
  await onSwitch('bridge fdb del 00:00:00:00:00:00 dev in0 dst 10.50.0.2')
})

test('a remote host without a route is waited for; what is there stays', async () => {
  await write('id: 42, remote: 10.60.0.1')
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toContain('waits for a route to 10.60.0.1')
  await write(usual)
  await using watch = await startWatch(lab)
  await watch.settle()
  await onHost('ip link del dev vxlan-3d98b18a')
  await watch.settle()
  await expectConverged(lab)
  const one = { one: frames.broadcast }
  const capture = await heard()
  await lab.send([frames.broadcast])
  await expectFrames(capture, one)
  await watch.stop()
})

test.each([
  ['the tunnel', 'vxlan-3d98b18a'],
  ['the bridge', 'span0']
])('%s that goes in the middle of an apply is made again, and then what failed without it', async (_, device) => {
  const bridged = '{sources: [{interface: ens192}]}'
  await writeSpans(
    lab,
    `spans: {span0: ${bridged}, span1: {sources: [{interface: ens192}], outputs: [{vxlan: {${usual}}}]}}`
  )
  const gone = join(lab.files, `gone-${device}`)
  const { options } = await wrapPrograms(lab, {
    tc: `case "$*$input" in *-batch*mirred*) mkdir ${gone} && ip link del dev ${device} ;; esac 2>&-`
  })
  await spanplan(lab, ['apply', '--yes'], 0, options)
  expect(existsSync(gone)).toBe(true)
  await expectConverged(lab)
  const one = { one: frames.broadcast }
  const capture = await heard()
  await lab.send([frames.broadcast])
  await expectFrames(capture, one)
})

test('while the cable to the remote host is pulled, the others have the share of a tunnel; without others, the status says it', async () => {
  await onHost('ip link add p7 type veth peer name q7')
  await onHost('ip addr add 10.52.0.2/24 dev p7')
  for (const name of ['p7', 'q7']) await onHost(`ip link set dev ${name} up`)
  const far = '{vxlan: {id: 42, remote: 10.52.0.1}}'
  const sources = 'sources: [{interface: ens192, direction: ingress}]'
  const balance = `balance: [${far}, {vxlan: {id: 43, remote: 10.50.0.1}}]`
  await writeSpans(lab, `spans: {span0: {${sources}, sensors: [{${balance}}]}}`)
  await using watch = await startWatch(lab, ['--interval', '1h'])
  const countMirrors = async () => (await onHost('tc filter show dev ens192 ingress')).split('mirred').length - 1
  await until('both get a share', async () => (await countMirrors()) === 2)
  await onHost('ip link set dev q7 down')
  await until('one has all', async () => (await countMirrors()) === 1)
  await onHost('ip link set dev q7 up')
  await until('both get a share again', async () => (await countMirrors()) === 2)
  await watch.stop()
  await writeSpans(lab, `spans: {span0: {${sources}, outputs: [${far}]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await onHost('ip link set dev q7 down')
  expect((await lab.spanplan(['status'])).stdout).toMatch(
    /span0: NOT HEALTHY, vxlan 42 sends nothing: the interface that leads to its\s+host has no carrier \(p7\)/
  )
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link del dev p7')
})

test('a watch sees at once that the way to the remote host now leads into a tunnel, whose packets would be copied again', async () => {
  await onHost('ip route add 10.99.0.1 via 10.50.0.1')
  await write('id: 42, remote: 10.99.0.1')
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const isAttached = async () => (await onHost('tc filter show dev ens192 ingress')).includes('vxlan-')
  expect(await isAttached()).toBe(true)
  await onHost('ip tuntap add dev tun7 mode tun')
  await onHost('ip link set dev tun7 up')
  await onHost('ip route replace 10.99.0.1 dev tun7')
  await until('it is taken off', async () => !(await isAttached()))
  await onHost('ip route replace 10.99.0.1 via 10.50.0.1')
  await until('it is back', isAttached)
  await watch.stop()
  await onHost('ip link del dev tun7')
  await onHost('ip route del 10.99.0.1')
})

test('another remote host, a filter of the file, and what is refused', async () => {
  await write(usual, 'interface: ens192, filter: ether proto 0x88cc or ether broadcast')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const capture = await heard()
  await lab.send([frames.LLDP, frames['unknown unicast'], frames.broadcast])
  await expectFrames(capture, { broadcast: frames.broadcast })
  await write('id: 42, remote: 10.50.0.7')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await write('id: 42, remote: 10.50.0.2')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('is an address of this host')
  await write('id: 42, remote: 10.50.0.255')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('is the broadcast address of ens192')
  await write(usual)
  await spanplan(lab, ['apply', '--yes'])
  await onHost('ip addr add 192.0.2.1/24 dev vxlan-3d98b18a')
  const used = 'vxlan-3d98b18a, the interface of vxlan 42, has the address 192.0.2.1/24, so the host uses it'
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(used)
  const seen = await lab.spanplan(['status', '--for', '10ms'])
  expect(seen.stdout.replace(/\s+/g, ' ')).toContain(used)
  await onHost('ip addr del 192.0.2.1/24 dev vxlan-3d98b18a')
  await expectConverged(lab)
  await write(`${usual}, local: 10.9.9.9`)
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('the host has no address 10.9.9.9')
})

test('that nobody listens at the remote host is not sent there again and again', async () => {
  await write('id: 42, remote: 10.50.0.1, port: 4999')
  await onSwitch('sysctl -q -w net.ipv4.icmp_ratelimit=0')
  await spanplan(lab, ['apply', '--yes'])
  await lab.send(Object.values(frames))
  const first = await countSent()
  await lab.send([frames.broadcast])
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect((await countSent()) - first).toBeLessThan(8)
})

test('one that comes to a live span, and goes again, copies nothing again and again', async () => {
  const stop = await lab.keepSending(frames.broadcast)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], outputs: [{interface: other0}]}}')
  await onHost('ip link add dev other0 type veth peer name other1')
  await spanplan(lab, ['apply', '--yes'])
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192}], outputs: [{interface: other0}, {vxlan: {${usual}}}]}}`
  )
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect((await spanplan(lab, ['import'])).stdout).toContain('- vxlan:\n          id: 42\n          remote: 10.50.0.1')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], outputs: [{interface: other0}]}}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const [{ stats64: sent }] = JSON.parse(await onHost('ip -s -j link show dev span0'))
  await stop()
  expect(sent.tx.packets).toBeLessThan(2000)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link del dev other0')
})

test('over IPv6, each once, but for the largest frames, of which the plan warns', async () => {
  await write('id: 46, remote: fd50::1, local: fd50::2')
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain('frames of span0 with more than 1430 bytes do not leave by vxlan 46')
  await expectConverged(lab)
  const capture = await lab.captureLink('six0', { direction: 'in', expression: `ether src ${stranger}` }, 'switch')
  await lab.send(Object.values(frames))
  const { '1464 bytes': _, '1514 bytes': __, ...small } = frames
  await expectFrames(capture, small)
  expect(await countSent()).toBeLessThan(60)
})
