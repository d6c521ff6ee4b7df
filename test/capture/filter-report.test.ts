/** What `filter test` counts of frames, and what it prints, whatever the frames are. */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderFilterReport } from '../../src/capture/filter-report.ts'

import { readCapture } from '../../src/host/traffic/read-capture.ts'
import { countKinds, judgedBytes, kindOf } from '../../src/host/traffic/tally-kinds.ts'
import { plain } from '../../src/printable.ts'
import { judgeBy, seenByTc } from '../../src/resources/programs/run-program.ts'
import { widthOf } from '../../src/text-lines.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'
import { runProgram } from '../lab/frames/classic-bpf.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Ping,
  ipv4Tcp,
  ipv4Udp,
  ipv6Fragments,
  ipv6Tcp,
  ipv6Udp,
  neighbourSolicitation,
  qinq,
  vlan,
  writePcap
} from '../lab/frames/frames.ts'

const [HOST, SWITCH] = ['02:00:00:00:0a:02', '02:00:00:00:0a:01']
const ends = { source: '192.0.2.1', destination: '192.0.2.2' }
const ends6 = { source: '2001:db8::1', destination: '2001:db8::2' }
const segment = { flags: 0x18, sequence: 1 }
const web = ipv4Tcp({ ...ends, ...segment, destinationPort: 80, data: Buffer.from('hello') })
const dns = ipv4Udp({ ...ends, destinationPort: 53, data: Buffer.from('question') })
const big = ipv6Udp({ ...ends6, data: Buffer.alloc(2000) })
const wrap = (payload: Parameters<typeof ether>[2]) => ether(HOST, SWITCH, payload)
const who = arp({ operation: 'request', senderMac: SWITCH, senderIp: '192.0.2.1', targetIp: '192.0.2.9' })

/** What tcpdump -ddd -y EN10MB compiles these to; with a VLAN, what it compiles for a live interface. */
const programs = {
  // tcp port 80
  web: '20,40 0 0 12,21 0 6 34525,48 0 0 20,21 0 15 6,40 0 0 54,21 12 0 80,40 0 0 56,21 10 11 80,21 0 10 2048,48 0 0 23,21 0 8 6,40 0 0 20,69 6 0 8191,177 0 0 14,72 0 0 14,21 2 0 80,72 0 0 16,21 0 1 80,6 0 0 262144,6 0 0 0',
  // vlan 10
  tagged:
    '15,48 0 0 4294963248,21 4 0 1,40 0 0 12,21 2 0 33024,21 1 0 34984,21 0 8 37120,48 0 0 4294963248,21 0 2 1,48 0 0 4294963244,5 0 0 1,40 0 0 14,84 0 0 4095,21 0 1 10,6 0 0 262144,6 0 0 0'
}

describe('what is in a frame', () => {
  test.each([
    ['TCP', wrap(web), { network: 'ipv4', transport: 'tcp', vlan: null }],
    ['UDP in a VLAN', wrap(vlan(7, dns)), { network: 'ipv4', transport: 'udp', vlan: 7 }],
    ['behind two tags', wrap(qinq(100, 20, web)), { network: 'ipv4', transport: 'tcp', vlan: 100 }],
    ['a tag of VLAN 0', wrap(vlan(0, web, 5)), { network: 'ipv4', transport: 'tcp', vlan: null }],
    ['ICMP', wrap(ipv4Ping(ends)), { network: 'ipv4', transport: 'icmp', vlan: null }],
    ['ICMP of IPv6', wrap(neighbourSolicitation(SWITCH, 'fe80::1', 'fe80::2')), { network: 'ipv6', transport: 'icmp' }],
    [
      'TCP of IPv6',
      wrap(ipv6Tcp({ ...ends6, ...segment, destinationPort: 80 })),
      { network: 'ipv6', transport: 'tcp' }
    ],
    ['fragments of IPv6', wrap(ipv6Fragments(big, 800)[1] ?? big), { network: 'ipv6', transport: 'udp' }],
    ['ARP', ether(BROADCAST, SWITCH, who), { network: 'arp', transport: null }],
    ['anything else', wrap(filler(60)), { network: 'other', transport: null }],
    ['nothing', Buffer.alloc(0), { network: 'other', transport: null, vlan: null }],
    ['half a tag', wrap(vlan(7, dns)).subarray(0, 15), { network: 'other', transport: null, vlan: null }],
    ['half of IP', wrap(web).subarray(0, 20), { network: 'ipv4', transport: 'other' }]
  ])('%s', (_, frame, kind) => {
    expect(kindOf(frame)).toMatchObject(kind)
  })

  test('any bytes are some kind', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => kindOf(Buffer.from(bytes)) !== null))
  })
})

const judgeFrame = (program: string, frame: Buffer, known = judgedBytes) =>
  judgeBy(program)(seenByTc(frame.subarray(0, known), frame.length))

