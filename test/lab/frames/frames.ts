/** Ethernet frames as Buffers, built from the outside in: `ether(BROADCAST, source, vlan(10, arp({ … })))`. */

/** What an Ethernet header announces, and the bytes that follow it. A tag wraps one payload in another. */
export interface Payload {
  readonly type: number
  readonly bytes: Buffer
}

export interface UdpOptions {
  readonly source: string
  readonly destination: string
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly data?: Buffer
}

export interface ArpOptions {
  readonly operation: 'request' | 'reply'
  readonly senderMac: string
  readonly senderIp: string
  readonly targetMac?: string
  readonly targetIp: string
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff'
export const STP_GROUP = '01:80:c2:00:00:00'
export const LLDP_GROUP = '01:80:c2:00:00:0e'
export const ALL_HOSTS_GROUP = '01:00:5e:00:00:01'

const ETHER_HEADER = 14

function mac(address: string): Buffer {
  return fixed(Buffer.from(address.replaceAll(':', ''), 'hex'), 6, address)
}

function ipv4Address(address: string): Buffer {
  return fixed(Buffer.from(address.split('.').map(Number)), 4, address)
}

export function ipv6Address(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const before = groups(head)
  const after = groups(tail ?? '')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const words = [...before, ...Array<string>(Math.max(zeros, 0)).fill('0'), ...after]
  return fixed(Buffer.from(words.map((word) => word.padStart(4, '0')).join(''), 'hex'), 16, address)
}

/** A frame without the FCS; with `size` padded to exactly that many bytes. */
export function ether(destination: string, source: string, payload: Payload, size?: number): Buffer {
  const frame = Buffer.concat([mac(destination), mac(source), uint16(payload.type), payload.bytes])
  return size === undefined ? frame : pad(frame, size)
}

/** Zeros behind the frame, up to `size`. */
export function pad(frame: Buffer, size: number): Buffer {
  if (frame.length > size) throw new RangeError(`a frame of ${frame.length} bytes cannot be padded to ${size}`)
  return Buffer.concat([frame, Buffer.alloc(size - frame.length)])
}

/** Bytes that differ from place to place, so that a frame cut or shifted anywhere compares unequal. */
function pattern(length: number, seed = 0): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (index * 7 + (index >> 8) + seed) & 0xff))
}

/** A payload that no protocol claims (an experimental EtherType), for a frame of exactly `size` bytes. */
export function filler(size: number, seed = 0): Payload {
  return { type: 0x88b5, bytes: pattern(size - ETHER_HEADER, seed) }
}

/** An 802.1Q tag around the payload. */
export function vlan(id: number, payload: Payload, priority = 0): Payload {
  return { type: 0x8100, bytes: tag((priority << 13) | id, payload) }
}

/** An 802.1ad service tag around an 802.1Q tag around the payload. */
export function qinq(serviceId: number, customerId: number, payload: Payload): Payload {
  return { type: 0x88a8, bytes: tag(serviceId, vlan(customerId, payload)) }
}

/** A stack of MPLS labels, outermost first, before the bytes of an IP packet. */
export function mpls(labels: readonly number[], bytes: Buffer): Payload {
  const entries = labels.map((label, index) => uint32(label * 2 ** 12 + (index === labels.length - 1 ? 0x100 : 0) + 64))
  return { type: 0x8847, bytes: Buffer.concat([...entries, bytes]) }
}

export function arp({ operation, senderMac, senderIp, targetMac, targetIp }: ArpOptions): Payload {
  const bytes = Buffer.concat([
    Buffer.from([0, 1, 8, 0, 6, 4]),
    uint16(operation === 'request' ? 1 : 2),
    mac(senderMac),
    ipv4Address(senderIp),
    targetMac === undefined ? Buffer.alloc(6) : mac(targetMac),
    ipv4Address(targetIp)
  ])
  return { type: 0x0806, bytes }
}

export function ipv4Udp(options: UdpOptions): Payload {
  const addresses = [ipv4Address(options.source), ipv4Address(options.destination)]
  return ipv4(
    17,
    options,
    udp(options, (length) => [...addresses, Buffer.from([0, 17]), uint16(length)])
  )
}

