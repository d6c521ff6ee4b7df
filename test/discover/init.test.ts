/** What init says of interfaces, and the file that it writes, whatever the names are. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { interfacesDocument, type ListedInterface, renderInterfaces } from '../../src/discover/interface-list.ts'
import { compareLikelihood, judgeTraffic, type Observation } from '../../src/discover/judge-traffic.ts'
import { problemOf } from '../../src/discover/refusal.ts'
import { findSensors, writeSpans } from '../../src/discover/write-spans.ts'
import type { Link } from '../../src/host/snapshot.ts'
import type { LinkTraffic } from '../../src/host/traffic/read-traffic.ts'
import { countFrames, sampledBytes } from '../../src/host/traffic/tally-frames.ts'
import { plain } from '../../src/printable.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { widthOf } from '../../src/text-lines.ts'
import { arp, BROADCAST, ether, filler, vlan, writePcap } from '../lab/frames/frames.ts'

const OWN = '02:00:00:00:01:00'
const host = (number: number) => `02:00:00:00:0a:${number.toString(16).padStart(2, '0')}`

const who = (number: number) =>
  ether(
    BROADCAST,
    host(number),
    arp({ operation: 'request', senderMac: host(number), senderIp: '10.0.0.5', targetIp: '10.0.0.9' })
  )
const between = (number: number) => ether(host(number), host(number + 1), filler(60))
const times = <Made>(count: number, make: (number: number) => Made) =>
  Array.from({ length: count }, (_, index) => make(index))

function trafficOf(frames: readonly Buffer[]): LinkTraffic {
  const counter = countFrames(OWN, 5000)
  counter.push(writePcap(frames.map((frame) => frame.subarray(0, sampledBytes))))
  return { framesPerSecond: frames.length / 2, bitsPerSecond: 480 * frames.length, tally: counter.tally() }
}

const up = { up: true, carrier: true }
const counted = (framesPerSecond: number): LinkTraffic => ({ framesPerSecond, bitsPerSecond: 8e3, tally: null })

const cases: readonly (readonly [what: string, seen: Partial<Observation>, says: string])[] = [
  [
    'a mirror port',
    { traffic: trafficOf([...times(90, between), ...times(10, who)]) },
    'mirror: looks like a mirror port: 90 % of the frames are for other hosts, none for this one; 91 senders'
  ],
  [
    'a mirror port of many VLANs',
    { traffic: trafficOf(times(8, (id) => ether(host(1), host(2), vlan(id + 1, filler(60))))) },
    'mirror: looks like a mirror port: 100 % of the frames are for other hosts, none for this one; 1 sender, VLANs 1, 2, 3, 4, 5 and 3 more'
  ],
  [
    'a mirror port, whose host is spoken to now and then',
    { traffic: trafficOf([...times(199, between), ether(OWN, host(1), filler(60))]) },
    'mirror: looks like a mirror port: 99 % of the frames are for other hosts, less than 1 % for this one; 199 senders'
  ],
  [
    'an access port',
    { traffic: trafficOf(times(5, who)) },
    'access: an access port: broadcasts only, of 5 senders; the switch does not mirror to it yet'
  ],
  [
    'an access port to which the switch floods a frame',
    { traffic: trafficOf([...times(9, who), between(1)]) },
    'access: an access port: little but broadcasts, of 9 senders; the switch does not mirror to it yet'
  ],
  [
    'a port that is spoken to',
    { traffic: trafficOf([ether(OWN, host(1), filler(60)), who(1)]) },
    'host: no mirror port: 50 % of the frames are for this host, none for others'
  ],
  ['a silent one', { traffic: trafficOf([]) }, 'silent: silent: nothing came meanwhile'],
  ['a silent one, without tcpdump', { traffic: counted(0) }, 'silent: silent: nothing came meanwhile'],
  [
    'a busy one, without tcpdump',
    { traffic: counted(7) },
    'unknown: it receives frames; who they are for is not known'
  ],
  ['one that is down', { link: { up: false, carrier: false } }, 'down: down: spanplan apply brings it up'],
  [
    'one without a cable',
    { link: { up: true, carrier: false } },
    'no_carrier: no carrier: nothing is at the other end of its cable, or that is off'
  ],
  [
    "the host's own, whatever comes",
    { use: "the host's own: has the default route", traffic: trafficOf(times(9, between)) },
    "in_use: the host's own: has the default route"
  ],
  ['one that has gone', { traffic: undefined }, 'gone: it went away just now']
]

test.each(cases)('%s', (_, seen, says) => {
  const { kind, message } = judgeTraffic({ link: up, use: null, traffic: counted(0), ...seen })
  expect(`${kind}: ${message}`).toBe(says)
})

/** A cast: of a link, the list reads no more. */
const linkOf = (name: string, state = up) => ({ name, ...state }) as Link