describe('whether a program takes a frame', () => {
  test('of all kinds, with the tag beside the frame', () => {
    expect(judgeFrame(programs.web, wrap(web))).toBe('accepted')
    expect(judgeFrame(programs.web, wrap(dns))).toBe('refused')
    expect(judgeFrame(programs.web, wrap(ipv6Tcp({ ...ends6, ...segment, destinationPort: 80 })))).toBe('accepted')
    // tc has the tag beside the frame: the filter sees what is behind it.
    expect(judgeFrame(programs.web, wrap(vlan(10, web)))).toBe('accepted')
    expect(judgeFrame(programs.tagged, wrap(vlan(10, dns)))).toBe('accepted')
    expect(judgeFrame(programs.tagged, wrap(vlan(11, dns)))).toBe('refused')
    expect(judgeFrame(programs.tagged, wrap(dns))).toBe('refused')
  })

  test('what is behind the end is refused, and what is not known is neither', () => {
    const tcp = wrap(web)
    expect(judgeFrame(programs.web, tcp.subarray(0, 30))).toBe('refused')
    expect(judgeFrame(programs.web, tcp, 30)).toBe('unknown')
    // inbound, ifindex: what only the kernel knows.
    expect(judgeFrame('2,40 0 0 4294963204,22 0 0 0', tcp)).toBe('unknown')
    expect(judgeFrame('1,40 0 0 12', tcp)).toBe('unknown')
  })

  test('divisions by 0, and lengths', () => {
    expect(judgeFrame('4,0 0 0 5,1 0 0 0,60 0 0 0,6 0 0 1', wrap(web))).toBe('refused')
    expect(judgeFrame('3,128 0 0 0,37 0 1 100,6 0 0 0', wrap(filler(200)))).toBe('refused')
    expect(judgeFrame('4,128 0 0 0,37 0 1 100,6 0 0 1,6 0 0 0', wrap(filler(200)))).toBe('accepted')
  })

  test('as another that runs programs, for frames of all kinds', () => {
    const commands = readFileSync('test/fixtures/plan/fresh/commands.txt', 'utf8')
    const own = [...commands.matchAll(/bytecode '?"?(\d+,[\d ,]+)/g)].flatMap(([, program]) => program ?? [])
    expect(own.length).toBeGreaterThan(0)
    const made = [web, dns, big, vlan(10, web), qinq(10, 20, dns), who, ipv4Ping(ends)].map(wrap)
    const anyFrame = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.tuple(fc.constantFrom(...made), fc.nat(2000)).map(([frame, length]) => frame.subarray(0, length))
    )
    const isStripped = (frame: Buffer) => frame.length >= 16 && [0x8100, 0x88a8].includes(frame.readUInt16BE(12))
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(programs), ...own), anyFrame, (program, frame) => {
        const bytes = isStripped(frame) ? Buffer.concat([frame.subarray(0, 12), frame.subarray(16)]) : frame
        const tag = isStripped(frame) ? { tag: frame.readUInt16BE(14) } : {}
        const { result } = runProgram(program, { frame: bytes, ...tag })
        return judgeFrame(program, frame, frame.length) === (result === 0 ? 'refused' : 'accepted')
      }),
      { numRuns: 2000 }
    )
  })
})

/** What is counted of a capture of these frames. */
function tallyOf(frames: readonly Buffer[], program = programs.web) {
  const counter = countKinds()
  const judge = judgeBy(program)
  const reader = readCapture(judgedBytes, (frame, size) => {
    counter.count(frame, size, judge(seenByTc(frame, size)))
    return true
  })
  reader.push(writePcap(frames))
  expect(reader.isSound()).toBe(true)
  return counter.tally()
}

const times = (count: number, frame: Buffer) => Array.from({ length: count }, () => frame)
const report = { expression: 'tcp port 80', on: 'ens192', seconds: 5.02, missed: 0 }

test('what a person reads: a row for each kind that there was, 80 columns at most', async () => {
  const tally = tallyOf([
    ...times(1500, wrap(web)),
    ...times(300, wrap(vlan(10, web))),
    ...Array.from({ length: 12 }, (_, index) => wrap(vlan(100 + index, dns))),
    ...times(7, wrap(ipv4Ping(ends))),
    ...times(2, wrap(filler(200))),
    ether(BROADCAST, SWITCH, who),
    wrap(ipv6Udp({ ...ends6 }))
  ])
  const text = [
    renderFilterReport({ ...report, tally }, plain),
    renderFilterReport({ ...report, missed: 1234, tally: { ...tallyOf([wrap(dns)]), unjudged: 1 } }, plain),
    renderFilterReport({ ...report, tally: tallyOf([]) }, plain)
  ].join('\n')
  await expect(text).toMatchFileSnapshot('../fixtures/filter-test.txt')
  expect(text.split('\n').filter((line) => widthOf(line) > 80)).toEqual([])
})

test('nothing that a terminal obeys', () => {
  const hostile = {
    ...report,
    expression: 'port \u001b[31m 80\n\u202e',
    on: '\u001b]0;x\u0007',
    tally: tallyOf([wrap(web)])
  }
  expect(renderFilterReport(hostile, plain)).not.toMatch(unprintable)
})

test('whatever comes, each frame is counted once in each part', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: judgedBytes }), { maxLength: 30 }), (frames) => {
      const { total, networks, vlans } = tallyOf(frames.map((bytes) => Buffer.from(bytes)))
      const sum = (rows: Iterable<{ all: { frames: number } }>) =>
        [...rows].reduce((all, row) => all + row.all.frames, 0)
      return [total.all.frames, sum(networks.values()), sum(vlans.values())].every((count) => count === frames.length)
    })
  )
})
