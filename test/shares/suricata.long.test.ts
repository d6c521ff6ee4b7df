/** Real Suricatas share a span with two cables: each has its flows whole, and keeps them when another is killed. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { type Suricata, type SuricataEvent, startAllIds, startSuricata } from '../lab/docker/suricata.ts'
import { conversation } from '../lab/frames/conversation.ts'
import { ether, ipv4Fragments, ipv6Fragments, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, spanplan, until, writeSpans } from '../lab/spans.ts'

const names = ['suri-1', 'suri-2', 'suri-3', 'suri-4']

/** Who has the handshake, all fragments of the request, and from the other cable its acknowledgement, sees a request. */
const requestSid = 1
/** Of each packet, once it is put together from its fragments: by its window, which is that of all here. */
const packetSid = 2
const rules = `
alert http any any -> any any (msg:"request"; flow:established,to_server; http.uri; content:"/whole"; sid:${requestSid};)
alert tcp any any -> any any (msg:"packet"; window:64000; sid:${packetSid};)
`

/**
 * Two threads, so that a packet may come to the wrong one; of each, a ring that holds all packets that are sent before the next wait. How
 * slow the machine is, no flow ends for its age.
 */
const settings = `
af-packet:
  - interface: default
    threads: 2
    cluster-id: 99
    cluster-type: cluster_flow
    defrag: yes
    ring-size: 4096
flow-timeouts:
  tcp: {new: 3600, established: 3600, closed: 3600}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert: {metadata: no}
        - anomaly: {enabled: yes, types: {decode: yes, stream: yes, applayer: yes}}
        - stats: {totals: yes, threads: no}
`

let lab: Lab
let members: readonly Docker.Container[]
let suricatas: readonly Suricata[]
/** Beside the four, one that gets all. */
let unbalanced: Suricata

