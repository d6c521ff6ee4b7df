/** How long plans and applies take with many spans, and with much beside them that is not spanplan's. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLab, type Lab } from '../lab/lab.ts'
import { type Aim, compare, makeRow, medianAtMost, type Row, ratioAtMost, type Table } from './measure.ts'
import { openRunner, type Runner, spanplan } from './programs.ts'

const card = 'ens192'

/** Milliseconds of each command on so many spans, as they are to be at most. */
const sizes = [
  { count: 1, rounds: 15, floorRounds: 15, aims: {} },
  { count: 100, rounds: 5, floorRounds: 5, aims: { destroy: 2000 } },
  {
    count: 1000,
    rounds: 3,
    // To delete 1,000 bridges takes 20 s.
    floorRounds: 1,
    aims: { plan: 1000, apply: 3000, 'plan, in sync': 1000, 'one change': 2000, status: 3000, destroy: 20_000 }
  }
] as const

/** Spans that have a sensor each, and in how many rounds: to make 1,000 networks takes Docker minutes. */
const sensorSizes = [
  [100, 3],
  [1000, 1]
] as const

/** Each is a sensor of as many spans as the others: a container has as many interfaces as it has spans. */
const sensors = Array.from({ length: 10 }, (_, index) => `zeek${index}`)

const megabytes = 180

export async function* benchScale(): AsyncGenerator<Table> {
  for (const size of sizes) yield benchSpans(size)
  for (const [count, rounds] of sensorSizes) yield benchSensors(count, rounds)
  yield benchLoop()
  yield benchForeign()
  yield benchContainers()
}

interface Size {
  readonly count: number
  readonly rounds: number
  readonly floorRounds: number
  /** Milliseconds, by the row. */
  readonly aims: Readonly<Partial<Record<string, number>>>
}

/** Each command on so many spans with an interface of their own, beside the same commands of ip, tc and bridge in batches. */
async function benchSpans({ count, rounds, floorRounds, aims }: Size): Promise<Table> {
  await using lab = await createLab({ cables: [{ card, mtu: 1500 }] })
  const host = openRunner(lab, 'no docker')
  makeInterfaces(host, count)
  const file = writeSpans(lab, count)
  const changed = writeSpans(lab, count, 'udp')
  const script = host.read(spanplan('plan', '--commands', '-f', file))
  const batches = readBatches(script)
  const names = Array.from({ length: count }, (_, index) => `many${index + 1}`)
  const times = new Map<string, number[]>()
  const note = (what: string, milliseconds: number) => times.set(what, [...(times.get(what) ?? []), milliseconds])
  const command = (what: string, ...args: string[]) => note(what, host.time(spanplan(...args)))
  for (let round = 0; round < rounds; round++) {
    if (round < floorRounds) {
      note('apply, bare', sum(batches.map(({ tool, lines }) => host.time([tool, '-batch', '-'], lines))))
      note('plan, bare', sum(readings.map((argv) => host.time(argv))))
      note('destroy, bare', deleteBare(host, names))
    }
    command('plan', 'plan', '-f', file)
    command('apply', 'apply', '-f', file)
    command('plan, in sync', 'plan', '-f', file)
    command('status', 'status', '-f', file, '--for', '1ms')
    command('one change', 'apply', '-f', changed)
    command('destroy', 'destroy', '-f', file, '--yes')
  }
  const row = (what: string, bare: string): Row => {
    const limit = aims[what]
    const aim: Aim | undefined = limit === undefined ? undefined : medianAtMost(limit)
    const floors = times.get(bare) ?? []
    const bases = Array.from({ length: rounds }, (_, round) => floors[round % floorRounds] ?? Number.NaN)
    return makeRow(what, times.get(what) ?? [], { bases, aim })
  }
  const bare = ['plan, bare', 'apply, bare', 'destroy, bare'].map((what) => makeRow(what, times.get(what) ?? []))
  const [last = ''] = names.slice(-1)
  host.time(['ip', 'link', 'add', last, 'type', 'bridge'])
  const refused = ['sh', '-c', '"$@" || [ $? -eq 1 ]', 'sh', ...spanplan('plan', '-f', file)]
  for (let round = 0; round < rounds; round++) note('plan, one conflict', host.time(refused))
  host.time(['ip', 'link', 'del', 'dev', last])
  const memory = host.read([process.execPath, '-r', writeMeter(lab), ...spanplan('plan', '-f', file).slice(1)])
  const peak = Number(/^peak (\d+)$/m.exec(memory)?.[1]) / 1024
  return {
    title: `${count} spans`,
    floor: 'the bare batches of ip, tc and bridge',
    rows: [
      ...bare,
      row('plan', 'plan, bare'),
      row('plan, in sync', 'plan, bare'),
      row('plan, one conflict', 'plan, bare'),
      row('status', 'plan, bare'),
      row('apply', 'apply, bare'),
      row('one change', 'plan, bare'),
      row('destroy', 'destroy, bare'),
      makeRow('memory of a plan', [peak], { unit: 'MB', aim: medianAtMost(megabytes) })
    ]
  }
}

