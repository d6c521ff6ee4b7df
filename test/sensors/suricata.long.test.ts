/** A real Suricata raises as many alerts with its network stack closed as with an open one. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probe, startIds, startSuricata } from '../lab/docker/suricata.ts'
import { BROADCAST, ether, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findTap, spanplan, until, writeSpans } from '../lab/spans.ts'

/** Of each kind of frame. */
const each = 50
const sender = '02:00:00:00:0a:01'

let lab: Lab
let ids: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  ids = await startIds(lab)
})
afterAll(() => lab?.close())

/** The alerts of a Suricata that is started for this, and ended. */
async function countAlerts(sealed: boolean): Promise<number> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [ids], sealed: ${sealed}}}`)
  await spanplan(lab, ['apply', '--yes'])
  const { mac } = await findTap(lab, ids)
  const suricata = await startSuricata(lab, ids, sealed ? 'closed' : 'open')
  const frames = Array.from({ length: each }, (_, index) => {
    const udp = (destination: string) => probe('192.0.2.66', destination, index)
    return [
      ether('02:00:00:00:0a:02', sender, udp('192.0.2.1')),
      ether(mac, sender, udp('192.0.2.2')),
      ether(BROADCAST, sender, udp('192.0.2.255')),
      ether('01:00:5e:00:00:fb', sender, udp('224.0.0.251')),
      ether('02:00:00:00:0a:02', sender, vlan(10, udp('192.0.2.3')))
    ]
  }).flat()
  await lab.send(frames)
  const count = async () => (await suricata.readAlerts()).length
  await until('all alerts are here', async () => (await count()) >= frames.length).catch(() => undefined)
  await suricata.stop()
  return count()
}

test('a real Suricata raises every alert with its network stack closed, as with an open one', async () => {
  expect(await countAlerts(false)).toBe(5 * each)
  expect(await countAlerts(true)).toBe(5 * each)
  const { State } = await ids.inspect()
  const filters = ['tc', 'filter', 'show', 'dev', (await findTap(lab, ids)).name, 'ingress']
  expect(await lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...filters])).toContain("bytecode '1,6 0 0 2'")
})