const list = {
  listed: cases
    .filter(([, seen]) => !('traffic' in seen) || seen.traffic !== undefined)
    .map(([, seen], index): ListedInterface => {
      const observation = { link: up, use: null, traffic: counted(0), ...seen }
      const link = linkOf(`ens${index}`, observation.link)
      return {
        ...observation,
        link,
        driver: 'ixgbe',
        speed: index % 2 ? 25e9 : null,
        verdict: judgeTraffic(observation)
      }
    })
    .sort(compareLikelihood),
  leftOut: [
    ...['veth1', 'veth2', 'veth3', 'veth4'].map((name) => ({ name, reason: 'a port of the bridge docker0' })),
    { name: 'ens160', reason: "the host's own: has the default route" },
    { name: '\u001b[31mred', reason: 'the name of interface \u001b[31mred cannot be passed to tc' }
  ].map(({ name, reason }) => ({ link: linkOf(name), reason, isPossible: false })),
  seconds: 2.03
}

test('what a person reads: the likeliest first, 100 columns at most, nothing that a terminal obeys', async () => {
  const text = renderInterfaces(list, plain)
  await expect(text).toMatchFileSnapshot('../fixtures/init/list.txt')
  expect(text.split('\n').filter((line) => widthOf(line) > 100)).toEqual([])
  expect(text).not.toContain('\u001b')
  expect(renderInterfaces({ listed: [], leftOut: [], seconds: 2 }, plain)).toBe(
    'No interface of this host may be a mirror port.\n'
  )
})

test('what a program reads', () => {
  const { interfaces, left_out, ...document } = interfacesDocument(list, '2026-01-01T00:00:00.000Z')
  expect(document).toMatchObject({ type: 'interfaces', format_version: '1.0', seconds: 2.03 })
  expect(interfaces.find(({ name }) => name === 'ens0')).toMatchObject({
    ...{ name: 'ens0', up: true, carrier: true, driver: 'ixgbe', speed: null, kind: 'mirror' },
    sample: { frames: 100, to_own: 0, to_groups: 10, to_others: 90, senders: 91, group_senders: 10, vlans: [] }
  })
  expect(interfaces.find(({ kind }) => kind === 'unknown')).toMatchObject({ frames_per_second: 7, sample: null })
  expect(left_out).toContainEqual({ name: 'ens160', reason: "the host's own: has the default route" })
})

const created = '2026-01-01T00:00:00.000Z'
const load = (text: string) => loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }])

test('the file, with two sources and two sensors', async () => {
  const sources = list.listed.slice(0, 2).map(({ link, verdict }) => ({ name: link.name, verdict }))
  const text = writeSpans({ span: 'span0', sources, sensors: ['suricata', 'zeek'], created })
  await expect(text).toMatchFileSnapshot('../fixtures/init/spans.yaml')
  expect(load(text).spans).toMatchObject([
    { name: 'span0', sources: sources.map(({ name }) => ({ interface: name, directions: ['received'] })), sensors: [] }
  ])
  // What stands in comments is valid too.
  const taken = text.replace(/^( *)# ( *(sensors:|interfaces:|dedicated:.*|span0b:|sources:|ens\d+:|- .*))$/gm, '$1$2')
  const { spans, interfaces } = load(taken)
  expect(spans.map(({ name, sensors }) => [name, sensors.length])).toEqual([
    ['span0', 2],
    ['span0b', 0]
  ])
  expect(interfaces).toMatchObject([{ dedicated: true }])
})

test('whatever the names are, the file is valid, and says these', () => {
  const name = fc.string({ minLength: 1, maxLength: 15, unit: 'binary' })
  const verdict = { kind: 'mirror', message: 'looks like\n a mirror \u001b[31mport' } as const
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 3 }), fc.array(name), (names, images) => {
      const sources = names
        .filter((one) => problemOf('span0', { sources: [{ interface: one }] }) === null)
        .map((one) => ({ name: one, verdict }))
      fc.pre(sources.length > 0)
      const sensors = findSensors(images.map((one) => ({ name: one, image: 'jasonish/suricata:8.0' })))
      const { spans } = load(writeSpans({ span: 'span0', sources, sensors, created }))
      expect(spans[0]?.sources).toMatchObject(sources.map((source) => ({ interface: source.name })))
    }),
    { numRuns: 40 }
  )
})

test('sensors by their images', () => {
  const images = {
    a: 'jasonish/suricata:8.0',
    b: 'zeek/zeek',
    c: 'registry.example/ids/snort3@sha256:00',
    d: 'ghcr.io/idaholab/malcolm/zeek:24',
    e: 'arkime-capture',
    f: 'tenable/nessus:latest',
    g: 'debian:13',
    h: 'suricatalog/web',
    i: ''
  }
  const running = Object.entries(images).map(([name, image]) => ({ name, image }))
  expect(findSensors(running)).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  const hostile = ['a: b', '-x', '\u001b[31m', 'a\nb', 'x'.repeat(5000)].map((name) => ({ name, image: 'zeek/zeek' }))
  expect(findSensors(hostile)).toEqual([])
})
