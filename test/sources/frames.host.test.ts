/** Every frame that passes a card reaches every sensor: whatever it is, whoever it is for, and nothing else does. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rawOnly } from '../lab/docker/sensor-images.ts'
import { everyKind, IPV4_GROUP } from '../lab/frames/every-kind.ts'
import { ALL_HOSTS_GROUP, ether, igmpQuery, ipv4Udp } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectFrames, listen, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  zeek = await lab.startSensor('zeek', rawOnly())
  await apply()
})
afterAll(() => lab?.close())

async function apply(options = ''): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192${options}}], sensors: [suricata, zeek]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
}

const fromSwitch = () => everyKind(lab, { suricata, zeek }, '02:00:00:00:0a:01')
const fromHost = () => everyKind(lab, { suricata, zeek }, '02:00:00:00:0a:03')

/** Sends from both ends of the cable; both sensors hear this. */
async function expectHeardOf(expected: Readonly<Record<string, Buffer>>): Promise<void> {
  const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
  await lab.send(Object.values(await fromSwitch()), 'sw0')
  await lab.send(Object.values(await fromHost()), 'ens192')
  for (const capture of captures) await expectFrames(capture, expected)
}

function named(where: string, frames: Readonly<Record<string, Buffer>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(frames).map(([name, frame]) => [`${name}, ${where}`, frame]))
}

describe('each sensor hears each frame once, byte for byte, and nothing else', () => {
  test('from both directions, by default', async () => {
    await apply()
    await expectHeardOf({ ...named('received', await fromSwitch()), ...named('sent', await fromHost()) })
  })

  test('from ingress alone', async () => {
    await apply(', direction: ingress')
    await expectHeardOf(await fromSwitch())
  })

  test('from egress alone', async () => {
    await apply(', direction: egress')
    await expectHeardOf(await fromHost())
  })
})

test('where nothing is sent, nothing is heard', async () => {
  await apply()
  const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
  const heard = await Promise.all(captures.map((capture) => capture.stop({ seconds: 3 })))
  expect(heard).toEqual(Array(2).fill({ frames: [], dropped: 0 }))
})

test('multicast that a mirrored IGMP query would keep from the sensors arrives after it', async () => {
  await apply()
  const source = '02:00:00:00:0a:01'
  const query = ether(ALL_HOSTS_GROUP, source, igmpQuery('192.0.2.1', '0.0.0.0', 1), 60)
  const multicast = ether(IPV4_GROUP, source, ipv4Udp({ source: '192.0.2.1', destination: '239.1.2.3' }))
  const isHeard = async () => {
    const capture = await listen(lab, zeek)
    await lab.send([query, multicast])
    const { frames } = await capture.stop({ count: 2, seconds: 1 })
    return frames.some((frame) => frame.equals(multicast))
  }
  await lab.run(['ip', 'link', 'set', 'dev', 'span0', 'type', 'bridge', 'mcast_snooping', '1'])
  await until('the multicast is lost', async () => !(await isHeard()))
  await apply()
  expect(await isHeard()).toBe(true)
})
