/** What comes at a mirror port: whole, and broken in the ways in which switches break it. */
import { conversation } from './conversation.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Syn,
  ipv4Udp,
  LLDP_GROUP,
  lldp,
  type Payload,
  qinq,
  STP_GROUP,
  stp,
  vlan
} from './frames.ts'

export const [CLIENT, SERVER] = ['02:00:00:00:0a:01', '06:00:00:00:0b:02'] as const

interface TalkOptions {
  /** Puts a packet behind tags. */
  readonly wrap?: (packet: Payload) => Payload
  readonly isIpv6?: boolean
  /** The number of the first client. */
  readonly first?: number
}

/** Frames of so many conversations over TCP, each of another client: of each, eight frames in both directions. */
export function talk(
  count: number,
  { wrap = (packet) => packet, isIpv6 = false, first = 1 }: TalkOptions = {}
): Buffer[] {
  return Array.from({ length: count }, (_, number) =>
    conversation({
      client: isIpv6
        ? `2001:db8::${(first + number).toString(16)}`
        : `10.0.${(first + number) >> 8}.${(first + number) & 255}`,
      clientPort: 40_000 + first + number,
      server: isIpv6 ? '2001:db8::ffff' : '192.0.2.1',
      serverPort: 443,
      request: Buffer.alloc(50, 1),
      reply: Buffer.alloc(50, 2)
    }).map(({ from, packet }) =>
      from === 'client' ? ether(SERVER, CLIENT, wrap(packet)) : ether(CLIENT, SERVER, wrap(packet))
    )
  ).flat()
}

/** The same with a number in each packet of IPv4, as hosts send them: the frames have no tag. */
export function numbered(frames: readonly Buffer[]): Buffer[] {
  return frames.map((frame, index) => {
    const own = Buffer.from(frame)
    own.writeUInt16BE(index + 1, 18)
    return own
  })
}

export const isFromClient = (frame: Buffer) => frame.subarray(6, 12).toString('hex') === CLIENT.replaceAll(':', '')

/** What each port of a switch has, mirrored or not. */
export const chatter = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, number) => {
    const mac = `02:00:00:00:0c:${(number % 90) + 10}`
    const who = arp({ operation: 'request', senderMac: mac, senderIp: '10.0.0.5', targetIp: `10.0.0.${number % 250}` })
    return (
      [ether(BROADCAST, mac, who), ether(LLDP_GROUP, mac, lldp(mac, 'port 1')), ether(STP_GROUP, mac, stp(mac))][
        number % 3
      ] ?? Buffer.alloc(0)
    )
  })

const datagram = (number: number) =>
  ipv4Udp({
    source: `10.0.1.${number % 200}`,
    destination: '192.0.2.1',
    destinationPort: 514,
    data: Buffer.alloc(80, number)
  })

/** Traffic that is whole, of several kinds. */
export const wholeTraffic: Readonly<Record<string, readonly Buffer[]>> = {
  'an office: TCP with some broadcasts': [...numbered(talk(20)), ...chatter(30)],
  'IPv6 alone': talk(20, { isIpv6: true }),
  'VLANs, and tags in tags': [
    ...talk(10, { wrap: (packet) => vlan(20, packet) }),
    ...talk(10, { wrap: (packet) => qinq(10, 30, packet), first: 100 })
  ],
  'a scan that nobody answers': Array.from({ length: 200 }, (_, port) =>
    ether(
      SERVER,
      CLIENT,
      ipv4Syn({
        source: '10.0.0.1',
        destination: '192.0.2.1',
        sourcePort: 9,
        destinationPort: port + 1,
        data: Buffer.alloc(0)
      })
    )
  ),
  'logs over UDP, in one direction': Array.from({ length: 100 }, (_, number) =>
    ether(SERVER, CLIENT, datagram(number))
  ),
  'pictures of cameras, to groups': Array.from({ length: 100 }, () => ether('01:00:5e:01:02:03', CLIENT, filler(900)))
}

/** Traffic that is not, by what is found. */
export const brokenTraffic = {
  TRAFFIC_FLOODED: chatter(60),
  TRAFFIC_ONE_SIDED: numbered(talk(20)).filter(isFromClient),
  TRAFFIC_REPEATED: numbered(talk(20)).flatMap((frame) => [frame, frame]),
  TRAFFIC_CUT: talk(20).map((frame) => frame.subarray(0, 80))
} as const satisfies Readonly<Record<string, readonly Buffer[]>>
