/**
 * How many frames a second reach sensors that share a span, beside sensors that each get all of it, and beside a packet socket on the
 * interface itself, which is what a container in the host's network has. What is sent on a veth is copied by the processor that sends.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ether, ipv4Udp, writePcap } from '../lab/frames/frames.ts'
import { type Argv, createLab, type Lab } from '../lab/lab.ts'
import { findProgram, privateEnvironment } from '../lab/programs.ts'
import { type Aim, makeRow, type Row, type Table } from './measure.ts'

/** Many short ones: what else the machine does changes from one to the next. */
const rounds = 41
const flows = 1000
/** How often the flows are sent in a round. */
const loops = 40

/** A span of its own on a cable of its own; `sensors` as in the file. */
interface Way {
  readonly name: string
  readonly sensors: string | null
  /** How many containers of the span's own there are. */
  readonly count: number
  /** What its rate is compared with. */
  readonly aims?: Readonly<Record<string, Aim>>
}

const ways = {
  none: { name: 'no copy', sensors: null, count: 0 },
  host: { name: 'a packet socket on the interface itself', sensors: null, count: 0 },
  one: { name: 'one sensor', sensors: '[one-0]', count: 1 },
  four: { name: 'four sensors, each all', sensors: '[four-0, four-1, four-2, four-3]', count: 4 },
  shared: {
    name: 'four sensors that share',
    sensors: '[{balance: [shared-0, shared-1, shared-2, shared-3]}]',
    count: 4,
    aims: { one: { of: 'ratio', atLeast: 1 }, four: { of: 'ratio', atLeast: 2 } }
  },
  filtered: {
    name: 'one sensor, a filter drops 90 %',
    sensors: '[{container: filtered-0, filter: udp port 7}]',
    count: 1
  },
  sampled: { name: 'one sensor, a sample of 1/10', sensors: '[sampled-0]', count: 1 }
} as const satisfies Readonly<Record<string, Way>>

type Name = keyof typeof ways

const names = Object.keys(ways) as Name[]
const cardOf = (name: Name) => `card-${name}`
const portOf = (name: Name) => `sw${names.indexOf(name)}`

/** Takes each frame, as a sensor does, and keeps none. */
const listen: Argv = ['tcpdump', '-Z', 'root', '-i', 'any', '-s', '256', '-B', '65536', '-w', '/dev/null']

export async function* benchShares(): AsyncGenerator<Table> {
  await using lab = await createLab({ cables: names.map((name) => ({ card: cardOf(name), mtu: 1500 })), docker: true })
  const spans = names.flatMap((name) => {
    const { sensors } = ways[name]
    const sample = name === 'sampled' ? ', sample: 1/10' : ''
    return sensors === null
      ? []
      : [`  ${name}: {sources: [{interface: ${cardOf(name)}, direction: ingress${sample}}], sensors: ${sensors}}`]
  })
  writeFileSync(join(lab.files, 'spans.yaml'), `version: 1\nspans:\n${spans.join('\n')}\n`)
  for (const name of names) {
    for (let number = 0; number < ways[name].count; number++) {
      const container = await lab.createSensor(`${name}-${number}`, {}, {}, listen)
      await container.start()
    }
  }
  const { exitCode, stderr } = await lab.spanplan(['apply', '--yes'])
  if (exitCode !== 0) throw new Error(stderr)
  const [program, ...words] = listen
  const socket = lab.start([program, ...words.map((word) => (word === 'any' ? cardOf('host') : word))])
  socket.catch(() => undefined)
  yield await measure(lab)
  socket.kill('SIGKILL')
}

async function measure(lab: Lab): Promise<Table> {
  const rates = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++) {
    // Each way is first as often as the others: the order favours none.
    for (const [index] of names.entries()) {
      const name = names[(index + round) % names.length] ?? 'none'
      rates[name].push(await send(lab, name))
    }
  }
  const row = (name: Name, base?: Name, aim?: Aim): Row =>
    makeRow(base === undefined ? ways[name].name : `${ways[name].name}, to ${ways[base].name}`, rates[name], {
      unit: 'frames/s',
      ...(base !== undefined && { bases: rates[base] }),
      aim
    })
  return {
    title: `Frames of 256 bytes, of ${flows} flows`,
    floor: 'a packet socket on the interface itself, in the same round',
    rows: [
      ...names.map((name) => (name === 'host' ? row(name) : { ...row(name, 'host'), what: ways[name].name })),
      row('shared', 'one', ways.shared.aims.one),
      row('shared', 'four', ways.shared.aims.four)
    ]
  }
}

/** Sends the frames of a round as fast as they go, and gives how many that were a second. */
async function send(lab: Lab, name: Name): Promise<number> {
  const file = join(lab.files, `${name}.pcap`)
  const frames = Array.from({ length: flows }, (_, flow) => {
    const source = `10.${flow >> 16}.${(flow >> 8) & 255}.${flow & 255}`
    const ends = { source, destination: `192.0.2.${(flow % 50) + 1}`, destinationPort: flow % 10 === 0 ? 7 : 53 }
    return ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', ipv4Udp({ ...ends, data: Buffer.alloc(214) }))
  })
  writeFileSync(file, writePcap(frames))
  const { LD_LIBRARY_PATH = '' } = privateEnvironment(lab.name)
  const replay = [findProgram('tcpreplay'), '--topspeed', '--preload-pcap', `--loop=${loops}`, '-i', portOf(name), file]
  const said = await lab.run(['env', `LD_LIBRARY_PATH=${LD_LIBRARY_PATH}`, ...replay], { on: 'switch' })
  const [, sent, seconds] = /Actual: (\d+) packets .* sent in ([\d.]+) seconds/.exec(said) ?? []
  if (Number(sent) !== flows * loops) throw new Error(`not all frames were sent: ${said}`)
  return (flows * loops) / Number(seconds)
}
