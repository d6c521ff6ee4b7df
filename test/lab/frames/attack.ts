/** What somebody in a sensor would try, and what comes of it: at the other sensors, at the host, and as an answer. */
import type Docker from 'dockerode'
import type { Lab } from '../lab.ts'
import { findTap, listenBeside, macOf, until } from '../spans.ts'
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

/** Addresses of the host's that have nothing to do with the span: of the card, and of another one. */
const CARD = { ip: '192.0.2.1', ip6: '2001:db8:1::1' }
const OTHER = { ip: '198.51.100.1', ip6: '2001:db8:2::1' }
const PORT = 4000

/** A socket of the host's, open to all. */
export interface Receiver {
  /** What it has received: a datagram a line. */
  received: string
}

/** Gives the cards ens192 and ens224 addresses, and the host a socket that is open to all. */
export async function openHost(lab: Lab): Promise<Receiver> {
  for (const [card, { ip, ip6 }] of [['ens192', CARD] as const, ['ens224', OTHER] as const]) {
    await lab.run(['ip', 'addr', 'add', `${ip}/24`, 'dev', card])
    await lab.run(['ip', 'addr', 'add', `${ip6}/64`, 'dev', card, 'nodad'])
  }
  const program = `
    const socket = require('node:dgram').createSocket('udp6')
    socket.on('message', (message) => console.log(String(message)))
    socket.bind(${PORT}, () => console.log('listening'))
  `
  const receiver: Receiver = { received: '' }
  const running = lab.start([process.execPath, '-e', program])
  running.stdout?.on('data', (chunk: Buffer) => {
    receiver.received += chunk.toString()
  })
  await until('the receiver listens', async () => receiver.received.includes('listening'))
  return receiver
}

/** The link-local groups, which a bridge does not forward but hands to the host's stack on the port itself. */
const groups = Array.from({ length: 16 }, (_, last) => `01:80:c2:00:00:0${last.toString(16)}`)

/** What somebody in a sensor would try, by name: each payload, to each MAC address that may lead somewhere. */
async function makeProbes(lab: Lab, from: Docker.Container, victim: Docker.Container): Promise<Map<string, Buffer>> {
  const [own, other] = await Promise.all([from, victim].map((container) => findTap(lab, container)))
  if (own === undefined || other === undefined) throw new Error('not on the span')
  // Who is on the span without Docker has no address there.
  const { NetworkSettings } = await victim.inspect()
  const victimIp = NetworkSettings.Networks.span0?.IPAddress || '198.18.201.1'
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

export interface Reach {
  /** The probes that the other sensor heard. */
  readonly heard: readonly string[]
  /** Those that the host's socket received. */
  readonly delivered: readonly string[]
  /** Those that were answered. */
  readonly answered: readonly string[]
}

export const NOTHING: Reach = { heard: [], delivered: [], answered: [] }

/** How an attack is made. */
export interface AttackOptions {
  /** How often all probes are sent. */
  readonly times?: number
  /** What is done once they are being sent. */
  readonly meanwhile?: () => Promise<unknown>
}

/** Sends all probes from a sensor, and tells what came of them. */
export async function attack(
  lab: Lab,
  receiver: Receiver,
  from: Docker.Container,
  victim: Docker.Container,
  { times = 1, meanwhile }: AttackOptions = {}
): Promise<Reach> {
  const probes = await makeProbes(lab, from, victim)
  const { name: device } = await findTap(lab, from)
  receiver.received = ''
  // tcpdump's buffer also holds what the attacker sends, until tcpdump has left that out: some 400 frames, all of them short.
  const [atVictim, atAttacker] = [
    await listenBeside(lab, victim, { snaplen: 512 }),
    await listenBeside(lab, from, { snaplen: 512 })
  ]
  const frames = [...probes.values()]
  const sending = lab.sendFrom(from, device, Array<Buffer[]>(times).fill(frames).flat())
  await meanwhile?.()
  await sending
  const [heard, answers] = [await atVictim.stop(), await atAttacker.stop()]
  if (heard.dropped + answers.dropped > 0) throw new Error('tcpdump was too slow for what was heard or answered')
  // The socket works, and has received by now what was on its way to it.
  const last = ipv4Udp({ source: '192.0.2.2', destination: CARD.ip, destinationPort: PORT, data: Buffer.from('last') })
  await lab.send([ether(await macOf(lab, 'ens192'), '02:00:00:00:0a:01', last)])
  await until('the receiver has the last datagram', async () => receiver.received.includes('last'))
  const nameOf = (frame: Buffer, isIts: (probe: Buffer) => boolean) =>
    [...probes].find(([, probe]) => isIts(probe))?.[0] ?? frame.toString('hex')
  return {
    heard: heard.frames.map((frame) => nameOf(frame, (probe) => probe.equals(frame))),
    delivered: receiver.received.split('\n').filter((line) => line !== '' && line !== 'last'),
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
