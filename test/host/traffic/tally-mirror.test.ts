/** What is counted of sources, to tell whether a mirror is whole. */
import { expect, test } from 'vitest'
import { countConversations } from '../../../src/host/traffic/tally-conversations.ts'
import { countMirror, talliedBytes } from '../../../src/host/traffic/tally-mirror.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Fragments,
  ipv4Syn,
  ipv4Udp,
  ipv6Udp,
  LLDP_GROUP,
  lldp,
  type Payload,
  qinq,
  vlan
} from '../../lab/frames/frames.ts'
import { CLIENT as A, SERVER as B, isFromClient, numbered, talk } from '../../lab/frames/mirrored.ts'

const OWN = '02:ff:ff:ff:ff:01'
const all = { takes: () => true, wouldTake: () => true, vlans: [] }

function tallyOf(frames: readonly Buffer[], sizeOf = (frame: Buffer) => frame.length) {
  const counter = countMirror(OWN, all)
  for (const frame of frames) counter.count(frame.subarray(0, talliedBytes), sizeOf(frame))
  return counter.tally()
}

/** @param between seconds from each frame to the next. */
function conversationsOf(frames: readonly Buffer[], between = 0.0001, isFollowed = true) {
  const counter = countConversations()
  for (const [index, frame] of frames.entries())
    counter.count(frame.subarray(0, talliedBytes), index * between, isFollowed)
  return counter.tally()
}

test.each([
  ['IPv4', {}],
  ['IPv6', { isIpv6: true }],
  ['tagged', { wrap: (packet: Payload) => vlan(20, packet) }],
  ['tagged twice', { wrap: (packet: Payload) => qinq(10, 20, packet) }]
])('conversations with both directions are whole: %s', (_, options) => {
  const { frames, unicast } = tallyOf(talk(10, options))
  const { tcp, oneSided, repeated } = conversationsOf(talk(10, options))
  // Of eight segments, one has no acknowledgement.
  expect({ frames, unicast, tcp }).toEqual({ frames: 80, unicast: 80, tcp: { frames: 70, conversations: 10 } })
  expect({ oneSided, repeated }).toEqual({ oneSided: { frames: 0, conversations: 0 }, repeated: 0 })
})

test('one direction of them is not; whoever scans without an answer is', () => {
  expect(conversationsOf(talk(10).filter(isFromClient)).oneSided).toEqual({ frames: 40, conversations: 10 })
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
  expect(conversationsOf([...scan, ...scan, ...scan])).toMatchObject({ tcp: { frames: 0 }, oneSided: { frames: 0 } })
})

test('the two directions may have different tags', () => {
  const frames = talk(10).map((frame, index) => {
    const tag = Buffer.from([0x81, 0, 0, index % 2 === 0 ? 20 : 30])
    return Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)])
  })
  expect(conversationsOf(frames).oneSided.conversations).toBe(0)
})

test('what comes twice, also behind a router, which changes its addresses, tag, hop limit and checksum', () => {
  const once = numbered(talk(5))
  expect(conversationsOf(once)).toMatchObject({ distinct: 40, repeated: 0 })
  expect(conversationsOf([...once, ...once])).toMatchObject({ distinct: 80, repeated: 40 })
  const routed = once.map((frame) => {
    const own = Buffer.from(frame)
    own.write('0a0000000001', 0, 'hex')
    own.writeUInt8(own.readUInt8(22) - 1, 22)
    own.writeUInt16BE(own.readUInt16BE(24) ^ 0x0100, 24)
    return Buffer.concat([own.subarray(0, 12), Buffer.from([0x81, 0, 0, 7]), own.subarray(12)])
  })
  expect(conversationsOf([...once, ...routed]).repeated).toBe(40)
  // Of IPv6, what carries data: 10 of 40.
  const six = talk(5, { isIpv6: true })
  expect(conversationsOf([...six, ...six])).toMatchObject({ distinct: 20, repeated: 10 })
})

test('what is alike for good reason is no repetition: packets without a number', () => {
  const beat = ether(
    B,
    A,
    ipv4Udp({ source: '10.0.0.1', destination: '192.0.2.1', destinationPort: 514, data: Buffer.alloc(40) })
  )
  beat.writeUInt16BE(0, 18)
  expect(conversationsOf(Array.from({ length: 50 }, () => beat))).toMatchObject({ distinct: 0, repeated: 0 })
})

