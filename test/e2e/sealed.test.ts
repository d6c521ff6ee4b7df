/** What a sensor sends goes nowhere: neither to the other sensors nor to the host. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  ALL_HOSTS_GROUP,
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Udp,
  ipv6Udp,
  neighbourSolicitation,
  type Payload
} from './frames.ts'
import { createLab, type Lab } from './lab.ts'
import { expectConverged, expectHeard, findTap, listen, macOf, spanplan, until, writeSpans } from './spans.ts'

/** Addresses of the host's that have nothing to do with the span: of the card, and of another one. */
const CARD = { ip: '192.0.2.1', ip6: '2001:db8:1::1' }
const OTHER = { ip: '198.51.100.1', ip6: '2001:db8:2::1' }
const PORT = 4000

let lab: Lab
let attacker: Docker.Container
let victim: Docker.Container
/** What a socket of the host's, open to all, has received: a datagram a line. */
let received = ''

const ip = (...argv: string[]) => lab.run(['ip', ...argv])

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  for (const [card, { ip: ipv4, ip6 }] of [['ens192', CARD] as const, ['ens224', OTHER] as const]) {
    await ip('addr', 'add', `${ipv4}/24`, 'dev', card)
    await ip('addr', 'add', `${ip6}/64`, 'dev', card, 'nodad')
  }
  attacker = await lab.startSensor('attacker')
  victim = await lab.startSensor('victim')
  await startReceiver()
})
afterAll(() => lab?.close())

async function startReceiver(): Promise<void> {
  const program = `
    const socket = require('node:dgram').createSocket('udp6')
    socket.on('message', (message) => console.log(String(message)))
    socket.bind(${PORT}, () => console.log('listening'))
  `
  const receiver = lab.start([process.execPath, '-e', program])
  receiver.stdout?.on('data', (chunk: Buffer) => {
    received += chunk.toString()
  })
  await until('the receiver listens', async () => received.includes('listening'))
}