interface GreOptions extends Pick<UdpOptions, 'source' | 'destination'> {
  /** With the version. */
  readonly flags: number
  /** Of what is in the packet. */
  readonly protocol: number
  /** The rest of the header, and what is in the packet. */
  readonly data: Buffer
}

export function ipv4Gre({ flags, protocol, data, ...ends }: GreOptions): Payload {
  return ipv4(47, ends, Buffer.concat([uint16(flags), uint16(protocol), data]))
}

/** An ICMP echo request without data: nothing but its header (RFC 792). */
export function ipv4Ping(ends: Pick<UdpOptions, 'source' | 'destination'>): Payload {
  const message = Buffer.from([8, 0, 0, 0, 0, 0, 0, 1])
  message.writeUInt16BE(checksum(message), 2)
  return ipv4(1, ends, message)
}

/** What a host or a router says of a packet that it does not deliver, with its first bytes (RFC 792). */
export function icmpError(
  ends: Pick<UdpOptions, 'source' | 'destination'>,
  { type = 3, quoted, options }: { readonly type?: number; readonly quoted: Buffer; readonly options?: Buffer }
): Payload {
  const message = Buffer.concat([Buffer.from([type, 3, 0, 0, 0, 0, 0, 0]), quoted])
  message.writeUInt16BE(checksum(message), 2)
  return ipv4(1, ends, message, options && { options })
}

export function ipv6Udp(options: UdpOptions): Payload {
  const addresses = [ipv6Address(options.source), ipv6Address(options.destination)]
  const datagram = udp(options, (length) => [...addresses, uint32(length), uint32(17)])
  return ipv6(17, addresses, datagram)
}

/** What comes before a frame in a datagram of VXLAN (RFC 7348). */
export function vxlanHeader(id: number): Buffer {
  return Buffer.concat([uint32(0x08000000), uint32(id << 8)])
}

/** A packet of IPv6 in two fragments (RFC 8200), the first of which has so many bytes behind the header of IPv6: a multiple of 8. */
export function ipv6Fragments({ type, bytes }: Payload, first: number): Payload[] {
  const [header, rest] = [bytes.subarray(0, 40), bytes.subarray(40)]
  const fragment = (part: Buffer, offset: number, more: number): Payload => {
    const outer = Buffer.concat([header.subarray(0, 4), uint16(part.length + 8), Buffer.from([44]), header.subarray(7)])
    const place = Buffer.concat([header.subarray(6, 7), Buffer.from([0]), uint16(offset | more), uint32(first)])
    return { type, bytes: Buffer.concat([outer, place, part]) }
  }
  return [fragment(rest.subarray(0, first), 0, 1), fragment(rest.subarray(first), first, 0)]
}

/** A packet of IPv4 in two fragments (RFC 791), the first of which has so many bytes behind the header: a multiple of 8. */
export function ipv4Fragments({ type, bytes }: Payload, first: number): Payload[] {
  const [header, rest] = [bytes.subarray(0, 20), bytes.subarray(20)]
  const fragment = (part: Buffer, offset: number, more: number): Payload => {
    const own = Buffer.concat([header, part])
    own.writeUInt16BE(own.length, 2)
    own.writeUInt16BE((more << 13) | (offset / 8), 6)
    own.writeUInt16BE(0, 10)
    own.writeUInt16BE(checksum(own.subarray(0, 20)), 10)
    return { type, bytes: own }
  }
  return [fragment(rest.subarray(0, first), 0, 1), fragment(rest.subarray(first), first, 0)]
}

export interface TcpOptions extends UdpOptions {
  /** As they stand in the header: 2 is SYN, 16 is ACK. */
  readonly flags: number
  readonly sequence: number
  readonly acknowledgement?: number
}

export function ipv4Tcp(options: TcpOptions): Payload {
  const addresses = [ipv4Address(options.source), ipv4Address(options.destination)]
  return ipv4(
    6,
    options,
    tcp(options, (length) => [...addresses, uint16(6), uint16(length)])
  )
}

export function ipv6Tcp(options: TcpOptions): Payload {
  const addresses = [ipv6Address(options.source), ipv6Address(options.destination)]
  return ipv6(
    6,
    addresses,
    tcp(options, (length) => [...addresses, uint32(length), uint32(6)])
  )
}

