/** A real Suricata raises as many alerts with its network stack closed as with an open one. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { importSuricataImage, SURICATA_IMAGE } from '../lab/docker/sensor-images.ts'
import { BROADCAST, ether, ipv4Udp, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findTap, spanplan, until, writeSpans } from '../lab/spans.ts'

/** Of each kind of frame. */
const each = 50
const sender = '02:00:00:00:0a:01'

let lab: Lab
let ids: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await importSuricataImage(lab.docker, join(lab.files, 'image'))
  const folder = join(lab.files, 'ids')
  await mkdir(folder)
  await writeFile(join(folder, 'all.rules'), 'alert udp any any -> any 4000 (msg:"probe"; content:"probe"; sid:1;)\n')
  ids = await lab.docker.createContainer({
    name: 'ids',
    Image: SURICATA_IMAGE,
    Cmd: ['/bin/sleep', 'infinity'],
    StopSignal: 'SIGKILL',
    HostConfig: { NetworkMode: 'none', Binds: [`${folder}:/ids`] }
  })
  await ids.start()
})
afterAll(() => lab?.close())

/** The alerts of a Suricata that is started for this, and ended. */
async function countAlerts(sealed: boolean): Promise<number> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [ids], sealed: ${sealed}}}`)
  await spanplan(lab, ['apply', '--yes'])
  const { name, mac } = await findTap(lab, ids)
  const logs = `/ids/${sealed ? 'closed' : 'open'}`
  const run = `mkdir -p ${logs} && exec /usr/bin/suricata -c /etc/suricata/suricata.yaml -S /ids/all.rules -l ${logs} --af-packet=${name} -k none >${logs}/out 2>&1`
  const exec = await ids.exec({ Cmd: ['/bin/sh', '-c', run] })
  await exec.start({ Detach: true })
  const read = async (command: string) => (await lab.exec(ids, ['/bin/sh', '-c', command])).stdout
  await until('Suricata runs', async () => /engine started/i.test(await read(`cat ${logs}/out ${logs}/suricata.log`)))
  const frames = Array.from({ length: each }, (_, index) => {
    const udp = (destination: string) =>
      ipv4Udp({
        source: '192.0.2.66',
        sourcePort: 1024 + index,
        destination,
        destinationPort: 4000,
        data: Buffer.from(`probe ${index}`)
      })
    return [
      ether('02:00:00:00:0a:02', sender, udp('192.0.2.1')),
      ether(mac, sender, udp('192.0.2.2')),
      ether(BROADCAST, sender, udp('192.0.2.255')),
      ether('01:00:5e:00:00:fb', sender, udp('224.0.0.251')),
      ether('02:00:00:00:0a:02', sender, vlan(10, udp('192.0.2.3')))
    ]
  }).flat()
  await lab.send(frames)
  const count = async () => Number(await read(`grep -c '"event_type":"alert"' ${logs}/eve.json`))
  await until('all alerts are here', async () => (await count()) >= frames.length).catch(() => undefined)
  const { Pid } = await exec.inspect()
  process.kill(Pid, 'SIGKILL')
  return count()
}

test('a real Suricata raises every alert with its network stack closed, as with an open one', async () => {
  expect(await countAlerts(false)).toBe(5 * each)
  expect(await countAlerts(true)).toBe(5 * each)
  const { State } = await ids.inspect()
  const filters = ['tc', 'filter', 'show', 'dev', (await findTap(lab, ids)).name, 'ingress']
  expect(await lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...filters])).toContain("bytecode '1,6 0 0 2'")
})