beforeAll(async () => {
  const cards = ['ens192', 'ens224']
  lab = await createLab({ cables: cards.map((card) => ({ card, mtu: 1500 })), docker: true })
  const [all, ...others] = await startAllIds(lab, ['all', ...names], rules)
  if (all === undefined) throw new Error('no container runs')
  members = others
  const sources = cards.map((card) => `{interface: ${card}, direction: ingress}`)
  const sensors = `{balance: [${names.join(', ')}]}, all`
  await writeSpans(lab, `spans: {span0: {sources: [${sources.join(', ')}], network: span, sensors: [${sensors}]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const start = (ids: Docker.Container) => startSuricata(lab, ids, 'logs', { settings })
  unbalanced = await start(all)
  suricatas = await Promise.all(members.map(start))
})
afterAll(() => lab?.close())

interface Flow {
  /** Of the client: as Suricata writes it. */
  readonly key: string
  /** Which flows are between the same hosts. */
  readonly index: number
  /** The frames of each turn. */
  readonly turns: readonly (readonly Buffer[])[]
}

const macOf = { client: '02:00:00:00:0b:01', server: '02:00:00:00:0b:02' } as const
/** Which end's turn it is: what the client sends comes by one cable, what the server sends by the other. */
const cables = ['sw0', 'sw1', 'sw0', 'sw0', 'sw1', 'sw0', 'sw1', 'sw0'] as const
const requestTurn = 3
const serverPort = 80

/** Of flows with the same index, the hosts are the same. Of eight, four are IPv6, four have a tag, four have fragments. */
function makeFlow(index: number, round: number): Flow {
  const [isSix, isTagged, isSplit] = [(index & 1) > 0, (index & 2) > 0, (index & 4) > 0]
  const client = isSix ? `2001:db8:1::${(index + 1).toString(16)}` : `10.1.${index >> 8}.${index & 255}`
  const server = isSix ? `2001:db8:2::${(index % 5) + 1}` : `192.0.2.${(index % 7) + 1}`
  const clientPort = 20_000 + 2500 * round + index
  const turns = conversation({
    client,
    clientPort,
    server,
    serverPort,
    request: Buffer.from(`GET /${'long/'.repeat(20)}whole HTTP/1.1\r\nHost: server\r\n\r\n`),
    reply: Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK')
  })
  return {
    key: keyOf(client, clientPort),
    index,
    turns: turns.map(({ from, packet }, turn) => {
      const to = from === 'client' ? 'server' : 'client'
      const split = isSix ? ipv6Fragments : ipv4Fragments
      // The first ends in the middle of what the rule asks for.
      const parts = isSplit && turn === requestTurn ? split(packet, 128) : [packet]
      return parts.map((part) => ether(macOf[to], macOf[from], isTagged ? vlan(7, part) : part))
    })
  }
}

const makeFlows = (count: number, round: number) => Array.from({ length: count }, (_, index) => makeFlow(index, round))

/** Suricata writes all digits of an address of IPv6. */
function keyOf(address: string, port: number): string {
  const short = address.includes(':') ? new URL(`http://[${address}]`).hostname : address
  return `${short} ${port}`
}

/** The client's address and port, whichever way the packet went. */
const flowOf = ({ src_ip, src_port, dest_ip, dest_port }: SuricataEvent) =>
  src_port === serverPort ? keyOf(dest_ip, dest_port) : keyOf(src_ip, src_port)

/** Sends the packets of one turn. */
async function send(flows: readonly Flow[], turn: number): Promise<void> {
  const frames = flows.flatMap((flow) => flow.turns[turn] ?? [])
  await lab.send(frames, cables[turn])
}

const countPackets = async (all: readonly Suricata[]) =>
  (await Promise.all(all.map((each) => each.countAlerts(packetSid)))).reduce((sum, count) => sum + count)

/** Does what sends so many packets, and waits until each of these groups of Suricatas has read as many more. */
async function awaitRead(
  groups: readonly (readonly Suricata[])[],
  sent: number,
  act: () => Promise<unknown>
): Promise<void> {
  const before = await Promise.all(groups.map(countPackets))
  await act()
  for (const [index, group] of groups.entries()) {
    const wanted = (before[index] ?? 0) + sent
    await until(`${wanted} packets are read`, async () => (await countPackets(group)) >= wanted)
  }
}

/** What they have counted of packets and of what is amiss, when all that they have read is counted. */
function readFaults(all: readonly Suricata[]) {
  return Promise.all(
    all.map(async (each) => {
      const isCounted = async () => (await each.readCounters()).get('detect.alert') === (await each.countAlerts())
      await until('all is counted', isCounted)
      const counters = await each.readCounters()
      return {
        lost: counters.get('capture.kernel_drops'),
        onWrongThread: counters.get('tcp.pkt_on_wrong_thread'),
        gaps: counters.get('tcp.reassembly_gap')
      }
    })
  )
}

type Read = (from: Suricata) => Promise<readonly SuricataEvent[]>
const readRequests: Read = (from) => from.readAlerts(requestSid)
const readPackets: Read = (from) => from.readAlerts(packetSid)
/** What the server sends, of which all but the first comes after the request. */
const readReplies: Read = async (from) => (await readPackets(from)).filter(({ src_port }) => src_port === serverPort)
const readAnomalies: Read = (from) => from.readAnomalies()

/** The names of those of these Suricatas that tell something of each flow: for each event one. */
async function byFlow(all: readonly Suricata[], read: Read): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const each of all) {
    const name = names[suricatas.indexOf(each)] ?? 'all'
    for (const event of await read(each)) {
      const key = flowOf(event)
      found.set(key, [...(found.get(key) ?? []), name])
    }
  }
  return found
}

test('each of 2,000 flows from two cables raises its alert once, in one of the four', async () => {
  const flows = makeFlows(2000, 0)
  for (const turn of cables.keys()) await awaitRead([[unbalanced], suricatas], flows.length, () => send(flows, turn))
  expect(await unbalanced.countAlerts(requestSid)).toBe(flows.length)
  const [requests, packets] = [await byFlow(suricatas, readRequests), await byFlow(suricatas, readPackets)]
  expect(requests.size).toBe(flows.length)
  for (const { key } of flows) {
    const [member] = requests.get(key) ?? []
    expect([key, requests.get(key)]).toEqual([key, [member]])
    expect([key, packets.get(key)]).toEqual([key, cables.map(() => member)])
  }
  const whole = { lost: 0, onWrongThread: 0, gaps: 0 }
  expect(await readFaults([unbalanced, ...suricatas])).toEqual([whole, whole, whole, whole, whole])
  expect([...(await byFlow([unbalanced, ...suricatas], readAnomalies)).keys()]).toEqual([])
  const shares = await Promise.all(suricatas.map((each) => each.countAlerts(requestSid)))
  console.log(`alerts of each: ${shares.join(', ')}`)
  for (const share of shares) expect(share).toBeGreaterThan(flows.length / 8)
})

