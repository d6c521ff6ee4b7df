/** A hostile container on a Docker network that is a source: whatever it sends is seen, and reaches neither a sensor nor another network. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { betweenSamples } from '../lab/commands/status.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'
import { everyKind, IPV4_GROUP } from '../lab/frames/every-kind.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Syn,
  ipv4Udp,
  LLDP_GROUP,
  lldp,
  neighbourSolicitation,
  type Payload,
  pad,
  qinq,
  STP_GROUP,
  stp,
  vlan
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  findTap,
  interfacesOf,
  listenBeside,
  macOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

const PORT = 4000
/** What the attacker calls itself. */
const FORGED = '02:00:00:00:66:01'
const NOBODY = '02:00:00:00:66:02'
const PAUSE_GROUP = '01:80:c2:00:00:01'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container
let attacker: Docker.Container
let web: Docker.Container
let bystander: Docker.Container
/** What sockets in a sensor, which are open to all, have received. */
let received = ''

const inside = async (container: Docker.Container) => {
  const { State } = await container.inspect()
  return ['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--'] as const
}

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.run(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'ens192'])
  for (const [name, bridge, subnet] of [
    ['shop', 'shop0', '10.77.0.0/24'],
    ['office', 'office0', '10.78.0.0/24']
  ] as const) {
    const options = { 'com.docker.network.bridge.name': bridge }
    await lab.docker.createNetwork({ Name: name, Options: options, IPAM: { Config: [{ Subnet: subnet }] } })
  }
  suricata = await lab.startListener('suricata')
  zeek = await lab.startListener('zeek')
  // With NET_ADMIN it changes its interface. NET_RAW it has as any container.
  attacker = await lab.startSensor('attacker', { NetworkMode: 'shop', CapAdd: ['NET_ADMIN'] })
  web = await lab.startSensor('web', { NetworkMode: 'shop' })
  bystander = await lab.startSensor('bystander', { NetworkMode: 'office' })
  await writeSpans(lab, 'spans: {span0: {sources: [{network: shop}], sensors: [suricata, zeek]}}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)

  const program = `
    const say = (text) => console.log(String(text))
    require('node:net').createServer(() => say('connected')).listen(${PORT}, '::')
    const socket = require('node:dgram').createSocket('udp6')
    socket.on('message', say)
    socket.bind(${PORT}, () => say('listening'))
  `
  const receiver = lab.start([...(await inside(zeek)), process.execPath, '-e', program])
  receiver.stdout?.on('data', (chunk: Buffer) => {
    received += chunk.toString()
  })
  await until('the receiver listens', async () => received.includes('listening'))
})
afterAll(() => lab?.close())
afterEach(() => expectConverged(lab))

const macIn = async (container: Docker.Container) => (await interfacesOf(container))[0]?.mac ?? ''

/** What of the host, of the other network and of the sensors is not to change. */
const stateOf = async () => ({
  // What Docker's bridge has learned of a querier is the network's own.
  all: (await lab.snapshotText()).replace(/ mcast_querier_ipv4_\w+ \S+/g, ''),
  neighbours: await lab.run(['sh', '-c', 'ip neigh | grep -v " dev shop0 " || true']),
  // With what has been learned, but for the network's own bridge.
  entries: await lab.run(['sh', '-c', 'bridge fdb | grep -v " master shop0" | sort'])
})

/** With source addresses that are others', or nobody's. */
async function spoofedFrames(): Promise<Record<string, Buffer>> {
  const sensor = await findTap(lab, zeek)
  const owners = {
    "the host's": await macOf(lab, 'shop0'),
    "the other container's": await macIn(web),
    "the span's": await macOf(lab, 'span0'),
    "a sensor's": sensor.mac,
    "a sensor's port's": await macOf(lab, sensor.port),
    "another network's": await macOf(lab, 'office0'),
    "the card's": await macOf(lab, 'ens192'),
    nobody: '00:00:00:00:00:00',
    everybody: BROADCAST,
    "a group's": IPV4_GROUP
  }
  const addresses = ['10.77.0.1', '192.0.2.1', '10.78.0.1', '127.0.0.1', '0.0.0.0', '255.255.255.255', '239.1.2.3']
  return {
    ...Object.fromEntries(
      Object.entries(owners).flatMap(([owner, mac], index) => [
        [`from ${owner} address`, ether(NOBODY, mac, filler(100, index))],
        [`to all, from ${owner} address`, ether(BROADCAST, mac, filler(101, index))]
      ])
    ),
    ...Object.fromEntries(
      addresses.map((source) => {
        const data = Buffer.from(`from ${source}`)
        return [`from ${source}`, ether(NOBODY, FORGED, ipv4Udp({ source, destination: '10.77.0.3', data }))]
      })
    )
  }
}