/** The first segment of a TCP connection. */
export function ipv4Syn({ destinationPort = 5000, ...options }: UdpOptions): Payload {
  return ipv4Tcp({ ...options, destinationPort, flags: 2, sequence: 1 })
}

/** Asks, as ARP does for IPv4, for the MAC address of a host. */
export function neighbourSolicitation(senderMac: string, source: string, target: string): Payload {
  const addresses = [ipv6Address(source), ipv6Address(target)]
  const linkLayer = Buffer.concat([Buffer.from([1, 1]), mac(senderMac)])
  const message = Buffer.concat([Buffer.from([135, 0, 0, 0, 0, 0, 0, 0]), ipv6Address(target), linkLayer])
  message.writeUInt16BE(checksum(Buffer.concat([...addresses, uint32(message.length), uint32(58), message])), 2)
  const header = Buffer.concat([uint32(0x60000000), uint16(message.length), Buffer.from([58, 255]), ...addresses])
  return { type: 0x86dd, bytes: Buffer.concat([header, message]) }
}

/** An IGMPv2 membership query; without a group a general one. Send it to {@link ALL_HOSTS_GROUP}. */
export function igmpQuery(source: string, group = '0.0.0.0', responseTenths = 100): Payload {
  const message = Buffer.concat([Buffer.from([0x11, responseTenths, 0, 0]), ipv4Address(group)])
  message.writeUInt16BE(checksum(message), 2)
  const routerAlert = Buffer.from([0x94, 4, 0, 0])
  const destination = group === '0.0.0.0' ? '224.0.0.1' : group
  return ipv4(2, { source, destination }, message, { options: routerAlert, ttl: 1 })
}

/** An LLDPDU with the three TLVs that must be there, and a system name. Send it to {@link LLDP_GROUP}. */
export function lldp(chassisMac: string, port: string, systemName = 'switch'): Payload {
  const tlv = (type: number, value: Buffer) => Buffer.concat([uint16((type << 9) | value.length), value])
  const bytes = Buffer.concat([
    tlv(1, Buffer.concat([Buffer.from([4]), mac(chassisMac)])),
    tlv(2, Buffer.concat([Buffer.from([5]), Buffer.from(port)])),
    tlv(3, uint16(120)),
    tlv(5, Buffer.from(systemName)),
    tlv(0, Buffer.alloc(0))
  ])
  return { type: 0x88cc, bytes }
}

/** A configuration BPDU behind an LLC header: the type field is a length. Send it to {@link STP_GROUP}. */
export function stp(rootMac: string): Payload {
  const bridgeId = Buffer.concat([uint16(0x8000), mac(rootMac)])
  const times = [0, 20, 2, 15].map((seconds) => uint16(seconds * 256))
  const header = Buffer.from([0x42, 0x42, 0x03, 0, 0, 0, 0, 0])
  const bytes = Buffer.concat([header, bridgeId, uint32(0), bridgeId, uint16(0x8001), ...times])

  return { type: bytes.length, bytes: pad(bytes, 46) }
}

/** The internet checksum of RFC 1071, over a buffer whose own checksum field is zero. */
export function checksum(bytes: Buffer): number {
  let sum = 0
  for (let index = 0; index < bytes.length; index += 2) {
    sum += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

const PCAP_MAGIC = 0xa1b2c3d4
const PCAP_HEADER = 24
const RECORD_HEADER = 16
const SNAPLEN = 262144
const LINKTYPE_ETHERNET = 1

/** A capture file of these frames, in pcap(5)'s little-endian form with microseconds; all times are zero. */
export function writePcap(frames: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(PCAP_HEADER)
  header.writeUInt32LE(PCAP_MAGIC, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(SNAPLEN, 16)
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20)
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(RECORD_HEADER)
    record.writeUInt32LE(frame.length, 8)
    record.writeUInt32LE(frame.length, 12)
    return [record, frame]
  })
  return Buffer.concat([header, ...records])
}

/** The frames of a whole capture file. */
export function parsePcap(file: Buffer): Buffer[] {
  const reader = new PcapReader()
  const frames = reader.push(file)
  reader.end()
  return frames
}

