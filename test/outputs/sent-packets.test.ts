/** What is left out as a tunnel's own packets is nothing else: who is copied could hide frames in it. tcpdump runs the program. */
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { packetsTo } from '../../src/spec/outputs/sent-packets.ts'
import {
  ether,
  filler,
  icmpError,
  ipv4Gre,
  ipv4Ping,
  ipv4Udp,
  ipv6Fragments,
  ipv6Udp,
  type Payload,
  parsePcap,
  writePcap
} from '../lab/frames/frames.ts'
import { findProgram } from '../lab/programs.ts'

const frame = (payload: Payload) => ether('02:00:00:00:0a:02', '02:00:00:00:57:01', payload)

/** The frames that a mirror copies. */
async function copied(filter: readonly string[], frames: readonly Buffer[]): Promise<Buffer[]> {
  const expression = filter.map((one) => `not (${one})`).join(' and ')
  const { stdout } = await execa(findProgram('tcpdump'), ['-r', '-', '-w', '-', '--', expression], {
    input: writePcap(frames),
    encoding: 'buffer'
  })
  return parsePcap(Buffer.from(stdout))
}

/** Which of the frames are left out, by name. */
async function leftOut(filter: readonly string[], frames: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const rest = await copied(filter, Object.values(frames))
  return Object.entries(frames).flatMap(([name, bytes]) => (rest.some((one) => one.equals(bytes)) ? [] : [name]))
}

const [local, remote] = ['10.50.0.2', '10.50.0.1']
const toRemote = { source: local, destination: remote }
const toLocal = { source: remote, destination: local }
const others = { source: '172.17.0.2', destination: '172.17.0.3' }
const data = Buffer.alloc(60, 7)
const sent = ipv4Udp({ ...toRemote, destinationPort: 4789, data }).bytes
/** As between other hosts: the same port, other addresses. */
const foreign = ipv4Udp({ source: '9.9.9.9', destination: '8.8.8.8', destinationPort: 4789, data }).bytes
const options = Buffer.alloc(40, 1)

/** A later fragment, without the header of UDP. */
function laterFragment(of: Buffer): Payload {
  const bytes = Buffer.from(of.subarray(0, 44))
  bytes.writeUInt16BE(185, 6)
  return { type: 0x0800, bytes }
}

const own = {
  'a packet': frame({ type: 0x0800, bytes: sent }),
  'a later fragment': frame(laterFragment(sent)),
  'an answer with its first bytes': frame(icmpError(toLocal, { quoted: sent.subarray(0, 28) })),
  'a long answer of a router': frame(icmpError({ ...toLocal, source: '192.0.2.1' }, { type: 11, quoted: sent }))
}

const strange = {
  'the same port of another host': frame({ type: 0x0800, bytes: foreign }),
  'another port': frame(ipv4Udp({ ...toRemote, destinationPort: 4790, data })),
  'a later fragment of TCP': frame(
    laterFragment(Buffer.concat([sent.subarray(0, 9), Buffer.from([6]), sent.subarray(10)]))
  ),
  'an answer about others': frame(icmpError(others, { quoted: foreign })),
  'a long message': frame(icmpError(others, { quoted: Buffer.concat([sent, Buffer.alloc(800, 65)]) })),
  'a short message with options': frame(icmpError(others, { type: 8, quoted: Buffer.alloc(0), options })),
  'an answer with options': frame(icmpError(others, { quoted: sent, options })),
  'an echo request': frame(ipv4Ping(others)),
  '14 bytes': frame(filler(14)),
  '60 bytes': frame(filler(60))
}

describe('over IPv4', () => {
  test.each(Object.entries({ 'of VXLAN': { protocol: 17, port: 4789 }, 'of GRE': { protocol: 47, port: null } }))(
    '%s',
    async (_, { protocol, port }) => {
      const filter = packetsTo({ remote, protocol, port })
      const gre = ipv4Gre({ ...toRemote, flags: 0x2000, protocol: 0x6558, data })
      const ofGre = {
        'a packet': frame(gre),
        'a later fragment': frame(laterFragment(gre.bytes)),
        'an answer': frame(icmpError(toLocal, { quoted: gre.bytes.subarray(0, 28) }))
      }
      const expected = port === null ? ofGre : own
      expect(await leftOut(filter, expected)).toEqual(Object.keys(expected))
      expect(await leftOut(filter, port === null ? { ...own, ...strange } : { ...ofGre, ...strange })).toEqual([])
    }
  )
})

test('over IPv6', async () => {
  const filter = packetsTo({ remote: 'fd50::1', protocol: 17, port: 4789 })
  const ends = { source: 'fd50::2', destination: 'fd50::1', data }
  const packet = ipv6Udp({ ...ends, destinationPort: 4789 })
  /** A message of ICMPv6, between any two hosts, with the first bytes of a packet. */
  const message = (type: number, quoted: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from([type, 4, 0, 0, 0, 0, 0, 0]), quoted])
    const header = Buffer.from(ipv6Udp({ source: 'fd17::2', destination: 'fd17::3', data: body }).bytes.subarray(0, 40))
    header.writeUInt16BE(body.length, 4)
    header[6] = 58
    return frame({ type: 0x86dd, bytes: Buffer.concat([header, body]) })
  }
  const foreign = ipv6Udp({ ...ends, destination: 'fd50::9', destinationPort: 4789 })
  const [first, second] = ipv6Fragments(packet, 16).map(frame)
  expect(
    await leftOut(filter, {
      'a packet': frame(packet),
      'its first fragment': first ?? Buffer.alloc(0),
      'its second fragment': second ?? Buffer.alloc(0),
      'an answer': message(1, packet.bytes),
      'another port': frame(ipv6Udp({ ...ends, destinationPort: 4790 })),
      'another host': frame(foreign),
      'an answer about others': message(1, foreign.bytes),
      'an unassigned type': message(100, packet.bytes),
      'a long message': message(1, Buffer.concat([packet.bytes, Buffer.alloc(1300, 65)]))
    })
  ).toEqual(['a packet', 'its first fragment', 'its second fragment', 'an answer'])
})
