/** In which ways the traffic of sources is not whole, and what is not accused. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { countConversations } from '../../src/host/traffic/tally-conversations.ts'
import { countMirror, talliedBytes } from '../../src/host/traffic/tally-mirror.ts'
import { tallyFilter } from '../../src/look/hear-sources.ts'
import { judgeMirror } from '../../src/status/judge-mirror.ts'
import { writeVerdicts } from '../../src/status/output/traffic-text.ts'
import { arp, BROADCAST, ether, ipv4Udp, ipv6Udp, qinq, vlan } from '../lab/frames/frames.ts'
import {
  brokenTraffic,
  CLIENT,
  chatter,
  isFromClient,
  numbered,
  SERVER,
  talk,
  wholeTraffic
} from '../lab/frames/mirrored.ts'

/** What tcpdump compiled for tc, by expression. */
const programs: Readonly<Record<string, string>> = JSON.parse(
  readFileSync('test/fixtures/status/filter-programs.json', 'utf8')
)

interface Place {
  readonly isPort?: boolean
  /** Both directions of its conversations come there. */
  readonly isFollowed?: boolean
  readonly filter?: string
}

/** Judges sources that belong together. Frames of them come in turns. */
function judgeAll(sources: Readonly<Record<string, readonly Buffer[]>>, place: Place = {}) {
  const { isPort = true, isFollowed = true, filter = null } = place
  const conversations = countConversations()
  const heard = Object.entries(sources).map(([name, frames]) => {
    const program = filter === null ? null : (programs[filter] ?? null)
    expect(filter === null || program !== null).toBe(true)
    return { name, frames, counter: countMirror('02:ff:ff:ff:ff:01', tallyFilter(program, filter)) }
  })
  for (let at = 0; at < Math.max(...heard.map(({ frames }) => frames.length)); at++) {
    for (const { frames, counter } of heard) {
      const frame = frames[at]
      if (frame === undefined) continue
      counter.count(frame.subarray(0, talliedBytes), frame.length)
      conversations.count(frame.subarray(0, talliedBytes), at / 10_000, isFollowed)
    }
  }
  const tallied = heard.map(({ name, counter }) => ({ name, filter, isPort, tally: counter.tally() }))
  return judgeMirror('span0', tallied, conversations.tally())
}

const judge = (frames: readonly Buffer[], filter?: string, place: Place = {}) =>
  judgeAll({ ens192: frames }, { ...place, ...(filter !== undefined && { filter }) }).findings
const codesOf = (frames: readonly Buffer[], filter?: string) => judge(frames, filter).map(({ code }) => code)
const textOf = (frames: readonly Buffer[], filter?: string) =>
  judge(frames, filter)
    .map(({ message, hint }) => `${message} | ${hint}`)
    .join('\n')

test.each(Object.entries(wholeTraffic))('%s: nothing is said', (_, frames) => {
  expect(judge(frames)).toEqual([])
})

test.each(Object.entries(brokenTraffic))('%s is found, and nothing else', (code, frames) => {
  expect(codesOf(frames)).toEqual([code])
  expect(codesOf([...frames, ...chatter(10)])).toEqual([code])
})

test('a part is enough, and what is no more than chance is not', () => {
  const [whole, half] = [numbered(talk(20)), numbered(talk(40)).slice(160).filter(isFromClient)]
  expect(textOf([...whole, ...half])).toMatch(
    /^span span0: ens192: 36 % of the TCP frames are of conversations of which only one/
  )
  expect(judge([...whole, ...half.slice(0, 8)])).toEqual([])
  expect(judge([...whole, ...whole.slice(0, 10)])).toEqual([])
  expect(textOf([...whole, ...whole])).toContain('50 % of the frames come a second time')
})

test('at a container, there are few hosts, and the file may ask for one direction', () => {
  const codesAt = (isFollowed: boolean) =>
    [brokenTraffic.TRAFFIC_FLOODED, brokenTraffic.TRAFFIC_ONE_SIDED].flatMap((frames) =>
      judge(frames, undefined, { isPort: false, isFollowed }).map(({ code }) => code)
    )
  expect([codesAt(false), codesAt(true)]).toEqual([[], ['TRAFFIC_ONE_SIDED']])
})

test('few frames tell nothing', () => {
  for (const frames of Object.values(brokenTraffic)) expect(judge(frames.slice(0, 19))).toEqual([])
})

test('where packets are cut, and how short', () => {
  expect(textOf(brokenTraffic.TRAFFIC_CUT)).toContain(
    '25 % of the IP packets are cut short: the longest frame of these has 80 bytes'
  )
})

describe('sources that belong together', () => {
  const whole = numbered(talk(20))
  const [requests, replies] = [whole.filter(isFromClient), whole.filter((frame) => !isFromClient(frame))]

  test('a tap with a cable for each direction, and a bond over two cables, are whole', () => {
    expect(judgeAll({ ens192: requests, ens193: replies })).toMatchObject({ findings: [], isWhole: true })
  })

  test('one direction at both, and the same at both, are not', () => {
    const halves = { ens192: requests.slice(0, 40), ens193: requests.slice(40) }
    expect(judgeAll(halves).findings.map(({ message }) => message)).toEqual([
      'span span0: ens192, ens193: 100 % of the TCP frames are of conversations of which only one direction comes'
    ])
    expect(judgeAll({ ens192: whole, ens193: whole }).findings.map(({ message }) => message)).toEqual([
      'span span0: ens192, ens193: 50 % of the frames come a second time'
    ])
  })
})

