/** What a frame can be that passes a card. */
import type Docker from 'dockerode'
import type { Lab } from '../lab.ts'
import { findTap, macOf } from '../spans.ts'
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

const NOBODY = '02:00:00:00:0a:02'
export const IPV4_GROUP = '01:00:5e:01:02:03'
const IPV6_GROUP = '33:33:00:01:00:03'

/** Frames from a source to a card that span0 copies, one of each kind, all different; by what each is. */
export async function everyKind(
  lab: Lab,
  { suricata, zeek }: { readonly suricata: Docker.Container; readonly zeek: Docker.Container },
  source: string,
  card = 'ens192'
): Promise<Record<string, Buffer>> {
  const taps = await Promise.all([suricata, zeek].map((sensor) => findTap(lab, sensor)))
  const devices = [card, 'span0', ...taps.map(({ port }) => port)]
  const macs = [...taps.map(({ mac }) => mac), ...(await Promise.all(devices.map((device) => macOf(lab, device))))]
  const names = ["suricata's", "zeek's", "the card's", "the bridge's", "suricata's port's", "zeek's port's"]
  return kindsFor(source, Object.fromEntries(macs.map((mac, index) => [`to ${names[index]} address`, mac])))
}

/** The same, to these addresses, by what each is. */
export function kindsFor(source: string, addresses: Readonly<Record<string, string>>): Record<string, Buffer> {
  const data = Buffer.from(`from ${source}`)
  const udp = { source: '192.0.2.1', destination: '192.0.2.2', data }
  const udp6 = { source: '2001:db8::1', destination: '2001:db8::2', data }
  const question = { operation: 'request', senderMac: source, senderIp: '192.0.2.1', targetIp: '192.0.2.2' } as const
  return {
    'IGMP query': ether(ALL_HOSTS_GROUP, source, igmpQuery('192.0.2.1'), 60),
    'unknown unicast': ether(NOBODY, source, filler(100)),
    ...Object.fromEntries(Object.entries(addresses).map(([what, mac]) => [what, ether(mac, source, filler(100))])),
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
