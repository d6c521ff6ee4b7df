/** Every frame that passes a card reaches every sensor: whatever it is, whoever it is for, and nothing else does. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
  STP_GROUP,
  stp,
  vlan
} from './frames.ts'
import { createLab, type Lab } from './lab.ts'
import { expectConverged, expectFrames, findTap, listen, macOf, spanplan, until, writeSpans } from './spans.ts'

const NOBODY = '02:00:00:00:0a:02'
const IPV4_GROUP = '01:00:5e:01:02:03'
const IPV6_GROUP = '33:33:00:01:00:03'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  zeek = await lab.startSensor('zeek', { CapDrop: ['ALL'], CapAdd: ['NET_RAW'] })
  await apply()
})
afterAll(() => lab?.close())

async function apply(options = ''): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192${options}}], sensors: [suricata, zeek]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
}

/** One of each kind, all different. */
async function everyKind(source: string): Promise<Record<string, Buffer>> {
  const taps = await Promise.all([suricata, zeek].map((sensor) => findTap(lab, sensor)))
  const data = Buffer.from(`from ${source}`)
  const udp = { source: '192.0.2.1', destination: '192.0.2.2', data }
  const udp6 = { source: '2001:db8::1', destination: '2001:db8::2', data }
  const question = { operation: 'request', senderMac: source, senderIp: '192.0.2.1', targetIp: '192.0.2.2' } as const
  const devices = ['ens192', 'span0', ...taps.map(({ port }) => port)]
  const macs = [...taps.map(({ mac }) => mac), ...(await Promise.all(devices.map((device) => macOf(lab, device))))]
  const names = ["suricata's", "zeek's", "the card's", "the bridge's", "suricata's port's", "zeek's port's"]
  return {
    'IGMP query': ether(ALL_HOSTS_GROUP, source, igmpQuery('192.0.2.1'), 60),
    'unknown unicast': ether(NOBODY, source, filler(100)),
    ...Object.fromEntries(macs.map((mac, index) => [`to ${names[index]} address`, ether(mac, source, filler(100))])),
    broadcast: ether(BROADCAST, source, arp(question)),
    'IPv4 unicast': ether(NOBODY, source, ipv4Udp(udp)),
    'IPv6 unicast': ether(NOBODY, source, ipv6Udp(udp6)),
    'IPv4 multicast': ether(IPV4_GROUP, source, ipv4Udp({ ...udp, destination: '239.1.2.3' })),
    'IPv6 multicast': ether(IPV6_GROUP, source, ipv6Udp({ ...udp6, destination: 'ff0e::1:3' })),
    'multicast of nothing known': ether(IPV4_GROUP, source, filler(100)),
    'multicast of a broken packet': ether(IPV4_GROUP, source, { type: 0x0800, bytes: data }, 60),
    LLDP: ether(LLDP_GROUP, source, lldp(source, '1')),
    STP: ether(STP_GROUP, source, stp(source)),
    VLAN: ether(NOBODY, source, vlan(10, ipv4Udp(udp), 5)),
    QinQ: ether(NOBODY, source, qinq(100, 10, ipv4Udp(udp))),
    MPLS: ether(NOBODY, source, mpls([16, 17], ipv4Udp(udp).bytes)),
    '60 bytes': ether(NOBODY, source, filler(60)),
    '1514 bytes': ether(NOBODY, source, filler(1514)),
    '9014 bytes': ether(NOBODY, source, filler(9014))
  }
}

const fromSwitch = () => everyKind('02:00:00:00:0a:01')
const fromHost = () => everyKind('02:00:00:00:0a:03')

/** Sends from both ends of the cable; both sensors hear this. */
async function expectHeardOf(expected: Readonly<Record<string, Buffer>>): Promise<void> {
  const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
  await lab.send(Object.values(await fromSwitch()), 'sw0')
  await lab.send(Object.values(await fromHost()), 'ens192')
  for (const capture of captures) await expectFrames(capture, expected)
}

function named(where: string, frames: Readonly<Record<string, Buffer>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(frames).map(([name, frame]) => [`${name}, ${where}`, frame]))
}

describe('each sensor hears each frame once, byte for byte, and nothing else', () => {
  test('from both directions, by default', async () => {
    await apply()
    await expectHeardOf({ ...named('received', await fromSwitch()), ...named('sent', await fromHost()) })
  })

  test('from ingress alone', async () => {
    await apply(', direction: ingress')
    await expectHeardOf(await fromSwitch())
  })

  test('from egress alone', async () => {
    await apply(', direction: egress')
    await expectHeardOf(await fromHost())
  })
})

test('where nothing is sent, nothing is heard', async () => {
  await apply()
  const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
  const heard = await Promise.all(captures.map((capture) => capture.stop({ seconds: 3 })))
  expect(heard).toEqual(Array(2).fill({ frames: [], dropped: 0 }))
})

test('multicast that a mirrored IGMP query would keep from the sensors arrives after it', async () => {
  await apply()
  const source = '02:00:00:00:0a:01'
  const query = ether(ALL_HOSTS_GROUP, source, igmpQuery('192.0.2.1', '0.0.0.0', 1), 60)
  const multicast = ether(IPV4_GROUP, source, ipv4Udp({ source: '192.0.2.1', destination: '239.1.2.3' }))
  const isHeard = async () => {
    const capture = await listen(lab, zeek)
    await lab.send([query, multicast])
    const { frames } = await capture.stop({ count: 2, seconds: 1 })
    return frames.some((frame) => frame.equals(multicast))
  }
  await lab.run(['ip', 'link', 'set', 'dev', 'span0', 'type', 'bridge', 'mcast_snooping', '1'])
  await until('the multicast is lost', async () => !(await isHeard()))
  await apply()
  expect(await isHeard()).toBe(true)
})
