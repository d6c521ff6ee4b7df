/**
 * How many frames a second reach sensors: by spanplan, by the old recipe, and how many an interface without a tap takes, on three
 * cables of one lab. What is sent on a veth is copied by the processor that sends, so all of a cable's sensors share one.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { ether, ipv4Udp, writePcap } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram, privateEnvironment } from '../lab/programs.ts'
import { type Aim, makeRow, type Row, type Table } from './measure.ts'
import { benchShares } from './shares.ts'

const rounds = 15
/** Frames of a round. The start of the program that sends them is a small part of the time they take. */
const frames = 40_000
const counts = [1, 4, 16] as const
const ofOldRecipe: Aim = { of: 'ratio', atLeast: 0.95 }

/** A cable, and the bridge to which its frames are copied; null: to none. */
interface Way {
  readonly name: string
  readonly from: string
  readonly bridge: string | null
}

const ways = {
  none: { name: 'no copy', from: 'sw0', bridge: null },
  old: { name: 'old recipe', from: 'sw1', bridge: 'old0' },
  ours: { name: 'spanplan', from: 'sw2', bridge: 'span0' }
} as const satisfies Readonly<Record<string, Way>>

export async function* benchDatapath(): AsyncGenerator<Table> {
  await using lab = await createLab({
    cables: ['ens160', 'ens192', 'ens224'].map((card) => ({ card, mtu: 1500 })),
    docker: true
  })
  await makeOldRecipe(lab)
  writeFileSync(
    join(lab.files, 'spans.yaml'),
    'version: 1\nspans: {span0: {sources: [{interface: ens224}], network: span, sensors: [{label: role=ids}]}}\n'
  )
  await apply(lab)
  const sensors: Docker.Container[] = []
  for (const count of counts) {
    while (sensors.length < 2 * count) {
      const number = sensors.length / 2
      sensors.push(
        await lab.startSensor(`old-${number}`, { NetworkMode: 'old' }),
        await lab.startSensor(`ours-${number}`, {}, { role: 'ids' })
      )
    }
    await apply(lab)
    yield measure(lab, count)
  }
  yield* benchShares()
}

async function apply(lab: Lab): Promise<void> {
  const { exitCode, stderr } = await lab.spanplan(['apply', '--yes'])
  if (exitCode !== 0) throw new Error(stderr)
}

/** As people have built it by hand: a bridge with its defaults but the ageing time, and u32 mirrors. */
async function makeOldRecipe(lab: Lab): Promise<void> {
  const mirror = 'protocol all u32 match u32 0 0 action mirred egress mirror dev old0'
  await lab.run(['ip', '-batch', '-'], {
    input: ['link add old0 type bridge ageing_time 0', 'link set dev old0 up', 'link set dev ens192 promisc on'].join(
      '\n'
    )
  })
  await lab.run(['tc', '-batch', '-'], {
    input: ['qdisc add dev ens192 ingress', `filter add dev ens192 parent ffff: ${mirror}`].join('\n')
  })
  const options = ['--driver', 'bridge', '--internal', '-o', 'com.docker.network.bridge.name=old0']
  await lab.run(['docker', 'network', 'create', ...options, 'old'])
}

async function measure(lab: Lab, count: number): Promise<Table> {
  const rates: Record<keyof typeof ways, number[]> = { none: [], old: [], ours: [] }
  const lost: Record<keyof typeof ways, number> = { none: 0, old: 0, ours: 0 }
  for (let round = 0; round < rounds; round++) {
    for (const key of ['none', 'old', 'ours'] as const) {
      const way: Way = ways[key]
      const before = await readDelivered(lab, way)
      rates[key].push(await send(lab, way))
      const after = await readDelivered(lab, way)
      if (way.bridge !== null) lost[key] += Math.max(0, frames * count - (after - before))
    }
  }
  const row = (key: keyof typeof ways, bases?: readonly number[], aim?: Aim): Row =>
    makeRow(ways[key].name, rates[key], { unit: 'frames/s', ...(bases && { bases }), aim })
  const losses = (['old', 'ours'] as const).map((key) =>
    makeRow(`${ways[key].name}: copies that did not arrive`, [lost[key]], { unit: 'lost' })
  )
  return {
    title: `Frames of 256 bytes to ${count === 1 ? 'one sensor' : `${count} sensors`}`,
    floor: 'the old recipe in the same round',
    rows: [row('none'), row('old'), row('ours', rates.old, ofOldRecipe), ...losses]
  }
}

/** Sends the frames of a round as fast as they go, and gives how many that were a second. */
async function send(lab: Lab, { from }: Way): Promise<number> {
  const file = join(lab.files, `${from}.pcap`)
  const payload = ipv4Udp({
    source: '192.0.2.1',
    destination: '192.0.2.53',
    destinationPort: 53,
    data: Buffer.alloc(214)
  })
  writeFileSync(file, writePcap([ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', payload)]))
  const { LD_LIBRARY_PATH = '' } = privateEnvironment(lab.name)
  const replay = [findProgram('tcpreplay'), '--topspeed', '--preload-pcap', `--loop=${frames}`, '-i', from, file]
  const said = await lab.run(['env', `LD_LIBRARY_PATH=${LD_LIBRARY_PATH}`, ...replay], { on: 'switch' })
  const [, sent, seconds] = /Actual: (\d+) packets .* sent in ([\d.]+) seconds/.exec(said) ?? []
  if (Number(sent) !== frames) throw new Error(`not all frames were sent: ${said}`)
  return frames / Number(seconds)
}

/** Copies that the ports of a bridge have handed to their sensors so far. */
async function readDelivered(lab: Lab, { bridge }: Way): Promise<number> {
  if (bridge === null) return 0
  const text = await lab.run(['ip', '-json', '-stats', 'link', 'show', 'master', bridge])
  const links: { stats64: { tx: { packets: number } } }[] = JSON.parse(text)
  return links.reduce((total, { stats64 }) => total + stats64.tx.packets, 0)
}