/** As no stack sends them. */
async function oddFrames(): Promise<Record<string, Buffer>> {
  const deep = Array.from({ length: 8 }).reduce<Payload>((payload, _, id) => vlan(id + 1, payload), filler(60))
  return {
    '14 bytes': ether(NOBODY, FORGED, { type: 0x88b5, bytes: Buffer.alloc(0) }),
    '14 bytes, of IPv4': ether(NOBODY, FORGED, { type: 0x0800, bytes: Buffer.alloc(0) }),
    '15 bytes': ether(NOBODY, FORGED, { type: 0x88b5, bytes: Buffer.alloc(1) }),
    'a tag, and two bytes': ether(NOBODY, FORGED, vlan(10, { type: 0x88b5, bytes: Buffer.alloc(2) })),
    'eight tags': ether(NOBODY, FORGED, deep),
    'the id 0': ether(NOBODY, FORGED, vlan(0, filler(90))),
    'the id 4095': ether(NOBODY, FORGED, vlan(4095, filler(90))),
    'tags of both kinds': ether(NOBODY, FORGED, qinq(4095, 0, filler(90))),
    STP: ether(STP_GROUP, FORGED, stp(FORGED)),
    LLDP: ether(LLDP_GROUP, FORGED, lldp(FORGED, '\u001b[2J', '\u001b]0;owned\u0007')),
    pause: pad(ether(PAUSE_GROUP, FORGED, { type: 0x8808, bytes: Buffer.from('0001ffff', 'hex') }), 60),
    'a length that is a lie': ether(NOBODY, FORGED, { type: 1500, bytes: Buffer.alloc(50, 0xaa) }),
    '1514 bytes': ether(NOBODY, FORGED, filler(1514)),
    '1518 bytes': ether(NOBODY, FORGED, filler(1518))
  }
}

/** What is for a sensor, by all addresses that it has, or for all. */
async function framesForSensor(): Promise<Record<string, Buffer>> {
  const { mac, name } = await findTap(lab, zeek)
  const [link] = JSON.parse(await lab.run([...(await inside(zeek)), 'ip', '-j', 'addr', 'show', 'dev', name]))
  const { local: address }: { local: string } = link.addr_info[0]
  const own = { senderMac: FORGED, senderIp: '10.77.0.66' }
  const to = { source: '10.77.0.66', destination: address, destinationPort: PORT }
  return Object.fromEntries(
    [mac, BROADCAST].flatMap((target) => [
      [`UDP to ${target}`, ether(target, FORGED, ipv4Udp({ ...to, data: Buffer.from(`to ${target}`) }))],
      [`TCP to ${target}`, ether(target, FORGED, ipv4Syn(to))],
      [`ARP to ${target}`, ether(target, FORGED, arp({ operation: 'request', ...own, targetIp: address }))],
      [`ND to ${target}`, ether(target, FORGED, neighbourSolicitation(FORGED, 'fe80::66', 'fe80::1'))]
    ])
  )
}

/** Sends frames from the attacker; gives what each sensor has heard of them, by name, and what has come to others. */
async function sendAll(
  frames: Readonly<Record<string, Buffer>>,
  send = () => lab.sendFrom(attacker, 'eth0', Object.values(frames))
) {
  const names = new Map(Object.entries(frames).map(([name, frame]) => [frame.toString('hex'), name]))
  const captures = [await listenBeside(lab, suricata), await listenBeside(lab, zeek)]
  const elsewhere = await lab.captureBeside(bystander, 'eth0')
  const cable = await lab.captureLink('sw0', { direction: 'in' })
  const answers = await lab.captureBeside(attacker, 'eth0', {
    direction: 'in',
    expression: `ether src ${(await findTap(lab, zeek)).mac}`
  })
  await send()
  const heard = []
  for (const capture of captures) {
    const { frames, dropped } = await capture.stop({ seconds: 1 })
    expect(dropped).toBe(0)
    // The host, and the other container, may answer.
    heard.push(frames.flatMap((frame) => names.get(frame.toString('hex')) ?? []))
  }
  // The kernel, too, sends there by itself.
  const passed = [...(await elsewhere.stop()).frames, ...(await cable.stop()).frames].flatMap(
    (frame) => names.get(frame.toString('hex')) ?? []
  )
  return { heard, passed, answers: (await answers.stop()).frames }
}

/** What comes of frames that each sensor has heard, and nobody else. */
const heardOnly = (...names: readonly string[]) => ({ heard: [names, names], passed: [], answers: [] })

async function expectSeenAlone(frames: Readonly<Record<string, Buffer>>): Promise<void> {
  const before = await stateOf()
  received = ''
  expect(await sendAll(frames)).toEqual(heardOnly(...Object.keys(frames)))
  expect(received).toBe('')
  expect(await stateOf()).toEqual(before)
}

const setOwn = async (...words: string[]) => {
  const outcome = await lab.exec(attacker, ['ip', 'link', 'set', 'dev', 'eth0', ...words])
  expect(outcome).toMatchObject({ exitCode: 0 })
}

