/** A sensor that may change its own MAC address takes those of others, and forges what it sends: it reaches nobody, and takes nothing away. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  BROADCAST,
  ether,
  filler,
  ipv4Udp,
  LLDP_GROUP,
  lldp,
  type Payload,
  STP_GROUP,
  stp,
  vlan
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, findTap, listen, macOf, portOf, spanplan, until, writeSpans } from '../lab/spans.ts'

const PORT = 4000
const STRANGER = '02:00:00:00:0a:01'
const NOBODY = '02:00:00:00:0a:02'
/** IEEE 802.3, annex 31B: a pause frame, which asks the other end of a cable to be silent. */
const PAUSE = { group: '01:80:c2:00:00:01', payload: { type: 0x8808, bytes: Buffer.from('0001ffff', 'hex') } }

let lab: Lab
let attacker: Docker.Container
let victim: Docker.Container
/** What a socket of the host's, open to all, has received. */
let received = ''

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.run(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'ens192'])
  // The host takes a packet with any source from anywhere.
  for (const scope of ['all', 'default', 'ens192']) {
    await lab.run(['sysctl', '-q', '-w', `net.ipv4.conf.${scope}.rp_filter=0`])
  }
  attacker = await lab.startSensor('attacker', { CapAdd: ['NET_ADMIN'] })
  victim = await lab.startSensor('victim')
  const program = `
    const socket = require('node:dgram').createSocket('udp4')
    socket.on('message', (message) => console.log(String(message)))
    socket.bind(${PORT}, () => console.log('listening'))
  `
  const receiver = lab.start([process.execPath, '-e', program])
  receiver.stdout?.on('data', (chunk: Buffer) => {
    received += chunk.toString()
  })
  await until('the receiver listens', async () => received.includes('listening'))
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [attacker, victim]}}')
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
})
afterAll(() => lab?.close())

const udp = (text: string): Payload =>
  ipv4Udp({ source: '192.0.2.77', destination: '192.0.2.1', destinationPort: PORT, data: Buffer.from(`${text}\n`) })

/** What a sensor with that address may send: to everybody who may be there, plain, tagged, and as the network's own control. */
async function makeFrames(source: string): Promise<Buffer[]> {
  const [tap, victimPort, own] = [await findTap(lab, victim), await portOf(lab, victim), await portOf(lab, attacker)]
  const macs = await Promise.all(['span0', victimPort, own, 'ens192'].map((device) => macOf(lab, device)))
  const groups = [PAUSE.group, STP_GROUP, '01:80:c2:00:00:02', '01:80:c2:00:00:03', LLDP_GROUP]
  return [
    ...[tap.mac, ...macs, BROADCAST, ...groups].flatMap((mac) =>
      [udp(`from ${source}`), vlan(10, udp(`tagged from ${source}`)), vlan(0, udp(`of priority from ${source}`))].map(
        (payload) => ether(mac, source, payload)
      )
    ),
    ether(PAUSE.group, source, PAUSE.payload),
    ether(STP_GROUP, source, stp(source)),
    ether(LLDP_GROUP, source, lldp(source, 'twin'))
  ]
}

test.each(['the bridge', "the other sensor's", "the other's port", "the interface's", "the switch's"])(
  'it takes the address of %s',
  async (whose) => {
    const [tap, own] = [await findTap(lab, victim), await findTap(lab, attacker)]
    const twin = {
      'the bridge': await macOf(lab, 'span0'),
      "the other sensor's": tap.mac,
      "the other's port": await macOf(lab, tap.port),
      "the interface's": await macOf(lab, 'ens192'),
      "the switch's": STRANGER
    }[whose]
    if (twin === undefined) throw new Error(whose)
    const set = (mac: string) => lab.exec(attacker, ['ip', 'link', 'set', 'dev', own.name, 'address', mac])
    expect(await set(twin)).toMatchObject({ exitCode: 0 })
    received = ''
    const [atVictim, onWire] = [await listen(lab, victim), await lab.captureLink('sw0', { direction: 'in' })]
    await lab.sendFrom(attacker, own.name, [...(await makeFrames(twin)), ...(await makeFrames(NOBODY))])
    const copies = [
      ether(twin, NOBODY, filler(80)),
      ether(NOBODY, twin, filler(90)),
      ether(BROADCAST, twin, filler(99))
    ]
    const atAttacker = await lab.capture(attacker, own.name, { direction: 'in' })
    await lab.send(copies)
    // Both get what is mirrored, whomever it is for, and nothing else.
    expect((await atVictim.stop({ count: copies.length, seconds: 5 })).frames).toEqual(copies)
    expect((await atAttacker.stop({ count: copies.length, seconds: 5 })).frames).toEqual(copies)
    expect((await onWire.stop({ seconds: 0 })).frames).toEqual([])
    const last = ipv4Udp({
      source: '192.0.2.2',
      destination: '192.0.2.1',
      destinationPort: PORT,
      data: Buffer.from('last')
    })
    await lab.send([ether(await macOf(lab, 'ens192'), NOBODY, last)])
    await until('the receiver has the last datagram', async () => received.includes('last'))
    expect(received).toBe('last\n')
    const entries: { mac: string; state?: string }[] = JSON.parse(
      await lab.run(['bridge', '-j', 'fdb', 'show', 'br', 'span0'])
    )
    expect(entries.filter(({ mac, state }) => mac === twin || state !== 'permanent')).toEqual([])
    expect(await set(own.mac)).toMatchObject({ exitCode: 0 })
    await expectConverged(lab)
  }
)