async function applySpan(sealed: boolean): Promise<void> {
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192}], sensors: [attacker, victim], sealed: ${sealed}}}`
  )
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
}

/** The link-local groups, which a bridge does not forward but hands to the host's stack on the port itself. */
const groups = Array.from({ length: 16 }, (_, last) => `01:80:c2:00:00:0${last.toString(16)}`)

/** What somebody in a sensor would try, by name: each payload, to each MAC address that may lead somewhere. */
async function makeProbes(from: Docker.Container): Promise<Map<string, Buffer>> {
  const [own, other] = await Promise.all([from, victim].map((container) => findTap(lab, container)))
  if (own === undefined || other === undefined) throw new Error('not on the span')
  const addressOf = async (container: Docker.Container) =>
    (await container.inspect()).NetworkSettings.Networks.span0?.IPAddress ?? ''
  const victimIp = await addressOf(victim)
  const targets: [string, string][] = [
    ['the other sensor', other.mac],
    ['the bridge', await macOf(lab, 'span0')],
    ['the port', await macOf(lab, own.port)],
    ["the other's port", await macOf(lab, other.port)],
    ['the card', await macOf(lab, 'ens192')],
    ['nobody', '02:00:00:00:0a:02'],
    ['all', BROADCAST],
    ['all IPv4', ALL_HOSTS_GROUP],
    ['all IPv6', '33:33:00:00:00:01'],
    ...groups.map((group): [string, string] => [group, group])
  ]
  return new Map(
    targets.flatMap(([target, mac], index) => {
      // Who asks tells an answer from the others.
      const senderIp = `198.18.200.${index + 1}`
      const sender6 = `2001:db8:3::${(index + 1).toString(16)}`
      const ask = (targetIp: string) => arp({ operation: 'request', senderMac: own.mac, senderIp, targetIp })
      const data = (name: string) => ({ destinationPort: PORT, data: Buffer.from(`${name} to ${target}`) })
      const udp = (destination: string, name: string) => ipv4Udp({ source: senderIp, destination, ...data(name) })
      const udp6 = (destination: string, name: string) => ipv6Udp({ source: sender6, destination, ...data(name) })
      const payloads: Record<string, Payload> = {
        'raw bytes': filler(100, index),
        'ARP for the other sensor': ask(victimIp),
        'ARP for the card': ask(CARD.ip),
        'ARP for the other card': ask(OTHER.ip),
        'ND for the card': neighbourSolicitation(own.mac, sender6, CARD.ip6),
        'ND for the other card': neighbourSolicitation(own.mac, sender6, OTHER.ip6),
        'IPv4 for the other sensor': udp(victimIp, 'IPv4 for the other sensor'),
        'IPv4 for the card': udp(CARD.ip, 'IPv4 for the card'),
        'IPv4 for the other card': udp(OTHER.ip, 'IPv4 for the other card'),
        'IPv6 for the card': udp6(CARD.ip6, 'IPv6 for the card'),
        'IPv6 for the other card': udp6(OTHER.ip6, 'IPv6 for the other card')
      }
      return Object.entries(payloads).map(([name, payload]): [string, Buffer] => [
        `${name} to ${target}`,
        ether(mac, own.mac, payload)
      ])
    })
  )
}

interface Reach {
  /** The probes that the other sensor heard. */
  readonly heard: readonly string[]
  /** Those that the host's socket received. */
  readonly delivered: readonly string[]
  /** Those that were answered. */
  readonly answered: readonly string[]
}

const NOTHING: Reach = { heard: [], delivered: [], answered: [] }

/** Sends all probes from a sensor, and tells what came of them. */
async function attack(from = attacker): Promise<Reach> {
  const probes = await makeProbes(from)
  const { name: device } = await findTap(lab, from)
  received = ''
  const [atVictim, atAttacker] = [await listen(lab, victim), await listen(lab, from)]
  await lab.sendFrom(from, device, [...probes.values()])
  const [heard, answers] = [await atVictim.stop(), await atAttacker.stop()]
  // The socket works, and has received by now what was on its way to it.
  const last = ipv4Udp({ source: '192.0.2.2', destination: CARD.ip, destinationPort: PORT, data: Buffer.from('last') })
  await lab.send([ether(await macOf(lab, 'ens192'), '02:00:00:00:0a:01', last)])
  await until('the receiver has the last datagram', async () => received.includes('last'))
  const nameOf = (frame: Buffer, isIts: (probe: Buffer) => boolean) =>
    [...probes].find(([, probe]) => isIts(probe))?.[0] ?? frame.toString('hex')
  return {
    heard: heard.frames.map((frame) => nameOf(frame, (probe) => probe.equals(frame))),
    delivered: received.split('\n').filter((line) => line !== '' && line !== 'last'),
    answered: answers.frames.map((frame) => nameOf(frame, (probe) => answersArp(frame, probe)))
  }
}

/** ARP's sender and target have changed places. */
function answersArp(frame: Buffer, probe: Buffer): boolean {
  const [type, sender, target] = [[12, 14] as const, [28, 32] as const, [38, 42] as const]
  const isSame = (ours: readonly [number, number], theirs: readonly [number, number]) =>
    frame.subarray(...ours).equals(probe.subarray(...theirs))
  return frame.readUInt16BE(12) === 0x0806 && isSame(type, type) && isSame(sender, target) && isSame(target, sender)
}

/** The names of these probes to these addresses. */
function named(payloads: readonly string[], targets: readonly string[]): string[] {
  return targets.flatMap((target) => payloads.map((payload) => `${payload} to ${target}`))
}

async function connectByHand(name: string): Promise<Docker.Container> {
  const container = await lab.startSensor(name)
  await lab.docker.getNetwork('none').disconnect({ Container: name })
  await lab.docker.getNetwork('span0').connect({ Container: name })
  return container
}

describe('without "sealed"', () => {
  let reach: Reach

  beforeAll(async () => {
    await applySpan(false)
    reach = await attack()
  })

  test('a sensor reaches the other', () => {
    const macs = [
      'the other sensor',
      'the bridge',
      'the port',
      "the other's port",
      'nobody',
      'all',
      'all IPv4',
      'all IPv6'
    ]
    const payloads = ['raw bytes', 'ARP for the other sensor', 'IPv4 for the other sensor', 'IPv6 for the card']
    expect(reach.heard).toEqual(expect.arrayContaining(named(payloads, macs)))
    expect(reach.answered).toContain('ARP for the other sensor to all')
  })

  test('a sensor reaches every address of the host', () => {
    const ipv4 = ['IPv4 for the card', 'IPv4 for the other card']
    const ipv6 = ['IPv6 for the card', 'IPv6 for the other card']
    expect(reach.delivered).toEqual(expect.arrayContaining(named([...ipv4, ...ipv6], ['all', 'all IPv4', 'all IPv6'])))
    expect(reach.answered).toEqual(
      expect.arrayContaining(named(['ARP for the card', 'ARP for the other card'], ['all']))
    )
  })

  test('a sensor reaches the host through the link-local groups', () => {
    const open = ['01:80:c2:00:00:02', '01:80:c2:00:00:03', '01:80:c2:00:00:0e']
    const payloads = ['IPv4 for the card', 'IPv4 for the other card']
    expect(reach.delivered).toEqual(expect.arrayContaining(named(payloads, open)))
    const questions = ['ARP for the card', 'ARP for the other card']
    expect(reach.answered).toEqual(expect.arrayContaining(named(questions, open)))
  })
})

describe('sealed', () => {
  beforeAll(() => applySpan(true))

  test('a sensor reaches nobody, and hears all the same', async () => {
    expect(await attack()).toEqual(NOTHING)
    await expectHeard(lab, [attacker, victim])
  })

  test('so it is with one that is connected by hand, from the next apply on, which the plan announces', async () => {
    const later = await connectByHand('later')
    const open = await attack(later)
    expect(open.heard).toContain('raw bytes to the other sensor')
    expect(open.answered).toContain('ARP for the card to 01:80:c2:00:00:0e')
    // Through the bridge the host is out of reach already.
    const throughBridge = named(['IPv4 for the card', 'IPv6 for the card'], ['all', 'all IPv4', 'all IPv6'])
    expect(open.delivered.filter((name) => throughBridge.includes(name))).toEqual([])
    const { port } = await findTap(lab, later)
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(new RegExp(`~ +port +${port} → span0 .*sealed: no → yes`))
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    for (const sensor of [later, attacker]) expect(await attack(sensor)).toEqual(NOTHING)
    await expectHeard(lab, [attacker, victim, later])
  })

  test('so it is with one that was restarted, from the next apply on', async () => {
    await attacker.restart({ t: 0 })
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect(await attack()).toEqual(NOTHING)
    await expectHeard(lab, [attacker, victim])
  })

  test('a sensor hears nothing of the host: no router solicitation, no report of a group', async () => {
    const capture = await listen(lab, victim)
    const once = await connectByHand('once')
    const { mac } = await findTap(lab, once)
    await spanplan(lab, ['apply'])
    const { frames } = await capture.stop({ seconds: 3 })
    const own = mac.replaceAll(':', '')
    expect(frames.filter((frame) => frame.toString('hex', 6, 12) !== own)).toEqual([])
  })
})
