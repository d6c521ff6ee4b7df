/** Docker's health check tells when a member of a balance does its work: until then, and when not, the others have its flows. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { type Delivery, listenEverywhere } from '../lab/frames/deliveries.ts'
import { ether, ipv4Udp } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { parseRows } from '../lab/parse-rows.ts'
import { portOf, until, writeSpans } from '../lab/spans.ts'

const names = ['one', 'two', 'three'] as const
type Name = (typeof names)[number]

let lab: Lab
let members: Readonly<Record<Name, Docker.Container>>
let folder: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192', mtu: 1500 }], docker: true })
  folder = join(lab.files, 'ready')
  await mkdir(folder)
  const [one, two, three] = await Promise.all(names.map(create))
  if (!one || !two || !three) throw new Error('there are fewer than three')
  members = { one, two, three }
})
afterAll(() => lab?.close())

const nanoseconds = 1e9
/** Ready is who has a file. Until it has been ready once, failures do not count; then, the first one does. */
const create = (name: string) =>
  lab.createSensor(name, { Binds: [`${folder}:/ready:ro`] }, {}, undefined, {
    Test: ['CMD', 'test', '-e', `/ready/${name}`],
    ...{ Interval: 0.3 * nanoseconds, StartInterval: 0.3 * nanoseconds, Timeout: 20 * nanoseconds },
    ...{ Retries: 1, StartPeriod: 600 * nanoseconds }
  })

const setReady = (name: Name) => writeFile(join(folder, name), '')
const setBusy = (name: Name) => rm(join(folder, name))

async function healthOf(name: Name): Promise<string | undefined> {
  const { State } = await members[name].inspect()
  return State.Health?.Status
}

/** Those to whose ports mirrors lead. */
async function fedMembers(): Promise<Name[]> {
  const filters = await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])
  const ports = await Promise.all(names.map((name) => portOf(lab, members[name]).catch(() => null)))
  return names.filter((_, index) => ports[index] !== null && filters.includes(`device ${ports[index]})`))
}

const awaitFed = (...wanted: readonly Name[]) =>
  until(`these are fed: ${wanted.join(', ')}`, async () => (await fedMembers()).join() === wanted.join())

async function indexOf(name: Name): Promise<number> {
  const port = await portOf(lab, members[name])
  const [link] = parseRows<{ ifindex: number }>(await lab.run(['ip', '-j', 'link', 'show', 'dev', port]))
  if (link === undefined) throw new Error(`${port} is gone`)
  return link.ifindex
}

const flows = 100
/** More than are sent: no number comes twice. */
const frames = Array.from({ length: 150_000 }, (_, number) => {
  const data = Buffer.alloc(8)
  data.writeUInt32BE(number)
  const packet = ipv4Udp({ source: `10.1.0.${number % flows}`, destination: '192.0.2.1', destinationPort: 53, data })
  return ether('02:00:00:00:0b:02', '02:00:00:00:0b:01', packet)
})

const numberOf = ({ packet }: Delivery) => packet.readUInt32BE(28)

/** What is sent while something is done: to which ports each frame went. */
async function streamWhile(act: () => Promise<unknown>) {
  const stop = await listenEverywhere(lab, 'udp dst port 53')
  const stopSending = await lab.stream(frames, 400)
  // Each flow has a frame, which tells whose it is.
  await sleep(1000)
  await act()
  await stopSending()
  const deliveries = await stop()
  const received = deliveries.filter(({ isOutgoing }) => !isOutgoing).map(numberOf)
  const delivered = deliveries.filter(({ isOutgoing }) => isOutgoing)
  const arrived = new Set(delivered.map(numberOf))
  expect(received.length).toBeGreaterThan(400)
  return { received, delivered, lost: received.filter((number) => !arrived.has(number)) }
}

test('the flows of a member that starts, or is unhealthy, go to the others until Docker calls it healthy', async () => {
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192, direction: ingress}], network: span, sensors: [{balance: [${names.join(', ')}]}]}}`
  )
  // No look but for events.
  await using watch = await startWatch(lab, ['--interval', '1h'])
  // It hears each of them get healthy: what is told again after a restart is news.
  await watch.settle()
  await Promise.all(names.map(setReady))
  await Promise.all(names.map((name) => members[name].start()))
  await awaitFed(...names)
  await until('all are healthy', async () => (await Promise.all(names.map(healthOf))).every((one) => one === 'healthy'))
  await watch.settle()

  const killed = await indexOf('one')
  let started = 0
  const restart = await streamWhile(async () => {
    await members.one.kill()
    await setBusy('one')
    await members.one.start()
    await awaitFed('two', 'three')
    await until('its port is there', async () => {
      started = await indexOf('one').catch(() => 0)
      return started > 0
    })
    await watch.settle()
    await sleep(1000)
    expect(await healthOf('one')).toBe('starting')
    expect(await fedMembers()).toEqual(['two', 'three'])
  })
  // It is not ready, and gets nothing. Lost is what was on its way to the port that has ended.
  expect(restart.delivered.filter(({ index }) => index === started)).toEqual([])
  const own = new Set(restart.delivered.flatMap((one) => (one.index === killed ? numberOf(one) % flows : [])))
  expect(own.size).toBeGreaterThan(flows / 6)
  expect(restart.lost.filter((number) => !own.has(number % flows))).toEqual([])
  const last = Math.max(...restart.received)
  expect(restart.lost.filter((number) => number > last - 400)).toEqual([])
  const { stdout } = await lab.spanplan(['status'])
  expect(stdout).toMatch(/one gets nothing until Docker calls it healthy: the others have its\s+share/)

  const ill = await indexOf('two')
  const changes = await streamWhile(async () => {
    await setReady('one')
    await awaitFed(...names)
    await setBusy('two')
    await awaitFed('one', 'three')
    expect(await healthOf('two')).toBe('unhealthy')
  })
  // All run meanwhile, and each frame comes to one of them: those that it should not have come to are of the moments before the watch looks.
  expect(changes.lost).toEqual([])
  expect(changes.delivered.some((one) => one.index === ill)).toBe(true)
  const away = await streamWhile(() => sleep(1000))
  expect(away.lost).toEqual([])
  expect(away.delivered.filter(({ index }) => index === ill)).toEqual([])
  console.log(
    `${restart.lost.length} of ${restart.received.length} frames were lost with one, 0 of ${changes.received.length} later`
  )

  // Where nobody is healthy, all have their shares: nothing would be won by less.
  await setBusy('one')
  await awaitFed('three')
  await setBusy('three')
  await awaitFed(...names)
  const none = await streamWhile(() => sleep(1000))
  expect(none.lost).toEqual([])
  expect(new Set(none.delivered.map(({ index }) => index)).size).toBe(3)
  await Promise.all(names.map(setReady))
  await until('all are healthy', async () => (await Promise.all(names.map(healthOf))).every((one) => one === 'healthy'))
  await awaitFed(...names)
  await watch.settle()
  expect(watch.told).not.toContain('keeps undoing')
  await watch.stop()
})