test('what comes later is sent again, and no copy', () => {
  const once = numbered(talk(5))
  expect(conversationsOf([...once, ...once], 0.01).repeated).toBe(0)
})

test('copies of what has no number: by data that no other packet has', () => {
  const ends = { source: '10.0.0.1', destination: '192.0.2.1', destinationPort: 443 }
  const datagrams = Array.from({ length: 30 }, (_, number) => {
    const frame = ether(B, A, ipv4Udp({ ...ends, data: Buffer.alloc(80, number) }))
    frame.writeUInt16BE(0, 18)
    return frame
  })
  expect(conversationsOf([...datagrams, ...datagrams])).toMatchObject({ distinct: 60, repeated: 30 })
  const segments = talk(5).map((frame) => {
    frame.writeUInt16BE(0, 18)
    return frame
  })
  expect(conversationsOf([...segments, ...segments])).toMatchObject({ distinct: 20, repeated: 10 })
})

test('what is sent again to a host that has died is one segment', () => {
  const again = talk(4)
    .filter(isFromClient)
    .flatMap((frame) => (frame.length > 100 ? Array.from({ length: 9 }, () => frame) : []))
  expect(again.length).toBe(36)
  expect(conversationsOf(again)).toMatchObject({ tcp: { frames: 0 }, oneSided: { frames: 0 } })
})

test('of the host, and of a direction that the file leaves out, no conversation is followed', () => {
  expect(conversationsOf(talk(10).filter(isFromClient), 0.0001, false).oneSided.frames).toBe(0)
  const counter = countMirror(A, all)
  expect(talk(1).map((frame) => counter.isOwn(frame))).toEqual(Array(8).fill(true))
  expect(counter.isOwn(ether(B, '02:00:00:00:00:09', filler(60)))).toBe(false)
})

test('scans take no room: what is one-sided behind 30,000 of them is found', () => {
  const scan = Array.from({ length: 30_000 }, (_, port) =>
    ether(
      B,
      A,
      ipv4Syn({
        source: '10.9.0.1',
        destination: '192.0.2.1',
        sourcePort: 9,
        destinationPort: port + 1,
        data: Buffer.alloc(0)
      })
    )
  )
  expect(conversationsOf([...scan, ...talk(10).filter(isFromClient)]).oneSided.conversations).toBe(10)
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
  const toGroup = ipv6Udp({
    source: 'fe80::1',
    destination: 'ff02::1:3',
    destinationPort: 5355,
    data: Buffer.alloc(30)
  })
  const frames = [
    ether(BROADCAST, A, who),
    ether(LLDP_GROUP, A, lldp(A, 'port 1')),
    ether('01:00:5e:00:00:fb', A, filler(60)),
    // LLMNR over IPv6, PROFINET, and what a switch sends itself through a port to find loops.
    ether('33:33:00:01:00:03', A, toGroup),
    ether('01:0e:cf:00:00:00', A, { type: 0x8892, bytes: Buffer.alloc(40) }),
    ether(A, A, { type: 0x9000, bytes: Buffer.alloc(46) }),
    // A camera's picture, and what is for one host.
    ether(
      '01:00:5e:01:02:03',
      A,
      ipv4Udp({ source: '10.0.0.1', destination: '239.1.2.3', destinationPort: 5000, data: filler(60).bytes })
    ),
    ether(B, A, vlan(20, filler(60))),
    ether(B, A, vlan(0, filler(60), 5)),
    ether(B, A, qinq(10, 30, filler(60)))
  ]
  expect(tallyOf(frames)).toMatchObject({
    ...{ frames: 10, unicast: 3, chatter: 6 },
    outer: new Map([
      [null, { frames: 8, taken: 8 }],
      [20, { frames: 1, taken: 1 }],
      [10, { frames: 1, taken: 1 }]
    ]),
    inner: new Map([[30, { frames: 1, taken: 1 }]])
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
  expect(tallyOf(frames).frames).toBe(20_000)
  const tally = conversationsOf(frames)
  expect(tally.repeated).toBeLessThanOrEqual(tally.distinct)
  expect(tally.oneSided.frames).toBeLessThanOrEqual(tally.tcp.frames)
})