test('when one is killed under a watch, only its own flows lack alerts or have gaps', async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  // The same hosts twice: the first flows tell whose the others are.
  const [before, flows] = [makeFlows(1000, 1), makeFlows(1000, 2)]
  for (const turn of cables.keys()) await awaitRead([[unbalanced], suricatas], before.length, () => send(before, turn))
  const known = await byFlow(suricatas, readRequests)
  const memberOf = new Map(before.map(({ index, key }) => [index, known.get(key)?.[0]]))
  const killed = 1
  const isOwn = ({ index }: Flow) => memberOf.get(index) === names[killed]
  const [own, others] = [flows.filter(isOwn), flows.filter((flow) => !isOwn(flow))]
  const living = suricatas.filter((_, index) => index !== killed)

  const sendAll = (turn: number) => awaitRead([[unbalanced]], flows.length, () => send(flows, turn))
  for (let turn = 0; turn < requestTurn; turn++) await sendAll(turn)
  await awaitRead([[unbalanced]], flows.length, async () => {
    await send(flows.slice(0, 500), requestTurn)
    const kill = members[killed]?.kill()
    // A few at once: while the watch moves the flows, others come.
    for (let index = 500; index < flows.length; index += 50) await send(flows.slice(index, index + 50), requestTurn)
    await kill
  })
  await until('all is in sync', async () => (await lab.spanplan(['plan', '--detailed-exitcode'])).exitCode === 0)
  for (let turn = requestTurn + 1; turn < cables.length; turn++) await sendAll(turn)
  await until('all packets that they must have are read', async () => {
    const [packets, replies] = [await byFlow(living, readPackets), await byFlow(living, readReplies)]
    const isWhole = ({ key }: Flow) => packets.get(key)?.length === cables.length
    return others.every(isWhole) && own.every(({ key }) => replies.get(key)?.length === 2)
  }).catch(() => undefined)
  const faults = await readFaults([unbalanced, ...living])
  await watch.stop()

  const [requests, packets] = [await byFlow(suricatas, readRequests), await byFlow(suricatas, readPackets)]
  for (const { index, key } of others) {
    const member = memberOf.get(index)
    expect([key, requests.get(key)]).toEqual([key, [member]])
    expect([key, packets.get(key)]).toEqual([key, cables.map(() => member)])
  }
  expect(own.length).toBeGreaterThan(0)
  const replies = await byFlow(living, readReplies)
  for (const { key } of own) {
    // Another has it now, which has not seen it begin.
    const [member] = replies.get(key) ?? []
    expect([key, requests.get(key)]).toEqual([key, undefined])
    expect([key, replies.get(key)]).toEqual([key, [member, member]])
  }
  for (const { lost, gaps } of faults) expect({ lost, gaps }).toEqual({ lost: 0, gaps: 0 })
  const ownKeys = new Set(own.map(({ key }) => key))
  const odd = await byFlow(living, readAnomalies)
  expect([...odd.keys()].filter((key) => !ownKeys.has(key))).toEqual([])
  const lacking = own.filter(({ key }) => packets.get(key)?.length !== cables.length)
  console.log(`${own.length} flows were its own: ${lacking.length} lack packets, ${odd.size} are odd for the others`)
  // The frames themselves are in order.
  const whole = await byFlow([unbalanced], readRequests)
  for (const { key } of flows) expect([key, whole.get(key)]).toEqual([key, ['all']])
  expect([...(await byFlow([unbalanced], readAnomalies)).keys()]).toEqual([])
})