describe('what is no more than part of it', () => {
  test('some that repeat, among many of which that cannot be told', () => {
    const poll = ether(
      SERVER,
      CLIENT,
      ipv4Udp({ source: '10.0.0.1', destination: '192.0.2.1', destinationPort: 161, data: Buffer.alloc(40) })
    )
    const quic = Array.from({ length: 2500 }, () =>
      ether(
        SERVER,
        CLIENT,
        ipv6Udp({ source: '2001:db8::1', destination: '2001:db8::2', destinationPort: 443, data: Buffer.alloc(8) })
      )
    )
    expect(judge([...numbered([poll]), ...quic, ...Array.from({ length: 41 }, () => numbered([poll])).flat()])).toEqual(
      []
    )
  })

  test('a storm of broadcasts at a mirror port that works', () => {
    const storm = Array.from({ length: 10_000 }, () =>
      ether(
        BROADCAST,
        CLIENT,
        arp({ operation: 'request', senderMac: CLIENT, senderIp: '10.0.0.5', targetIp: '10.0.0.9' })
      )
    )
    expect(judge([...storm, ...numbered(talk(9))])).toEqual([])
    expect(codesOf([...storm, ...numbered(talk(2))])).toEqual(['TRAFFIC_FLOODED'])
    // What a switch floods, for it does not know the host, is at each port.
    expect(codesOf([...chatter(400), ...numbered(talk(2))])).toEqual(['TRAFFIC_FLOODED'])
    expect(judge([...chatter(90), ...numbered(talk(2))])).toEqual([])
  })
})

test('what was heard and is no warning is said in a line', () => {
  const verdicts = [
    judgeAll({ ens192: numbered(talk(20)) }),
    judgeAll({ ens193: chatter(5) }),
    judgeAll({ ens194: chatter(90) })
  ]
  expect(verdicts.map(({ isWhole }) => isWhole)).toEqual([true, null, false])
  expect(writeVerdicts(verdicts)).toBe(
    '\nspan span0: 160 frames of ens192 were looked at: before filters, the traffic is\nwhole, as far as frames tell.\nspan span0: 5 frames of ens193: too few to tell whether the traffic is whole.\n'
  )
  expect(writeVerdicts(verdicts.slice(2))).toBe('')
})

describe('VLANs that a filter asks for', () => {
  const tagged = (...ids: readonly number[]) =>
    ids.flatMap((id) => talk(5, { wrap: (packet) => vlan(id, packet), first: id }))

  test('that come', () => {
    expect(judge(tagged(20), 'vlan')).toEqual([])
    expect(judge(talk(10), 'tcp port 443')).toEqual([])
    expect(judge(talk(10, { wrap: (packet) => qinq(20, 30, packet) }), 'vlan 20 and vlan 30')).toEqual([])
  })

  test.each([
    'not vlan 30',
    'tcp and not vlan 30',
    '!vlan 30',
    'not (vlan 30 or vlan 40) and tcp',
    'vlan 20 and not port 22',
    'vlan 20 and not ((tcp and port 80) or vlan 30)',
    'vlan 0x14'
  ])('%s', (filter) => {
    expect(judge(tagged(20), filter)).toEqual([])
  })

  test('beside what is negated', () => {
    expect(codesOf(tagged(20), 'not port 22 and vlan 30')).toEqual(['TRAFFIC_VLANS'])
    expect(codesOf(tagged(20), 'vlan 30 and not (port 22 or port 23)')).toEqual(['TRAFFIC_VLANS'])
  })

  test('and no frame has a tag', () => {
    expect(textOf(talk(10), 'vlan 20')).toMatch(
      /asks for VLAN 20, and no frame has the tag of one \| .*encapsulation replicate/
    )
    expect(textOf(talk(10), 'vlan')).toMatch(/asks for tags of VLANs, and no frame has the tag of one/)
    // What has a priority alone is in no VLAN.
    expect(codesOf(talk(10, { wrap: (packet) => vlan(0, packet, 5) }), 'vlan 20')).toEqual(['TRAFFIC_VLANS'])
    expect(judge(talk(10), 'tcp or vlan 20')).toEqual([])
    // One that somebody has sent with a tag of their own hides nothing.
    const [forged = Buffer.alloc(0)] = tagged(20)
    expect(textOf([...talk(30), forged], 'vlan 20')).toContain(
      'asks for VLAN 20, and hardly a frame has the tag of one'
    )
  })

  test('one of which does not come', () => {
    expect(textOf(tagged(20, 7), 'vlan 20 or vlan 30')).toMatch(
      /asks for VLAN 20, 30, and no frame of VLAN 30 came meanwhile; what came: 20, 7 \|/
    )
    expect(textOf(tagged(20, 7), 'ether[14:2] & 0xfff = 20 or vlan 30')).toMatch(
      /asks for VLAN 30, and no frame of VLAN 30 came meanwhile; what came: 20, 7 \|/
    )
  })

  test('that come behind another tag', () => {
    const frames = talk(10, { wrap: (packet) => qinq(4000, 20, packet) })
    expect(textOf(frames, 'vlan 20')).toMatch(
      /and VLAN 20 comes behind another tag, of VLAN 4000 \| .*"vlan 4000 and vlan/
    )
  })

  test('that come, and of which pcap-filter(7) takes none', () => {
    expect(textOf(tagged(20, 30), 'vlan 20 or vlan 30')).toMatch(
      /: frames of VLAN 30 come, and the filter takes none of these: what stands right of "vlan" is looked for behind a VLAN tag \| have a span for each VLAN/
    )
    const within = (id: number) => talk(5, { wrap: (packet) => qinq(100, id, packet), first: id })
    expect(textOf([...within(20), ...within(30)], 'vlan 100 and (vlan 20 or vlan 30)')).toMatch(
      /^\S+ \S+ ens192: frames of VLAN 30 come/
    )
  })
})
