/** What is counted of a source, to tell whether a mirror is whole. */
import { expect, test } from 'vitest'
import { countMirror, talliedBytes } from '../../../src/host/traffic/tally-mirror.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Fragments,
  ipv4Syn,
  ipv4Udp,
  LLDP_GROUP,
  lldp,
  type Payload,
  qinq,
  vlan
} from '../../lab/frames/frames.ts'
import { CLIENT as A, SERVER as B, isFromClient, numbered, talk } from '../../lab/frames/mirrored.ts'

function tallyOf(frames: readonly Buffer[], sizeOf = (frame: Buffer) => frame.length) {
  const counter = countMirror()
  for (const frame of frames) counter.count(frame.subarray(0, talliedBytes), sizeOf(frame))
  return counter.tally()
}

test.each([
  ['IPv4', {}],
  ['IPv6', { isIpv6: true }],
  ['tagged', { wrap: (packet: Payload) => vlan(20, packet) }],
  ['tagged twice', { wrap: (packet: Payload) => qinq(10, 20, packet) }]
])('conversations with both directions are whole: %s', (_, options) => {
  const { frames, unicast, tcp, oneSided, repeated } = tallyOf(talk(10, options))
  // Of eight segments, one has no acknowledgement.
  expect({ frames, unicast, tcp }).toEqual({ frames: 80, unicast: 80, tcp: { frames: 70, conversations: 10 } })
  expect({ oneSided, repeated }).toEqual({ oneSided: { frames: 0, conversations: 0 }, repeated: 0 })
})

test('one direction of them is not; whoever scans without an answer is', () => {
  expect(tallyOf(talk(10).filter(isFromClient)).oneSided).toEqual({ frames: 40, conversations: 10 })
  const scan = Array.from({ length: 100 }, (_, port) =>
    ether(
      B,
      A,
      ipv4Syn({
        source: '10.0.0.1',
        destination: '192.0.2.1',
        sourcePort: 9,
        destinationPort: port + 1,
        data: Buffer.alloc(0)
      })
    )
  )
  expect(tallyOf([...scan, ...scan, ...scan])).toMatchObject({ tcp: { frames: 0 }, oneSided: { frames: 0 } })
})

test('the two directions may have different tags', () => {
  const frames = talk(10).map((frame, index) => {
    const tag = Buffer.from([0x81, 0, 0, index % 2 === 0 ? 20 : 30])
    return Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)])
  })
  expect(tallyOf(frames).oneSided.conversations).toBe(0)
})

test('what comes twice, also behind a router, which changes its addresses, tag, hop limit and checksum', () => {
  const once = numbered(talk(5))
  expect(tallyOf(once)).toMatchObject({ distinct: 40, repeated: 0 })
  expect(tallyOf([...once, ...once])).toMatchObject({ distinct: 80, repeated: 40 })
  const routed = once.map((frame) => {
    const own = Buffer.from(frame)
    own.write('0a0000000001', 0, 'hex')
    own.writeUInt8(own.readUInt8(22) - 1, 22)
    own.writeUInt16BE(own.readUInt16BE(24) ^ 0x0100, 24)
    return Buffer.concat([own.subarray(0, 12), Buffer.from([0x81, 0, 0, 7]), own.subarray(12)])
  })
  expect(tallyOf([...once, ...routed]).repeated).toBe(40)
  // Of IPv6, what carries data: 10 of 40.
  const six = talk(5, { isIpv6: true })
  expect(tallyOf([...six, ...six])).toMatchObject({ distinct: 20, repeated: 10 })
})

test('what is alike for good reason is no repetition: packets without a number', () => {
  const beat = ether(
    B,
    A,
    ipv4Udp({ source: '10.0.0.1', destination: '192.0.2.1', destinationPort: 514, data: Buffer.alloc(40) })
  )
  beat.writeUInt16BE(0, 18)
  expect(tallyOf(Array.from({ length: 50 }, () => beat))).toMatchObject({ distinct: 0, repeated: 0 })
})

test('packets that are cut, by what their headers say', () => {
  const [short, long] = talk(2).filter((frame) => frame.length > 100)
  if (short === undefined || long === undefined) throw new Error('no frame is long')
  expect(tallyOf([short, long])).toMatchObject({ ip: 2, cut: { frames: 0, longest: 0 } })
  expect(tallyOf([short, long], () => 80)).toMatchObject({ ip: 2, cut: { frames: 2, longest: 80 } })
  // What pads a frame is behind the packet.
  expect(tallyOf([short], (frame) => frame.length + 20).cut.frames).toBe(0)
})

test('who frames are for, and which tags they have', () => {
  const who = arp({ operation: 'request', senderMac: A, senderIp: '10.0.0.5', targetIp: '10.0.0.9' })
  const frames = [
    ether(BROADCAST, A, who),
    ether(LLDP_GROUP, A, lldp(A, 'port 1')),
    ether('01:00:5e:00:00:fb', A, filler(60)),
    // A camera's picture, and what is for one host.
    ether('01:00:5e:01:02:03', A, filler(60)),
    ether(B, A, vlan(20, filler(60))),
    ether(B, A, vlan(0, filler(60), 5)),
    ether(B, A, qinq(10, 30, filler(60)))
  ]
  expect(tallyOf(frames)).toMatchObject({
    ...{ frames: 7, unicast: 3, chatter: 3 },
    outer: new Map([
      [null, 5],
      [20, 1],
      [10, 1]
    ]),
    inner: new Map([[30, 1]])
  })
})

test('whatever bytes there are, and however many: it counts on, and grows no further', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  const base = numbered([
    ...talk(3),
    ...talk(3, { isIpv6: true }),
    ...ipv4Fragments(
      ipv4Udp({ source: '10.0.0.1', destination: '192.0.2.1', destinationPort: 53, data: Buffer.alloc(100) }),
      64
    ).map((part) => ether(B, A, part))
  ])
  const frames = Array.from({ length: 20_000 }, () => {
    const frame = Buffer.from(base[random(base.length)] ?? '')
    for (let changes = random(4); changes > 0; changes--) frame[random(frame.length)] = random(256)
    return frame.subarray(0, random(frame.length + 1))
  })
  const tally = tallyOf(frames)
  expect(tally.frames).toBe(20_000)
  expect(tally.repeated).toBeLessThanOrEqual(tally.distinct)
  expect(tally.oneSided.frames).toBeLessThanOrEqual(tally.tcp.frames)
})
