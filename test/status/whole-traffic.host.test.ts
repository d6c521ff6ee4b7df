/** status --for tells whether what a source carries is whole: with real frames, in each way in which it is not. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { ether, filler, ipv4Syn, ipv4Udp, qinq, vlan } from '../lab/frames/frames.ts'
import { CLIENT, chatter, isFromClient, numbered, SERVER, talk } from '../lab/frames/mirrored.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
beforeAll(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 1500 },
      { card: 'ens193', mtu: 1500 }
    ]
  })
})
afterAll(() => lab?.close())

/** More than are sent: no frame comes twice. */
const whole = numbered(talk(2500))

const ends = { source: '10.0.0.1', destination: '192.0.2.1' }
const syn = (destinationPort: number) =>
  ether(SERVER, CLIENT, ipv4Syn({ ...ends, sourcePort: 9, destinationPort, data: Buffer.alloc(0) }))
const log = ether(SERVER, CLIENT, ipv4Udp({ ...ends, destinationPort: 514, data: Buffer.alloc(80, 'x') }))

/** The codes of what is said of the traffic, and what is said. */
async function look(frames: readonly Buffer[], filter = ''): Promise<[codes: string[], text: string]> {
  const source = `interface: ens192, direction: ingress${filter === '' ? '' : `, filter: ${filter}`}`
  await writeSpans(lab, `spans: {span0: {sources: [{${source}}]}}`)
  await spanplan(lab, ['apply', '--yes'])
  const before = await lab.snapshotText()
  const stop = await lab.stream(frames, 300)
  const { stdout } = await lab.spanplan(['status', '--json', '--for', '2s'])
  await stop()
  expect(await lab.snapshotText()).toBe(before)
  const { warnings }: { warnings: { code: string; message: string; hint: string }[] } = JSON.parse(stdout)
  const said = warnings.filter(({ code }) => code.startsWith('TRAFFIC_'))
  return [said.map(({ code }) => code), said.map(({ message, hint }) => `${message} | ${hint}`).join('\n')]
}

test.each<[string, readonly Buffer[]]>([
  ['conversations over IPv4', whole],
  ['conversations over IPv6, in a VLAN', talk(2500, { isIpv6: true, wrap: (packet) => vlan(20, packet) })],
  [
    'conversations behind two tags, with what switches say',
    [...talk(2000, { wrap: (packet) => qinq(10, 30, packet) }), ...chatter(90)]
  ],
  ['a scan that nobody answers', numbered(Array.from({ length: 20_000 }, (_, port) => syn(port + 1)))],
  ['logs over UDP, in one direction', numbered(Array.from({ length: 20_000 }, () => log))],
  ['pictures of cameras, to groups', Array.from({ length: 100 }, () => ether('01:00:5e:01:02:03', CLIENT, filler(900)))]
])('nothing is said of %s', async (_, frames) => {
  expect(await look(frames)).toEqual([[], ''])
})

test.each([
  [
    'TRAFFIC_FLOODED',
    chatter(90),
    /span span0: ens192: no frame is for a single host: .*\| unless no host talks just now, the switch does not/
  ],
  [
    'TRAFFIC_ONE_SIDED',
    whole.filter(isFromClient),
    /100 % of the TCP frames are of conversations of which only one direction/
  ],
  ['TRAFFIC_REPEATED', whole.flatMap((frame) => [frame, frame]), /(49|50) % of the frames come a second time/],
  ['TRAFFIC_CUT', numbered(talk(2500)).map((frame) => frame.subarray(0, 80)), /the longest frame of these has 80 bytes/]
] as const)('%s', async (code, frames, text) => {
  const [codes, said] = await look(frames)
  expect(codes).toEqual([code])
  expect(said).toMatch(text)
})

const inVlan = (id: number) => talk(2500, { wrap: (packet) => vlan(id, packet), first: 100 * id })
const [in20, in30] = [inVlan(20), inVlan(30)]
const bothVlans = in20.flatMap((frame, index) => [frame, in30[index] ?? frame])

