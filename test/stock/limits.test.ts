/** On Debian's kernel, which has act_police: the copies of a source are kept to its limit, and the frames themselves all go on. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ether, filler, ipv4Udp, writePcap } from '../lab/frames/frames.ts'
import { createLab, type Lab, type Side } from '../lab/lab.ts'
import { findProgram, privateEnvironment } from '../lab/programs.ts'
import { restoreAfterEach } from '../lab/restored.ts'
import { expectConverged, macOf, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
/** A datagram to the host, for a port that nobody has. */
let datagram: Buffer

const sender = '02:00:00:00:0a:01'

/** Bytes of a frame: 1,000 of them each second are the limit. */
const size = 1000
const limit = 'limit: 8mbit'
/** The frames that may come at once, of 1 MiB. */
const atOnce = 2 ** 20 / size

const frames = { sent: 15_000, inFile: 100, eachSecond: 3000 }

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  await lab.run(['ip', 'addr', 'add', '10.50.0.1/24', 'dev', 'sw0'], { on: 'switch' })
  await lab.run(['ip', 'addr', 'add', '10.50.0.2/24', 'dev', 'ens192'])
  const ends = { source: '10.50.0.1', destination: '10.50.0.2', sourcePort: 6000, destinationPort: 6001 }
  const headers = 14 + 20 + 8
  const mac = await macOf(lab, 'ens192')
  datagram = ether(mac, sender, ipv4Udp({ ...ends, data: Buffer.alloc(size - headers) }))
  expect(datagram).toHaveLength(size)
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

/** Copies ens192, and sends the copies out of ens224. */
async function apply(source: string): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192, ${source}}], outputs: [{interface: ens224}]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
}

/** Sends a frame some thousand times; says how many seconds that has taken. */
async function flood(frame: Buffer, from: string, on: Side): Promise<number> {
  const file = join(lab.files, 'flood.pcap')
  await writeFile(file, writePcap(Array<Buffer>(frames.inFile).fill(frame)))
  const often = [`--loop=${frames.sent / frames.inFile}`, `--pps=${frames.eachSecond}`, '--preload-pcap']
  const namespace = `--net=/run/netns/${on === 'host' ? lab.name : `${lab.name}-sw`}`
  const argv = [namespace, findProgram('tcpreplay'), ...often, '-i', from, file]
  const { all: said } = await execa(findProgram('nsenter'), argv, {
    ...{ env: privateEnvironment(lab.name), extendEnv: false, all: true }
  })
  const [, sent, seconds] = /Actual: (\d+) packets .* sent in ([\d.]+) seconds/.exec(said) ?? []
  expect(Number(sent), said).toBe(frames.sent)
  return Number(seconds)
}

interface Hop {
  readonly kind: string
  readonly losses: readonly unknown[]
  readonly total_frames: number
  readonly total_over_limit_frames: number
}

async function readHops(): Promise<Hop[]> {
  const { stdout } = await spanplan(lab, ['status', '--json', '--for', '1s'])
  return JSON.parse(stdout).spans[0].hops
}

/** Runs something, and looks at the losses all the time: there are none. */
async function withoutLosses<Result>(running: Promise<Result>): Promise<Result> {
  let isOver = false
  const ended = running.finally(() => {
    isOver = true
  })
  while (!isOver) expect((await readHops()).flatMap(({ losses }) => losses)).toEqual([])
  return ended
}

/** Received frames of an interface. */
async function received(device: string, on: Side): Promise<number> {
  const [link] = JSON.parse(await lab.run(['ip', '-json', '-statistics', 'link', 'show', 'dev', device], { on }))
  return link.stats64.rx.packets
}

/** How many datagrams the host had no socket for: all of these came as far as that. */
async function datagramsAtHost(): Promise<number> {
  const [names = '', values = ''] = (await lab.run(['cat', '/proc/net/snmp']))
    .split('\n')
    .filter((one) => /^Udp:/.test(one))
  return Number(values.split(' ')[names.split(' ').indexOf('NoPorts')])
}

/** Sends frames at three times the limit, which all have to go on: as many are copied as the limit lets pass. */
async function expectLimited(frame: Buffer, from: string, on: Side, count: () => Promise<number>): Promise<void> {
  const [before, copiedBefore] = [await count(), await received('sw1', 'switch')]
  const seconds = await withoutLosses(flood(frame, from, on))
  expect((await count()) - before).toBe(frames.sent)
  const copied = (await received('sw1', 'switch')) - copiedBefore
  const allowed = atOnce + 1000 * seconds
  expect(copied, `${seconds} s`).toBeGreaterThan(0.9 * allowed)
  expect(copied, `${seconds} s`).toBeLessThan(1.1 * allowed)
  const mirrors = (await readHops()).filter(({ kind }) => kind === 'mirror')
  expect(mirrors.map((hop) => [hop.total_frames, hop.total_over_limit_frames])).toEqual([
    [copied, frames.sent - copied]
  ])
}

test('of what is received', async () => {
  await apply(`direction: ingress, filter: ether src ${sender}, ${limit}`)
  await expectLimited(datagram, 'sw0', 'switch', datagramsAtHost)
})

test('of what is sent', async () => {
  await apply(`direction: egress, filter: ether src ${sender}, ${limit}`)
  const frame = ether('02:00:00:00:0a:02', sender, filler(size - 14))
  await expectLimited(frame, 'ens192', 'host', () => received('sw0', 'switch'))
})

test('one that somebody changes is repaired, one that leaves the file goes, and none is left behind', async () => {
  await apply(limit)
  const policers = async () => {
    const found = JSON.parse(await lab.run(['tc', '-json', 'actions', 'list', 'action', 'police']))
    const actions: { index: number }[] = found.flatMap((one: { actions?: unknown[] }) => one.actions ?? [])
    return actions.map(({ index }) => String(index))
  }
  const [one = '', ...others] = await policers()
  expect(others).toHaveLength(1)
  const change = ['tc', 'actions', 'change', 'action', 'police', 'rate', '1mbit', 'burst', '10k'] as const
  await lab.run([...change, 'conform-exceed', 'drop/pipe', 'index', one])
  const { stdout } = await spanplan(lab, ['plan'])
  expect(stdout).toMatch(
    /~ +mirror +ens192 (in|e)gress → span0 +limit: another policer → 8mbit\n\nPlan: 0 to create, 1 to change/
  )
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await apply('limit: 2.5gbit')
  await apply('direction: both')
  expect(await policers()).toEqual([])
})