/** Reads a capture file as it grows. */
export class PcapReader {
  #pending: Buffer = Buffer.alloc(0)
  #headerSeen = false

  /** The frames that this chunk completes. */
  push(chunk: Buffer): Buffer[] {
    let rest = Buffer.concat([this.#pending, chunk])
    if (!this.#headerSeen && rest.length >= PCAP_HEADER) {
      checkHeader(rest)
      this.#headerSeen = true
      rest = rest.subarray(PCAP_HEADER)
    }
    const frames: Buffer[] = []
    while (this.#headerSeen && rest.length >= RECORD_HEADER) {
      const captured = rest.readUInt32LE(8)
      const original = rest.readUInt32LE(12)
      if (captured !== original) throw new Error(`a frame of ${original} bytes was cut to ${captured}`)
      if (rest.length < RECORD_HEADER + captured) break
      frames.push(Buffer.from(rest.subarray(RECORD_HEADER, RECORD_HEADER + captured)))
      rest = rest.subarray(RECORD_HEADER + captured)
    }
    this.#pending = rest
    return frames
  }

  /** Throws if the file ends in the middle. */
  end(): void {
    if (!this.#headerSeen) throw new Error('the capture has no pcap header')
    if (this.#pending.length > 0) throw new Error(`the capture ends ${this.#pending.length} bytes into a frame`)
  }
}

function checkHeader(header: Buffer): void {
  if (header.readUInt32LE(0) !== PCAP_MAGIC) throw new Error('not a little-endian pcap file with microseconds')
  if (header.readUInt32LE(20) !== LINKTYPE_ETHERNET) throw new Error('not a capture of Ethernet frames')
}

function ipv4(
  protocol: number,
  { source, destination }: Pick<UdpOptions, 'source' | 'destination'>,
  data: Buffer,
  { options = Buffer.alloc(0), ttl = 64 }: { readonly options?: Buffer; readonly ttl?: number } = {}
): Payload {
  const length = 20 + options.length
  const header = Buffer.concat([
    Buffer.from([0x40 | (length / 4), 0]),
    uint16(length + data.length),
    Buffer.from([0, 1, 0, 0, ttl, protocol, 0, 0]),
    ipv4Address(source),
    ipv4Address(destination),
    options
  ])
  header.writeUInt16BE(checksum(header), 10)
  return { type: 0x0800, bytes: Buffer.concat([header, data]) }
}

function ipv6(protocol: number, addresses: readonly Buffer[], data: Buffer): Payload {
  const header = Buffer.concat([uint32(0x60000000), uint16(data.length), Buffer.from([protocol, 64]), ...addresses])
  return { type: 0x86dd, bytes: Buffer.concat([header, data]) }
}

function tcp(
  { sourcePort = 40000, destinationPort = 9, data = Buffer.alloc(0), flags, sequence, acknowledgement = 0 }: TcpOptions,
  pseudoHeader: (length: number) => Buffer[]
): Buffer {
  const segment = Buffer.concat([
    ...[uint16(sourcePort), uint16(destinationPort), uint32(sequence), uint32(acknowledgement)],
    // A header of five words, a window.
    ...[uint16(0x5000 | flags), uint16(64000), uint32(0), data]
  ])
  segment.writeUInt16BE(checksum(Buffer.concat([...pseudoHeader(segment.length), segment])), 16)
  return segment
}

function udp(
  { sourcePort = 40000, destinationPort = 9, data = Buffer.alloc(0) }: UdpOptions,
  pseudoHeader: (length: number) => Buffer[]
): Buffer {
  const length = 8 + data.length
  const datagram = Buffer.concat([uint16(sourcePort), uint16(destinationPort), uint16(length), uint16(0), data])
  // A computed zero is sent as all ones: zero means that there is no checksum.
  datagram.writeUInt16BE(checksum(Buffer.concat([...pseudoHeader(length), datagram])) || 0xffff, 6)
  return datagram
}

function tag(control: number, payload: Payload): Buffer {
  return Buffer.concat([uint16(control), uint16(payload.type), payload.bytes])
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function fixed(bytes: Buffer, length: number, text: string): Buffer {
  if (bytes.length !== length) throw new RangeError(`not an address: ${text}`)
  return bytes
}