test('its frames of each kind are seen once each, whatever its address is', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const { length } = watch.told
  const own = await macIn(attacker)
  for (const mac of [own, FORGED, await macIn(web), (await findTap(lab, zeek)).mac]) {
    await setOwn('address', mac)
    const { '9014 bytes': _, ...frames } = await everyKind(lab, { suricata, zeek }, mac, 'shop0')
    await expectSeenAlone(frames)
  }
  await setOwn('address', own)
  await watch.settle()
  expect(watch.told.slice(length)).toBe('')
  await watch.stop()
})

/** What the attacker's interface says of what it was to send. */
async function countSent(): Promise<{ readonly packets: number; readonly dropped: number }> {
  const argv = ['ip', '-s', '-j', 'link', 'show', 'dev', 'eth0'] as const
  const [{ stats64 }] = JSON.parse(await lab.run([...(await inside(attacker)), ...argv]))
  return stats64.tx
}

test('its frames that are larger than the network takes reach nobody, whatever its own MTU is', async () => {
  const frames = {
    '1519 bytes': ether(BROADCAST, FORGED, filler(1519)),
    '9014 bytes': ether(BROADCAST, FORGED, filler(9014))
  }
  await setOwn('mtu', '9000')
  for (const [name, frame] of Object.entries(frames)) {
    const { dropped } = await countSent()
    const neighbour = await lab.captureBeside(web, 'eth0', { expression: `ether src ${FORGED}` })
    // What sends it is told that it could not, and tries again.
    const outcome = await sendAll({ [name]: frame }, async () => {
      const stop = await lab.floodFrom(attacker, 'eth0', [frame])
      await until('the kernel has dropped it', async () => (await countSent()).dropped > dropped)
      await stop()
    })
    expect(outcome).toEqual(heardOnly())
    expect((await neighbour.stop()).frames).toEqual([])
  }
  await setOwn('mtu', '1500')
})

test('its frames with addresses of others are seen once each', async () => {
  await expectSeenAlone(await spoofedFrames())
})

test('its frames that no stack sends are seen once each; those of which the kernel reads no tag reach nobody', async () => {
  await setOwn('mtu', '1504')
  await expectSeenAlone(await oddFrames())
  await setOwn('mtu', '1500')
  const frames = {
    'half a tag': ether(BROADCAST, FORGED, { type: 0x8100, bytes: Buffer.alloc(2) }),
    'a tag, and nothing more': ether(BROADCAST, FORGED, vlan(10, { type: 0x88b5, bytes: Buffer.alloc(0) }))
  }
  const neighbour = await lab.captureBeside(web, 'eth0', { expression: `ether src ${FORGED}` })
  expect(await sendAll(frames)).toEqual(heardOnly())
  expect((await neighbour.stop()).frames).toEqual([])
})

test('no sensor takes or answers what is for it', async () => {
  await expectSeenAlone(await framesForSensor())
})

interface Hop {
  readonly kind: string
  readonly device: string
  readonly frames: number
  readonly losses: readonly { readonly frames: number }[]
}

const lostAt = (hops: readonly Hop[]) =>
  hops.flatMap(({ losses }) => losses).reduce((sum, { frames }) => sum + frames, 0)

test('what it floods for two seconds is seen, or counted as lost; status can be read, and others are seen afterwards', async () => {
  const before = await stateOf()
  const frames = Array.from({ length: 1000 }, (_, index) => ether(NOBODY, FORGED, filler(60, index)))
  const earlier = await countSent()
  let shown = ''
  const { stdout } = await betweenSamples(
    lab,
    (options) => lab.spanplan(['status', '--json', '--for', '1ms'], options),
    async () => {
      const stop = await lab.floodFrom(attacker, 'eth0', frames)
      shown = (await lab.spanplan(['status', '--for', '2s'])).stdout
      await stop()
    }
  )
  expect(shown).toMatch(/^ {2}mirror +shop \(attacker\) egress +[1-9]/m)
  expect(shown.split('\n').filter((line) => line.length > 100 || unprintable.test(line))).toEqual([])
  const { hops }: { hops: Hop[] } = JSON.parse(stdout).spans[0]
  const mirrored = hops.flatMap(({ kind, frames }) => (kind === 'mirror' ? [frames] : []))
  expect(mirrored).toContain((await countSent()).packets - earlier.packets)
  const shared = hops.filter(({ kind }) => ['interface', 'mirror', 'bridge'].includes(kind))
  for (const { device, frames } of hops.filter(({ kind }) => kind === 'sensor')) {
    const lost = lostAt([...shared, ...hops.filter((hop) => hop.device === device)])
    // The kernel, too, sends on that network by itself.
    expect(frames + lost).toBe(mirrored.reduce((sum, count) => sum + count))
  }
  expect(await stateOf()).toEqual(before)
  await expectSeenAlone({ after: ether(await macIn(web), FORGED, filler(100)) })
})
