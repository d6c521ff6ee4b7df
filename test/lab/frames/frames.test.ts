import { describe, expect, test } from 'vitest'
import {
  ALL_HOSTS_GROUP,
  arp,
  BROADCAST,
  checksum,
  ether,
  filler,
  igmpQuery,
  ipv4Fragments,
  ipv4Tcp,
  ipv4Udp,
  ipv6Address,
  ipv6Tcp,
  ipv6Udp,
  LLDP_GROUP,
  lldp,
  mpls,
  neighbourSolicitation,
  PcapReader,
  pad,
  parsePcap,
  qinq,
  STP_GROUP,
  stp,
  vlan,
  writePcap
} from './frames.ts'

const SOURCE = '02:00:00:00:00:01'
const udp = { source: '192.0.2.1', destination: '192.0.2.2', sourcePort: 1, destinationPort: 2 }

describe('checksum', () => {
  test.each([
    ['the example of RFC 1071', '0001f203f4f5f6f7', 0x220d],
    ['a widely printed IPv4 header', '4500003c1c4640004006' + '0000' + 'ac100a63ac100a0c', 0xb1e6],
    ['another one', '45000073000040004011' + '0000' + 'c0a80001c0a800c7', 0xb861],
    ['an odd number of bytes', '01', 0xfeff],
    ['nothing', '', 0xffff]
  ])('%s', (_, hex, expected) => {
    expect(checksum(Buffer.from(hex, 'hex'))).toBe(expected)
  })

  test('a buffer that holds its own checksum sums to zero', () => {
    const { bytes } = ipv4Udp({ ...udp, data: Buffer.from('odd') })
    expect(checksum(bytes.subarray(0, 20))).toBe(0)
    const pseudoHeader = Buffer.concat([bytes.subarray(12, 20), Buffer.from([0, 17, 0, 11])])
    expect(checksum(Buffer.concat([pseudoHeader, bytes.subarray(20)]))).toBe(0)
  })

  test('over IPv6 too', () => {
    const { bytes } = ipv6Udp({ source: '2001:db8::1', destination: 'ff02::1', data: Buffer.from('data') })
    const pseudoHeader = Buffer.concat([bytes.subarray(8, 40), Buffer.from([0, 0, 0, 12, 0, 0, 0, 17])])
    expect(checksum(Buffer.concat([pseudoHeader, bytes.subarray(40)]))).toBe(0)
  })

  test('of TCP, over IPv4 and IPv6', () => {
    const segment = { flags: 0x18, sequence: 1, acknowledgement: 2, data: Buffer.from('odd') }
    const four = ipv4Tcp({ ...udp, ...segment }).bytes
    expect(checksum(Buffer.concat([four.subarray(12, 20), Buffer.from([0, 6, 0, 23]), four.subarray(20)]))).toBe(0)
    const six = ipv6Tcp({ source: '2001:db8::1', destination: '2001:db8::2', ...segment }).bytes
    const pseudoHeader = Buffer.concat([six.subarray(8, 40), Buffer.from([0, 0, 0, 23, 0, 0, 0, 6])])
    expect(checksum(Buffer.concat([pseudoHeader, six.subarray(40)]))).toBe(0)
  })

  test('a UDP checksum is never zero', () => {
    // 192.0.2.1 + 192.0.2.2 + 17 + 8 + 8 + ports and data sum to 0xffff.
    const sum = 0xc000 + 0x0201 + 0xc000 + 0x0202 + 17 + 10 + 10 + 1 + 2
    const folded = (sum & 0xffff) + (sum >>> 16)
    const data = Buffer.alloc(2)
    data.writeUInt16BE(0xffff - folded)
    const { bytes } = ipv4Udp({ ...udp, data })
    expect(bytes.readUInt16BE(26)).toBe(0xffff)
  })
})