test.each([
  ['no frame has', whole, 'vlan 20', 'the filter asks for VLAN 20, and no frame has the tag of one'],
  [
    'one of which does not come',
    inVlan(20),
    'vlan 20 or vlan 30',
    'and no frame of VLAN 30 came meanwhile; what came: 20'
  ],
  [
    'that come behind another one',
    talk(2500, { wrap: (packet) => qinq(4000, 20, packet) }),
    'vlan 20',
    'VLAN 20 comes behind another tag, of VLAN 4000'
  ],
  [
    'that come, and that the filter does not take',
    bothVlans,
    'vlan 20 or vlan 30',
    'frames of VLAN 30 come, and the filter takes none of these'
  ],
  ['any of which would do', whole, 'vlan', 'the filter asks for tags of VLANs, and no frame has the tag of one']
])('tags for which the filter asks, and %s', async (_, frames, filter, text) => {
  const [codes, said] = await look(frames, filter)
  expect(codes).toEqual(['TRAFFIC_VLANS'])
  expect(said).toContain(text)
})

test('a person reads it as a warning; a short look, and one since the watch began, do not listen', async () => {
  await look(whole)
  const stop = await lab.stream(whole.filter(isFromClient), 300)
  const { stderr } = await lab.spanplan(['status', '--for', '2s'])
  expect(stderr).toMatch(/^warning: span span0: ens192: 100 % of the TCP frames/m)
  expect((await lab.spanplan(['status'])).stderr).not.toContain('TCP frames')
  await stop()
})

/** What is said of the traffic of two cables in one span. */
async function lookAtTwo(first: readonly Buffer[], second: readonly Buffer[], options?: SpanplanOptions) {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192, direction: ingress}, {interface: ens193, direction: ingress}]}}'
  )
  await spanplan(lab, ['apply', '--yes'])
  const stops = [await lab.stream(first, 300), await lab.stream(second, 300, 'sw1')]
  const { stdout, stderr } = await lab.spanplan(['status', '--for', '2s'], options)
  await Promise.all(stops.map((stop) => stop()))
  return { stdout, stderr }
}

/** So few that each comes again and again: the two cables are not in step. */
const few = numbered(talk(20))
const [requests, replies] = [few.filter(isFromClient), few.filter((frame) => !isFromClient(frame))]

test('a tap, which has a cable for each direction, is whole, and that is said', async () => {
  const { stdout, stderr } = await lookAtTwo(requests, replies)
  expect(stderr).not.toContain('warning')
  expect(stdout).toMatch(/^span span0: [\d,]+ frames of ens192, ens193 were looked at: before filters, the/m)
})

test('where tcpdump cannot listen, nothing is said to be whole', async () => {
  const { options } = await wrapPrograms(lab, {
    // Whoever ends the other one ends this process.
    tcpdump: `case "$*" in
      *"-i ens193"*) echo "tcpdump: ens193: made up" >&2; exit 1 ;;
      *"-i ens192"*) exec ${findProgram('tcpdump')} "$@" ;;
    esac`
  })
  const { stdout, stderr } = await lookAtTwo(requests, replies, options)
  expect(stderr).toMatch(/whether the traffic of ens193 is whole is not known: tcpdump ended: .*ens193: made up/)
  expect(stdout).not.toContain('were looked at')
})

test('of two spans, each is judged by what it copies', async () => {
  await writeSpans(
    lab,
    `spans:
  span0: {sources: [{interface: ens192, direction: ingress}]}
  span1: {sources: [{interface: ens192, direction: egress}]}`
  )
  await spanplan(lab, ['apply', '--yes'])
  const stop = await lab.stream(whole.filter(isFromClient), 300)
  const { stdout } = await lab.spanplan(['status', '--json', '--for', '2s'])
  await stop()
  const { traffic }: { traffic: { span: string; whole: boolean | null; findings: { code: string }[] }[] } =
    JSON.parse(stdout)
  expect(traffic.map(({ span, whole, findings }) => [span, whole, ...findings.map(({ code }) => code)])).toEqual([
    ['span0', false, 'TRAFFIC_ONE_SIDED'],
    ['span1', null]
  ])
})