const readings = [
  ['ip', '-json', '-details', 'link', 'show'],
  ['tc', '-json', 'qdisc', 'show'],
  ['ethtool', '-k', '*']
] as const

/** Dummies are not on each kernel: one end of a veth has nothing at its other end. */
function makeInterfaces(host: Runner, count: number): void {
  const lines = Array.from({ length: count }, (_, index) => [
    `link add if${index + 1} type veth peer name of${index + 1}`,
    `link set dev if${index + 1} up`,
    `link set dev of${index + 1} up`
  ])
  host.time(['ip', '-batch', '-'], lines.flat().join('\n'))
}

/** `filter`: of the first span. */
function writeSpans(lab: Lab, count: number, filter?: string): string {
  const spans = Array.from({ length: count }, (_, index) => {
    const more = index === 0 && filter !== undefined ? `, filter: ${filter}` : ''
    return `  many${index + 1}: {sources: [{interface: if${index + 1}, direction: ingress${more}}]}\n`
  })
  const path = join(lab.files, `${count}${filter ?? ''}.yaml`)
  writeFileSync(path, `version: 1\nname: many\nspans:\n${spans.join('')}`)
  return path
}

interface ToolBatch {
  readonly tool: string
  readonly lines: string
}

/** The commands of a plan as three batches. No link waits for tc, and no filter for what is set on a link after its creation. */
function readBatches(script: string): ToolBatch[] {
  return ['ip', 'bridge', 'tc'].map((tool) => {
    const commands = script.split('\n').filter((line) => line.startsWith(`${tool} `))
    // A shell's quotes that a batch reads too; only a comma-separated program has them.
    return { tool, lines: commands.map((line) => `${line.slice(tool.length + 1)}\n`).join('') }
  })
}

function deleteBare(host: Runner, names: readonly string[]): number {
  const joins = names.map((name) => `link set dev ${name} group 7777\n`).join('')
  const quiet = names.map((_, index) => `link set dev if${index + 1} promisc off\n`).join('')
  const qdiscs = names.map((_, index) => `qdisc del dev if${index + 1} clsact\n`).join('')
  const links = `${quiet}${joins}link del group 7777\n`
  return host.time(['tc', '-batch', '-'], qdiscs) + host.time(['ip', '-batch', '-'], links)
}

/** A module that has Node.js say at its end how much memory it had at most, in kilobytes. */
function writeMeter(lab: Lab): string {
  const path = join(lab.files, 'meter.cjs')
  const text = "process.on('exit', () => console.log('\\npeak ' + process.resourceUsage().maxRSS))"
  writeFileSync(path, text)
  return path
}

/** Plans and applies of so many spans with a network and a sensor each, beside the same calls to Docker alone. */
async function benchSensors(count: number, rounds: number): Promise<Table> {
  await using lab = await createLab({ cables: [{ card, mtu: 1500 }], docker: true })
  const host = openRunner(lab, 'docker')
  await lab.docker.createNetwork({ Name: 'own', Internal: true })
  for (const name of sensors) await lab.startSensor(name, { NetworkMode: 'own' })
  makeInterfaces(host, count)
  const file = join(lab.files, 'sensors.yaml')
  const spans = Array.from({ length: count }, (_, index) => {
    const source = `{interface: if${index + 1}, direction: ingress}`
    return `  many${index + 1}: {sources: [${source}], network: net${index + 1}, sensors: [${sensorOf(index)}]}\n`
  })
  writeFileSync(file, `version: 1\nname: many\nspans:\n${spans.join('')}`)
  const plan = () => host.time(spanplan('plan', '-f', file))
  const applied = await compare(rounds, [
    { what: 'networks and endpoints, by Docker alone', timed: () => connectBare(lab, count) },
    {
      what: 'apply',
      timed: () => {
        const time = host.time(spanplan('apply', '-f', file))
        host.time(spanplan('destroy', '-f', file, '--yes'))
        return time
      }
    }
  ])
  const lists = [...readings, ['docker', 'network', 'ls', '--quiet'], ['docker', 'ps', '--quiet']]
  const listed = { what: 'plan, bare', timed: () => sum(lists.map((argv) => host.time(argv))) }
  const planned = await compare(rounds, [listed, { what: 'plan', timed: plan }])
  host.time(spanplan('apply', '-f', file))
  const inSync = await compare(rounds, [
    { ...listed, what: 'plan, in sync, bare' },
    { what: 'plan, in sync', timed: plan }
  ])
  return {
    title: `${count} spans with a network and a sensor each`,
    floor: "Docker's and iproute2's part of it",
    rows: [...applied, ...planned, ...inSync]
  }
}

const sensorOf = (span: number) => sensors[span % sensors.length] ?? ''