describe('frames', () => {
  test('an ARP request', () => {
    const frame = ether(
      BROADCAST,
      SOURCE,
      arp({ operation: 'request', senderMac: SOURCE, senderIp: '10.0.0.1', targetIp: '10.0.0.2' })
    )
    expect(frame.toString('hex')).toBe(
      'ffffffffffff0200000000010806' + '0001080006040001' + '0200000000010a000001' + '0000000000000a000002'
    )
  })

  test('one tag, two tags, labels', () => {
    const inner = { type: 0x88b5, bytes: Buffer.from('abcd', 'hex') }
    expect(ether(BROADCAST, SOURCE, vlan(10, inner, 5)).toString('hex', 12)).toBe('8100a00a88b5abcd')
    expect(ether(BROADCAST, SOURCE, qinq(100, 10, inner)).toString('hex', 12)).toBe('88a800648100000a88b5abcd')
    expect(ether(BROADCAST, SOURCE, mpls([16, 0xfffff], inner.bytes)).toString('hex', 12)).toBe(
      '8847' + '00010040' + 'fffff140' + 'abcd'
    )
  })

  test('the segments of TCP', () => {
    const ends = { source: '192.0.2.1', destination: '192.0.2.2', sourcePort: 1, destinationPort: 2 }
    const { bytes } = ipv4Tcp({ ...ends, flags: 0x12, sequence: 3, acknowledgement: 4, data: Buffer.from('ab') })
    expect(bytes.toString('hex', 20, 36)).toBe('00010002' + '00000003' + '00000004' + '5012fa00')
    expect(bytes.toString('utf8', 40)).toBe('ab')
  })

  test('two fragments of IPv4 are the packet', () => {
    const packet = ipv4Udp({ ...udp, data: Buffer.from('abcdefghijklmn') })
    const [first, second] = ipv4Fragments(packet, 16).map(({ bytes }) => bytes)
    expect([first?.toString('hex', 2, 8), second?.toString('hex', 2, 8)]).toEqual(['002400012000', '001a00010002'])
    expect([first, second].map((bytes) => bytes && checksum(bytes.subarray(0, 20)))).toEqual([0, 0])
    expect([first, second].map((bytes) => bytes?.toString('hex', 20)).join('')).toBe(packet.bytes.toString('hex', 20))
  })

  test('an IGMP general query', () => {
    const { bytes } = igmpQuery('192.0.2.1')
    expect(bytes[0]).toBe(0x46)
    expect(checksum(bytes.subarray(0, 24))).toBe(0)
    expect(bytes.toString('hex', 24)).toBe('1164ee9b00000000')
    expect(ether(ALL_HOSTS_GROUP, SOURCE, igmpQuery('192.0.2.1'), 60)).toHaveLength(60)
  })

  test('a neighbour solicitation', () => {
    const { type, bytes } = neighbourSolicitation(SOURCE, '2001:db8::1', '2001:db8::2')
    expect(type).toBe(0x86dd)
    expect(bytes.toString('hex', 0, 8)).toBe('6000000000203aff')
    expect(bytes.toString('hex', 44)).toBe('00000000' + '20010db8000000000000000000000002' + '0101020000000001')
    const pseudoHeader = Buffer.concat([bytes.subarray(8, 40), Buffer.from([0, 0, 0, 32, 0, 0, 0, 58])])
    expect(checksum(Buffer.concat([pseudoHeader, bytes.subarray(40)]))).toBe(0)
  })

  test('LLDP', () => {
    expect(ether(LLDP_GROUP, SOURCE, lldp(SOURCE, '7', 'sw')).toString('hex', 12)).toBe(
      '88cc' + '020704020000000001' + '04020537' + '06020078' + '0a027377' + '0000'
    )
  })

  test('STP: an LLC length instead of a type, 60 bytes in all', () => {
    const frame = ether(STP_GROUP, SOURCE, stp(SOURCE))
    expect(frame).toHaveLength(60)
    expect(frame.toString('hex', 12, 22)).toBe('00264242030000000000')
  })

  test('IPv6 addresses', () => {
    expect(ipv6Address('::').toString('hex')).toBe('0'.repeat(32))
    expect(ipv6Address('fe80::1:2').toString('hex')).toBe('fe800000000000000000000000010002')
    expect(ipv6Address('1:2:3:4:5:6:7:8').toString('hex')).toBe('00010002000300040005000600070008')
    expect(() => ipv6Address('1:2')).toThrow('not an address')
  })

  test('an exact size', () => {
    expect(ether(BROADCAST, SOURCE, filler(9014))).toHaveLength(9014)
    expect(pad(ether(BROADCAST, SOURCE, filler(20)), 60)).toHaveLength(60)
    expect(() => pad(Buffer.alloc(61), 60)).toThrow('cannot be padded')
  })
})

describe('pcap', () => {
  const frames = [60, 1514, 9014].map((size) => ether(BROADCAST, SOURCE, filler(size)))

  test('what is written is read', () => {
    expect(parsePcap(writePcap(frames))).toEqual(frames)
    expect(parsePcap(writePcap([]))).toEqual([])
  })

  test('in chunks of any size', () => {
    const file = writePcap(frames)
    const reader = new PcapReader()
    const read: Buffer[] = []
    for (let start = 0; start < file.length; start += 13) read.push(...reader.push(file.subarray(start, start + 13)))
    reader.end()
    expect(read).toEqual(frames)
  })

  test('what is not whole is an error', () => {
    const file = writePcap(frames)
    expect(() => parsePcap(file.subarray(0, -1))).toThrow('into a frame')
    expect(() => parsePcap(Buffer.alloc(0))).toThrow('no pcap header')
    expect(() => parsePcap(Buffer.alloc(24))).toThrow('not a little-endian')
  })
})
