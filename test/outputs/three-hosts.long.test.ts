/** Three hosts on one switch, with the files of the how-to: a real Suricata raises an alert for each packet that either hears, once. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { blocks } from '../documents/stories/document.ts'
import { probe, type Suricata, startIds, startSuricata } from '../lab/docker/suricata.ts'
import { ether } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, spanplan, until, writeSpans } from '../lab/spans.ts'

/** The two that mirror: what they hear comes from these addresses. */
const taps = {
  north: { address: '10.60.0.1', id: 1, hears: '192.0.2.1' },
  south: { address: '10.60.0.2', id: 2, hears: '192.0.2.2' }
} as const
type Tap = keyof typeof taps

const [ofSender = '', ofSensor = ''] = blocks
  .filter(({ document, language }) => document === 'docs/howto/several-hosts.md' && language === 'yaml')
  .map(({ text }) => text)

const sensorAddress = '10.60.0.3'
const each = 50

let sensor: Lab
let ids: Docker.Container
let suricata: Suricata
const hosts = new Map<Tap, Lab>()

beforeAll(async () => {
  sensor = await createLab({ docker: true })
  await sensor.run(['ip', 'link', 'add', 'name', 'lan', 'type', 'bridge'], { on: 'switch' })
  await sensor.run(['ip', 'link', 'set', 'dev', 'lan', 'addrgenmode', 'none', 'up'], { on: 'switch' })
  await connect(sensor, 'sensor', sensorAddress)
  ids = await startIds(sensor, 'suricata')
})
afterAll(async () => {
  for (const host of hosts.values()) await host.close()
  await sensor?.close()
})

function hostOf(tap: Tap): Lab {
  const host = hosts.get(tap)
  if (host === undefined) throw new Error(`the host ${tap} is not there`)
  return host
}

/** Lays a cable from a host to the switch. Its frames are larger than those that the hosts hear, so that none is sent in fragments. */
async function connect(host: Lab, port: string, address: string) {
  const onSwitch = (...argv: string[]) => sensor.run(['ip', 'link', ...argv], { on: 'switch' })
  await onSwitch('add', 'name', port, 'type', 'veth', 'peer', 'name', 'lan0', 'netns', host.name)
  await onSwitch('set', 'dev', port, 'mtu', '1600', 'addrgenmode', 'none', 'master', 'lan', 'up')
  await host.run(['ip', 'link', 'set', 'dev', 'lan0', 'mtu', '1600', 'addrgenmode', 'none', 'up'])
  await host.run(['ip', 'addr', 'add', `${address}/24`, 'dev', 'lan0'])
}

/** A host comes, as it does after its start: with an address, and its file. */
async function start(tap: Tap) {
  const { address, id } = taps[tap]
  const host = await createLab({ cables: [{ card: 'ens192', mtu: 1500 }] })
  hosts.set(tap, host)
  await connect(host, tap, address)
  await writeFile(join(host.files, 'spans.yaml'), ofSender.replace('id: 1', `id: ${id}`))
  const { stderr } = await spanplan(host, ['apply', '--yes'])
  expect(stderr).not.toContain('fragments')
  await expectConverged(host)
}

/** Each of the hosts hears as many packets, whose source ports say which they are. */
async function send(round: number, among: readonly Tap[]): Promise<string[]> {
  const indexes = Array.from({ length: each }, (_, index) => round * each + index)
  for (const tap of among) {
    const frames = indexes.map((index) =>
      ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', probe(taps[tap].hears, '192.0.2.9', index))
    )
    await hostOf(tap).send(frames)
  }
  return among.flatMap((tap) => indexes.map((index) => `${taps[tap].hears}:${1024 + index}`))
}

async function expectAlerts(expected: readonly string[]) {
  const read = async () => (await suricata.readAlerts()).map(({ src_ip, src_port }) => `${src_ip}:${src_port}`)
  await until('all alerts are here', async () => (await read()).length >= expected.length).catch(() => undefined)
  expect((await read()).sort()).toEqual([...expected].sort())
}

test('Suricata raises an alert for each packet that either hears, also after one has died and come back', async () => {
  await writeFile(join(sensor.files, 'spans.yaml'), ofSensor)
  await spanplan(sensor, ['apply', '--yes'])
  suricata = await startSuricata(sensor, ids, 'alerts')
  await start('north')
  await start('south')
  const alerts = await send(0, ['north', 'south'])
  await expectAlerts(alerts)

  await hostOf('south').close()
  hosts.delete('south')
  alerts.push(...(await send(1, ['north'])))
  await expectAlerts(alerts)
  const { stdout } = await spanplan(sensor, ['status', '--for', '1s'])
  expect(stdout).toContain('span0: healthy')

  await start('south')
  alerts.push(...(await send(2, ['north', 'south'])))
  await expectAlerts(alerts)
  await expectConverged(sensor)
  await suricata.stop()
})

test('all may send with one id', async () => {
  await writeSpans(sensor, `spans: {span0: {sources: [{vxlan: {id: 1}, from: [10.60.0.0/24]}], sensors: [suricata]}}`)
  await spanplan(sensor, ['apply', '--yes'])
  suricata = await startSuricata(sensor, ids, 'one')
  const south = hostOf('south')
  await writeSpans(
    south,
    `spans: {span0: {sources: [{interface: ens192}], outputs: [{vxlan: {id: 1, remote: ${sensorAddress}}}]}}`
  )
  await spanplan(south, ['apply', '--yes'])
  await expectAlerts(await send(3, ['north', 'south']))
  await suricata.stop()
})
