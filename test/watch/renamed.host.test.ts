/** A span gets another name while it carries frames: on the host, nothing changes. */
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { type Delivery, listenEverywhere } from '../lab/frames/deliveries.ts'
import { ether, ipv4Udp } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { listenHere, scrape } from '../lab/metrics/scrape.ts'
import { restoreAfterEach } from '../lab/restored.ts'
import { expectConverged, expectRefusal, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let sensors: Docker.Container[]

beforeAll(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 1500 },
      { card: 'ens224', mtu: 1500 }
    ],
    docker: true
  })
  sensors = await Promise.all(['all', 'some', 'suri-1', 'suri-2', 'again'].map((name) => lab.startListener(name)))
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

/** The first span has all kinds of receivers, and the second one copies from its bridge. */
const write = (name: string, bridge = '') =>
  writeSpans(
    lab,
    `spans:
  ${name}:${bridge}
    sources: [{interface: ens192, direction: ingress}]
    sensors: [all, {container: some, filter: udp port 53}, {balance: [suri-1, suri-2]}]
    outputs: [{interface: ens224}]
  span1:
    sources: [{interface: span0, direction: egress}]
    sensors: [again]`
  )

/** More than are sent: no number comes twice. */
const frames = Array.from({ length: 60_000 }, (_, number) => {
  const data = Buffer.alloc(8)
  data.writeUInt32BE(number)
  const packet = ipv4Udp({ source: `10.1.0.${number % 100}`, destination: '192.0.2.1', destinationPort: 53, data })
  return ether('02:00:00:00:0b:02', '02:00:00:00:0b:01', packet)
})

const numberOf = ({ packet }: Delivery) => packet.readUInt32BE(28)

const endpointsOf = (containers: readonly Docker.Container[]) =>
  Promise.all(
    containers.map(async (container) => {
      const { State, NetworkSettings } = await container.inspect()
      return [State.StartedAt, ...Object.values(NetworkSettings.Networks).map(({ EndpointID }) => EndpointID)]
    })
  )

/** How often each frame is handed to something while this is done: to ports, to bridges and to the output. */
async function countCopies(act: () => Promise<void>) {
  const stop = await listenEverywhere(lab, 'udp dst port 53')
  const stopSending = await lab.stream(frames, 500)
  await sleep(300)
  await act().finally(async () => {
    await sleep(300)
    await stopSending()
  })
  const deliveries = await stop()
  const received = deliveries.filter(({ isOutgoing }) => !isOutgoing).map(numberOf)
  const copies = new Map<number, number>()
  for (const one of deliveries.filter(({ isOutgoing }) => isOutgoing))
    copies.set(numberOf(one), (copies.get(numberOf(one)) ?? 0) + 1)
  return { received: received.length, copies: new Set(received.map((number) => copies.get(number) ?? 0)) }
}

test('a watch takes the new name from its file: no frame is lost or doubled, and nothing on the host is touched', async () => {
  await write('span0')
  await using watch = await startWatch(lab, [...listenHere])
  await expectConverged(lab)
  await watch.settle()
  const [before, endpoints] = [await lab.snapshotText(), await endpointsOf(sensors)]
  const { length } = watch.told
  const { received, copies } = await countCopies(async () => {
    await write('the-mirror-port-of-the-core-switch', '\n    bridge: span0')
    await watch.expectTold(/ file +\S+: the-mirror-port-of-the-core-switch, span1\n/)
    await watch.expectTold(
      / file +the-mirror-port-of-the-core-switch renamed span0 → the-mirror-port-of-the-core-switch:/
    )
    await watch.settle()
  })
  expect(received).toBeGreaterThan(100)
  // Each got as many copies as all others.
  expect(copies.size).toBe(1)
  expect([...copies][0]).toBeGreaterThanOrEqual(5)
  expect(await lab.snapshotText()).toBe(before)
  expect(await endpointsOf(sensors)).toEqual(endpoints)
  expect(watch.told.slice(length)).not.toMatch(/done in|repaired/)
  const told = await spanplan(lab, ['events', 'the-mirror-port-of-the-core-switch'])
  expect(told.stdout).toContain('renamed span0 → the-mirror-port-of-the-core-switch')
  await expectConverged(lab)
})

test('whoever asks for it calls it by its name, and who types that of the bridge is told', async () => {
  await write('dmz-mirror', '\n    bridge: span0')
  await using watch = await startWatch(lab, [...listenHere])
  await watch.settle()
  const { stdout: brief } = await lab.spanplan(['status', '--brief'])
  expect(brief).toMatch(/^\w+ +dmz-mirror /m)
  expect(brief).not.toContain('span0')
  const { stdout: status } = await lab.spanplan(['status', '--json'])
  expect(JSON.parse(status).spans).toMatchObject([
    { name: 'dmz-mirror', bridge: 'span0' },
    { name: 'span1', bridge: 'span1' }
  ])
  expect((await lab.spanplan(['graph'])).stdout).toMatch(/dmz-mirror .*bridge span0/)
  expect((await scrape(lab)).text).not.toContain('span="span0"')
  expect((await scrape(lab)).value('healthy', { span: 'dmz-mirror' })).toBe(1)
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await watch.expectTold(/ dmz-mirror +\+ mirror ens192 ingress → dmz-mirror .* repaired in/)
  await until('the event is kept', async () =>
    (await spanplan(lab, ['events', 'dmz-mirror'])).stdout.includes('+ mirror ens192 ingress → dmz-mirror')
  )
  const refused = 'span0 is the bridge of the span dmz-mirror: write dmz-mirror'
  for (const args of [
    ['plan', '--span', 'span0'],
    ['status', '--span', 'span0'],
    ['destroy', '--span', 'span0', '--yes'],
    ['graph', '--file-only', '--span', 'span0'],
    ['pause', 'span0', '--for', '1m'],
    ['capture', 'span0', '--count', '1'],
    ['events', 'span0']
  ])
    expect(await expectRefusal(lab, args, 64), args.join(' ')).toContain(refused)
  expect((await spanplan(lab, ['plan', '--span', 'dmz-mirror'])).stdout).toContain('No changes')
  const stop = await lab.stream(frames, 100)
  try {
    const { stdout, stderr } = await spanplan(lab, ['capture', 'dmz-mirror', '--count', '3'])
    expect(stdout.trim().split('\n')).toHaveLength(3)
    expect(stderr).toContain('listening on dmz-mirror')
    const { stdout: report } = await spanplan(lab, ['filter', 'test', 'udp', '--on', 'dmz-mirror', '--for', '1s'])
    expect(report).toContain('dmz-mirror')
  } finally {
    await stop()
  }
  await spanplan(lab, ['pause', 'dmz-mirror', '--for', '1h'])
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await watch.settle()
  expect(await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).not.toContain('mirred')
  await spanplan(lab, ['resume', 'dmz-mirror'])
  await until('it is repaired', async () =>
    (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')
  )
})

test('without "bridge", another name is another span: the plan says what would keep the one that is live', async () => {
  await write('span0')
  await spanplan(lab, ['apply', '--yes'])
  const before = await lab.snapshotText()
  await write('dmz-mirror')
  expect(await expectRefusal(lab, ['plan'])).toContain('write "bridge: span0" in it')
  await write('dmz-mirror', '\n    bridge: span0')
  expect((await spanplan(lab, ['apply', '--yes'])).stdout).toContain('No changes')
  expect(await lab.snapshotText()).toBe(before)
  await spanplan(lab, ['destroy', '--span', 'dmz-mirror', '--span', 'span1', '--yes'])
})