/** How long Docker takes to make so many networks, and to connect a container to each; then they are removed. */
async function connectBare({ docker }: Lab, count: number): Promise<number> {
  const begin = performance.now()
  const networks = []
  for (let n = 0; n < count; n++) {
    const network = await docker.createNetwork({
      Name: `bare${n}`,
      Internal: true,
      IPAM: { Config: [{ Subnet: `10.${n >> 8}.${n & 255}.0/26` }] }
    })
    await network.connect({ Container: sensorOf(n) })
    networks.push(network)
  }
  const time = performance.now() - begin
  for (const [n, network] of networks.entries()) {
    await network.disconnect({ Container: sensorOf(n) })
    await network.remove()
  }
  return time
}

/** What a host waits for at boot: against scripts of the tc-mirror kind, which start six processes for each mirror. */
async function benchLoop(): Promise<Table> {
  await using lab = await createLab({ cables: [{ card, mtu: 1500 }] })
  const host = openRunner(lab, 'no docker')
  const count = 100
  const path = join(lab.files, 'loop.yaml')
  const spans = Array.from({ length: count }, (_, n) => `  many${n + 1}: {sources: [{interface: ${card}}]}\n`)
  writeFileSync(path, `version: 1\nname: many\nspans:\n${spans.join('').replaceAll('}]', ', direction: ingress}]')}`)
  const script = (text: string) => host.time(['sh', '-e', '-c', text, 'sh', String(count), card])
  const rows = await compare(5, [
    {
      what: 'shell loop',
      timed: () => {
        const time = script(loop)
        script(undoLoop)
        return time
      }
    },
    {
      what: 'apply',
      timed: () => {
        const time = host.time(spanplan('apply', '-f', path))
        host.time(spanplan('destroy', '-f', path, '--yes'))
        return time
      },
      aim: ratioAtMost(0.3)
    }
  ])
  return { title: `${count} spans of one interface`, floor: 'a shell loop of six processes a span', rows }
}

const loop = `
n=1
while [ $n -le $1 ]; do
  ip link add dev many$n type bridge
  ip link set dev many$n type bridge ageing_time 0
  ip link set dev many$n up
  ip link set dev $2 promisc on
  tc qdisc add dev $2 ingress 2>/dev/null || true
  tc filter add dev $2 parent ffff: protocol all u32 match u32 0 0 action mirred egress mirror dev many$n
  n=$((n + 1))
done`

const undoLoop = `
tc qdisc del dev $2 ingress
ip link set dev $2 promisc off
n=1
while [ $n -le $1 ]; do
  ip link set dev many$n group 7777
  n=$((n + 1))
done
ip link del group 7777`

/** A plan of one span in sync, alone and beside 2,000 foreign links. */
async function benchForeign(): Promise<Table> {
  await using lab = await createLab({ cables: [{ card, mtu: 1500 }] })
  const host = openRunner(lab, 'no docker')
  const file = join(lab.files, 'one.yaml')
  writeFileSync(file, `version: 1\nspans: {span0: {sources: [{interface: ${card}}]}}\n`)
  host.time(spanplan('apply', '-f', file))
  const plan = { what: 'plan, in sync', timed: () => host.time(spanplan('plan', '-f', file)) }
  const [alone] = await compare(15, [plan])
  makeInterfaces(host, 1000)
  const [reading, beside] = await compare(5, [
    { what: 'ip -j -d link, with 2,000 foreign links', timed: () => host.time(['ip', '-json', '-details', 'link']) },
    { ...plan, what: 'plan, in sync, with 2,000 foreign links' }
  ])
  const more = (beside?.median ?? Number.NaN) - (alone?.median ?? Number.NaN)
  return {
    title: 'One span beside foreign links',
    floor: 'ip -j -d link',
    rows: [
      ...(alone ? [alone] : []),
      ...(reading ? [reading] : []),
      ...(beside ? [beside] : []),
      makeRow('what 2,000 foreign links cost a plan', [more], { aim: medianAtMost(200) })
    ]
  }
}

/** A plan with one sensor among a thousand containers. */
async function benchContainers(): Promise<Table> {
  await using lab = await createLab({ cables: [{ card, mtu: 1500 }], docker: true })
  const host = openRunner(lab, 'docker')
  const file = join(lab.files, 'sensor.yaml')
  const span = `{sources: [{interface: ${card}}], network: span, sensors: [zeek]}`
  writeFileSync(file, `version: 1\nspans: {span0: ${span}}\n`)
  await lab.startSensor('zeek')
  host.time(spanplan('apply', '-f', file))
  const plan = { what: 'plan, in sync', timed: () => host.time(spanplan('plan', '-f', file)) }
  const [alone] = await compare(5, [plan])
  const names = Array.from({ length: 1000 }, (_, index) => `other${index}`)
  for (let begin = 0; begin < names.length; begin += 20) {
    await Promise.all(names.slice(begin, begin + 20).map((name) => lab.createSensor(name)))
  }
  const [listing, beside] = await compare(5, [
    { what: 'docker ps, with 1,000 containers', timed: () => host.time(['docker', 'ps', '--all', '--quiet']) },
    { ...plan, what: 'plan, in sync, with 1,000 containers' }
  ])
  return {
    title: 'One sensor among containers',
    floor: 'docker ps --all',
    rows: [...(alone ? [alone] : []), ...(listing ? [listing] : []), ...(beside ? [beside] : [])]
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
