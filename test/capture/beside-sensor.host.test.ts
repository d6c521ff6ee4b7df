/** What is captured of a span is what a sensor beside it gets; and neither the sensor nor Docker minds. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCapture } from '../lab/commands/capture.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Udp,
  LLDP_GROUP,
  lldp,
  parsePcap,
  qinq,
  STP_GROUP,
  stp,
  vlan
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectHeard,
  expectRestored,
  findTap,
  listen,
  macOf,
  spanplan,
  writeSpans
} from '../lab/spans.ts'

const STRANGER = '02:00:00:00:0a:01'

let lab: Lab
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  const filter = "filter: 'not udp port 22'"
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192, ${filter}}], sensors: [suricata]}}`)
  await spanplan(lab, ['apply', '--yes'])
})
afterAll(() => lab?.close())

const udp = (destinationPort: number, size = 20) =>
  ipv4Udp({ source: '192.0.2.1', destination: '192.0.2.2', destinationPort, data: Buffer.alloc(size, 'x') })

/** Of what the sensor is to get, in both directions, and of what it is not. */
async function send(): Promise<void> {
  const { cardMac = '' } = lab.cables[0] ?? {}
  const tap = await findTap(lab, suricata)
  const own = [tap.mac, await macOf(lab, tap.port), await macOf(lab, 'span0'), cardMac]
  const question = { operation: 'request', senderMac: STRANGER, senderIp: '192.0.2.1', targetIp: '192.0.2.2' } as const
  const frames = [
    ...own.map((mac, index) => ether(mac, STRANGER, filler(100, index))),
    ether(BROADCAST, STRANGER, arp(question), 60),
    ether(LLDP_GROUP, STRANGER, lldp(STRANGER, 'ge-0/0/1')),
    ether(STP_GROUP, STRANGER, stp(STRANGER)),
    ether(cardMac, STRANGER, vlan(10, udp(53))),
    ether(BROADCAST, STRANGER, qinq(100, 20, filler(60))),
    ether(cardMac, STRANGER, udp(22)),
    ether(cardMac, STRANGER, udp(53, 8900)),
    ether(cardMac, STRANGER, filler(9014))
  ]
  await lab.send(frames)
  await lab.send(
    frames.map((frame) => Buffer.concat([frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12)])),
    'ens192'
  )
}

test('a capture shows what the sensor beside it gets, and leaves the sensor as it was', async () => {
  const before = await lab.snapshotText()
  const sensor = await listen(lab, suricata)
  await using capture = await startCapture(lab, ['--write', '-'])

  await send()
  await expectConverged(lab)
  const { frames } = await sensor.stop({ count: 22 })
  expect(frames).toHaveLength(22)
  expect(await capture.end('SIGINT')).toBe(0)
  expect(parsePcap(capture.bytes)).toEqual(frames)

  await expectRestored(lab, before)
  await expectHeard(lab, [suricata])
})
