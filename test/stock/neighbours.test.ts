/** What else is at work on a host, and what only Debian's own kernel has of it: Open vSwitch and br_netfilter. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { ether, filler, ipv4Udp, STP_GROUP, stp, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  awaitNftables,
  expectConverged,
  expectFrames,
  expectFramesInAnyOrder,
  listenBeside,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'
import { startOpenVSwitch } from '../lab/system/open-vswitch.ts'

const STRANGER = '02:00:00:00:0a:01'
const NOBODY = '02:00:00:00:0a:02'

let lab: Lab
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  zeek = await lab.startListener('zeek')
})
afterAll(() => lab?.close())
afterEach(() => spanplan(lab, ['destroy', '--all', '--yes']))

const run = (commands: string) => lab.run(['sh', '-ec', commands])

async function apply(): Promise<void> {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [zeek]}}')
  await spanplan(lab, ['apply', '--yes'])
}

const frames = Array.from({ length: 10 }, (_, index) => ether(NOBODY, STRANGER, filler(100, index)))
const named = (some: readonly Buffer[]) => Object.fromEntries(some.map((frame, index) => [`frame ${index}`, frame]))

test('where bridges hand their frames to iptables (br_netfilter), no copy is one: none is dropped, counted, or sent to the host', async () => {
  await run(`sysctl -qw net.bridge.bridge-nf-call-iptables=1
ip addr add 192.0.2.1/24 dev ens224
ip link add name br9 type bridge
for end in a b; do
  ip link add name $end type veth peer name $end-in
  ip link set dev $end-in master br9
  for one in $end $end-in; do ip link set dev $one up; done
done
ip link set dev br9 up
nft -f - <<'NFT'
table inet firewall {
  chain count { type filter hook prerouting priority -300; ip daddr 203.0.113.9 counter; }
  chain nat { type nat hook prerouting priority -100; ip daddr 203.0.113.9 dnat ip to 192.0.2.1; }
  chain input { type filter hook input priority 0; udp dport 4000 counter; }
  chain forward { type filter hook forward priority 0; policy drop; ip daddr 203.0.113.9 counter; }
  chain postrouting { type filter hook postrouting priority 0; ip daddr 203.0.113.9 counter; }
}
NFT`)
  const counted = async () =>
    [...(await run('nft list table inet firewall')).matchAll(/counter packets (\d+)/g)].map(([, count]) =>
      Number(count)
    )
  const aimed = frames.map((_, index) => {
    const to = { source: '198.51.100.7', destination: '203.0.113.9', destinationPort: 4000 }
    return ether(NOBODY, STRANGER, ipv4Udp({ ...to, data: Buffer.alloc(60, index) }))
  })
  await apply()
  const capture = await listenBeside(lab, zeek)
  await lab.send(aimed)
  await expectFrames(capture, named(aimed))
  expect(await counted()).toEqual([0, 0, 0, 0])
  // The same on a bridge of somebody else's: iptables sees them there.
  await lab.send(aimed, 'a')
  await until('the firewall has counted', async () => ((await counted())[0] ?? 0) >= aimed.length)
  await run(
    'nft delete table inet firewall; for one in br9 a b; do ip link del dev $one; done; ip addr flush dev ens224'
  )
})

test('a port of Open vSwitch is mirrored; that switch goes on, restarts, and loses and gets the port, and is never touched', async () => {
  const ovs = await startOpenVSwitch(lab)
  /** What comes in at one port goes out at the other, once, and a copy to the sensor. */
  const expectSwitched = async () => {
    await until('the switch forwards', async () => {
      const beyond = await lab.captureLink('sw1', { direction: 'in', expression: `ether src ${STRANGER}` })
      await lab.send(frames.slice(0, 1))
      return (await beyond.stop()).frames.length === 1
    })
    const [beyond, capture] = [
      await lab.captureLink('sw1', { direction: 'in', expression: `ether src ${STRANGER}` }),
      await listenBeside(lab, zeek, { expression: `ether src ${STRANGER}` })
    ]
    await lab.send(frames)
    await expectFrames(beyond, named(frames))
    await expectFrames(capture, named(frames))
  }
  try {
    await ovs.vsctl('add-br', 'ovs0', '--', 'add-port', 'ovs0', 'ens192', '--', 'add-port', 'ovs0', 'ens224')
    const ports = await ovs.vsctl('list-ports', 'ovs0')
    await apply()
    await using watch = await startWatch(lab)
    await expectSwitched()
    await ovs.restart()
    await ovs.vsctl('del-port', 'ovs0', 'ens192', '--', 'add-port', 'ovs0', 'ens192')
    // Its policer needs the place of the mirrors' qdisc: nothing else is to suffer from that.
    await ovs.vsctl('set', 'interface', 'ens224', 'ingress_policing_rate=1000000')
    await watch.settle()
    await expectSwitched()
    expect((await ovs.vsctl('list-ports', 'ovs0')).split('\n').sort()).toEqual(ports.split('\n').sort())
  } finally {
    await ovs.vsctl('del-br', 'ovs0').catch(() => '')
    await ovs.stop()
  }
})

/** From each of these, the frames arrive once. */
async function expectOnceFrom(ends: readonly string[], sent: Readonly<Record<string, Buffer>>): Promise<void> {
  for (const end of ends) {
    const capture = await listenBeside(lab, zeek, { expression: `ether src ${STRANGER}` })
    await lab.send(Object.values(sent), end)
    await expectFramesInAnyOrder(capture, sent)
  }
}

test('of Open vSwitch, each frame arrives once: from the internal port of its mirror, and from its ports without a mirror', async () => {
  const ovs = await startOpenVSwitch(lab)
  try {
    const ports = ['ens192', 'ens224', 'mirror0'].flatMap((port) => ['--', 'add-port', 'ovs0', port])
    await ovs.vsctl('add-br', 'ovs0', ...ports, '--', 'set', 'interface', 'mirror0', 'type=internal')
    const mirror = ['create', 'mirror', 'name=all', 'select_all=true', 'output_port=@port']
    const bridge = ['set', 'bridge', 'ovs0', 'mirrors=@mirror']
    await ovs.vsctl('--id=@port', 'get', 'port', 'mirror0', '--', '--id=@mirror', ...mirror, '--', ...bridge)
    await writeSpans(
      lab,
      'spans: {span0: {sources: [{interface: mirror0}], sensors: [zeek]}}\ninterfaces: {mirror0: {dedicated: true}}'
    )
    await awaitNftables(lab)
    await spanplan(lab, ['apply', '--yes'])
    const tagged = ether(NOBODY, STRANGER, vlan(10, filler(100), 5))
    const switchOwn = ether(STP_GROUP, STRANGER, stp(STRANGER))
    const sent = named([...frames, tagged, switchOwn])
    await expectOnceFrom(['sw0', 'sw1'], sent)
    await expectConverged(lab)

    await ovs.vsctl('clear', 'bridge', 'ovs0', 'mirrors', '--', 'del-port', 'ovs0', 'mirror0')
    await run('ip link set dev ovs0 up')
    const received = ['ens192', 'ens224'].map((port) => `{interface: ${port}, direction: ingress}`)
    const sources = [...received, '{interface: ovs0, direction: egress}']
    await writeSpans(lab, `spans: {span0: {sources: [${sources.join(', ')}], sensors: [zeek]}}`)
    await spanplan(lab, ['apply', '--yes'])
    await expectOnceFrom(['sw0', 'sw1', 'ovs0'], sent)
    await expectConverged(lab)
  } finally {
    await ovs.vsctl('del-br', 'ovs0').catch(() => '')
    await ovs.stop()
  }
})
