/**
 * How soon frames arrive again once a tap is broken under a watch, how long a new port is unsealed, and what storms of events cost.
 * Beside it the floor: a shell that waits for one line of a monitor, and then runs the one command that puts back what it knows to be
 * gone.
 */
import { once } from 'node:events'
import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { SENSOR_IMAGE } from '../lab/docker/sensor-images.ts'
import { ALL_HOSTS_GROUP, ether, igmpQuery, writePcap } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram, privateEnvironment } from '../lab/programs.ts'
import { type Aim, makeRow, medianAtMost, percentile, type Row, type Table } from './measure.ts'
import { benchStorms } from './storms.ts'

/** Frames a second: no time is known more exactly than to one of them. */
const rate = 500
/** Milliseconds without a word from the watch, after which it has nothing to do any more. */
const quiet = 700
/** Milliseconds after which something is wrong. */
const patience = 30_000

/** NSFS_MAGIC in linux/magic.h. */
const nsfsMagic = 0x6e736673

const events = 10_000
const rounds = 15
/** Of what an event is the beginning of. */
const aim = medianAtMost(15)

/** A query with a wrong checksum: a bridge that snoops drops it, and no other. */
const frame = ether(ALL_HOSTS_GROUP, '02:00:00:00:0a:01', igmpQuery('192.0.2.9'))
frame.writeUInt8(0xff, frame.length - 1)
const expression = 'igmp'
const interfaceOnly = '[{interface: ens192, direction: ingress}]'
const listener = ['tcpdump', '-i', 'any', '-Z', 'root', '--immediate-mode', '-ttnql', '-Q', 'in', expression] as const

/** Milliseconds, one a round. */
type Times = readonly number[]

/** What a repair takes, what a port is unsealed for, and what the watch has grown to. */
export async function* benchRecovery(): AsyncGenerator<Table> {
  await using bench = await openBench()
  const floor = await bench.floor(rounds)
  await bench.startWatch()
  // The floor is measured before the watch starts, in rounds of its own.
  const base = percentile(floor, 50)
  const row = (what: string, times: Times, aim?: Aim) => makeRow(what, times, { bases: times.map(() => base), aim })
  const rows = [
    makeRow('filter deleted, put back by a shell', floor),
    row('filter deleted', await bench.filterDeleted(rounds), aim),
    row('bridge option changed', await bench.optionChanged(rounds), aim),
    row('interface recreated', await bench.cardMadeAnew(rounds), aim)
  ]
  yield { title: `Recovery under a watch, Linux ${release()}`, floor: 'the shell', rows }
  const started = await bench.sensorStarted(rounds)
  const restarted = await bench.sensorRestarted(rounds)
  const closed = (await bench.closesAtBirth()) ? 'closed by nftables meanwhile' : 'open meanwhile: no NFT_BRIDGE_META'
  const ports = [
    row('sensor started, until it hears', started.heard),
    row('port that the watch connects, unsealed', started.unsealed),
    row('port that Docker restarts, unsealed', restarted.unsealed, aim),
    row('its sensor, until its stack is closed', restarted.open, aim),
    row('source that Docker restarts, not mirrored', await bench.sourceRestarted(rounds), aim)
  ]
  yield { title: `Ports (${closed})`, floor: 'the shell', rows: ports }
  yield { title: `Memory of the watch after ${events} link events`, floor: null, rows: await bench.memory() }
  await bench[Symbol.asyncDispose]()
  yield* benchStorms()
}

/** When frames arrived somewhere, in milliseconds since 1970. */
class Arrivals {
  readonly #times: number[] = []

  constructor(lines: AsyncIterable<string>) {
    void this.#read(lines)
  }

  async #read(lines: AsyncIterable<string>): Promise<void> {
    for await (const line of lines) {
      this.#times.push(Number.parseFloat(line) * 1000)
      if (this.#times.length > 100 * rate) this.#times.splice(0, 50 * rate)
    }
  }

  /** Waits for the first one after that time. */
  async firstAfter(time: number): Promise<number> {
    const deadline = Date.now() + patience
    for (;;) {
      const found = this.#times.slice(-10 * rate).find((arrival) => arrival > time)
      if (found !== undefined) return found
      if (Date.now() > deadline) throw new Error('frames do not arrive again')
      await sleep(5)
    }
  }

  /** The longest time without one, around what began at a time and had ended at another. */
  async gap(begin: number, end: number): Promise<number> {
    const last = await this.firstAfter(end + quiet)
    const times = this.#times.filter((time) => time > begin - 100 && time <= last)
    return Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? time)))
  }
}

/** A lab with traffic, a sensor that listens, and the kernel's word for when its ports began to carry frames, and were sealed. */
class Bench implements AsyncDisposable {
  readonly #lab: Lab
  readonly #zeek: Docker.Container
  readonly #file: string
  /** Since when ports carry frames and have no filter, by name. */
  readonly #carrying = new Map<string, number>()
  readonly #unfiltered: number[] = []
  /** When the last port began to carry frames. */
  #lastCarrying = Number.NaN
  #watch: ReturnType<Lab['startSpanplan']> | undefined
  #lastWord = 0
  #edits = 0
  #sources = interfaceOnly

  constructor(lab: Lab, zeek: Docker.Container) {
    this.#lab = lab
    this.#zeek = zeek
    this.#file = join(lab.files, 'spans.yaml')
    this.#follow(['ip', '-ts', '-o', 'monitor', 'link'], (time, text) => {
      const port = /\d+: (veth\w+)@.*[<,]LOWER_UP[,>].* master (?:span0|shop) /.exec(text)?.[1]
      if (port === undefined || this.#carrying.has(port)) return
      this.#carrying.set(port, time)
      this.#lastCarrying = time
    })
    this.#follow(['tc', '-ts', 'monitor'], (time, text) => {
      const port = /^(?!deleted).*filter dev (veth\w+) ingress/.exec(text)?.[1] ?? ''
      const since = this.#carrying.get(port)
      // What comes after the first one says nothing of how long there was none.
      if (since === undefined || Number.isNaN(since)) return
      this.#unfiltered.push(time - since)
      this.#carrying.set(port, Number.NaN)
    })
  }

  #follow(argv: readonly [string, ...string[]], tell: (time: number, text: string) => void) {
    const program = this.#lab.start(argv)
    createInterface(program.stdout).on('line', (line) => {
      const [, time = '', text = ''] = /^\[([^\]]+)\] ?(.*)$/.exec(line) ?? []
      tell(new Date(time).getTime(), text)
    })
    return program
  }

  /**
   * Follows the filters in the network namespace that Docker makes next, from before it has an interface.
   *
   * @returns what gives when the first filter came, and ends it.
   */
  #followNextNamespace(): () => number {
    const folder = join(this.#lab.dockerState, 'netns')
    const known = new Set(readdirSync(folder))
    let first = Number.NaN
    let program: ReturnType<Lab['start']> | undefined
    const enter = (file: string) => {
      const argv = ['nsenter', `--net=${join(folder, file)}`, '--', 'tc', '-ts', 'monitor'] as const
      program = this.#follow(argv, (time, text) => {
        if (Number.isNaN(first) && /^(?!deleted).*filter dev \S+ ingress/.test(text)) first = time
      })
    }
    // Docker mounts the namespace on a file that it has made before: until then, there is nothing to enter.
    const timer = setInterval(() => {
      const made = readdirSync(folder).find(
        (file) => !known.has(file) && statfsSync(join(folder, file)).type === nsfsMagic
      )
      if (made === undefined) return
      clearInterval(timer)
      enter(made)
    }, 1)
    return () => {
      clearInterval(timer)
      program?.kill('SIGKILL')
      return first
    }
  }

  /** What is sent at the card without an end, though the card is made anew: from beyond a bridge on the switch. */
  async startTraffic(): Promise<void> {
    const on = { on: 'switch' } as const
    const lines = [
      'link add name fabric type bridge mcast_snooping 0',
      'link set dev fabric up',
      'link set dev sw0 master fabric',
      'link add name sender up type veth peer name uplink',
      'link set dev uplink master fabric up'
    ]
    await this.#lab.run(['ip', '-batch', '-'], { ...on, input: lines.join('\n') })
    const file = join(this.#lab.files, 'frame.pcap')
    writeFileSync(file, writePcap([frame]))
    const { LD_LIBRARY_PATH = '' } = privateEnvironment(this.#lab.name)
    const replay = [findProgram('tcpreplay'), '--quiet', `--pps=${rate}`, '--loop=100000000', '-i', 'sender', file]
    this.#lab.start(['env', `LD_LIBRARY_PATH=${LD_LIBRARY_PATH}`, ...replay], on)
  }

  /** Listens in the sensor, without a process of Docker's for each frame. */
  async #listen(): Promise<Arrivals> {
    const { State } = await this.#zeek.inspect()
    const { stdout } = this.#lab.start(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...listener])
    return new Arrivals(createInterface(stdout))
  }

  /** The same file with another comment, so that what was put back before is not held against anybody. */
  #writeFile(): void {
    const sensors = '[zeek, {label: role=ids}]'
    const span = `{sources: ${this.#sources}, network: span, sensors: ${sensors}}`
    writeFileSync(this.#file, `# ${this.#edits++}\nversion: 1\nspans: {span0: ${span}}\n`)
  }

  /** Nothing has to be done, and nothing of before counts. */
  async #settle(): Promise<void> {
    this.#writeFile()
    await this.#rest()
  }

  /** Nothing has to be done. */
  async #rest(): Promise<void> {
    this.#lastWord = Date.now()
    while (Date.now() - this.#lastWord < quiet) await sleep(20)
  }

  async #gaps(rounds: number, argv: readonly [string, ...string[]], settle: () => Promise<void>): Promise<Times> {
    const arrivals = await this.#listen()
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      await settle()
      await arrivals.firstAfter(Date.now())
      const begin = Date.now()
      await this.#lab.run(argv)
      times.push(await arrivals.gap(begin, Date.now()))
    }
    return times
  }

  async floor(rounds: number): Promise<Times> {
    this.#writeFile()
    const { exitCode, stderr } = await this.#lab.spanplan(['apply'])
    if (exitCode !== 0) throw new Error(stderr)
    const show = ['tc', '-j', 'filter', 'show', 'dev', 'ens192', 'ingress'] as const
    const filters: { options?: { handle: string } }[] = JSON.parse(await this.#lab.run(show))
    const handle = filters.find(({ options }) => options)?.options?.handle
    const add = `tc filter replace dev ens192 ingress protocol all pref 8 handle ${handle} bpf bytecode '1,6 0 0 4294967295' action mirred egress mirror dev span0 continue`
    const shell = this.#lab.start([
      'setsid',
      'sh',
      '-c',
      `tc monitor | while read -r line; do case $line in deleted*) ${add} ;; esac; done`
    ])
    await sleep(quiet)
    const times = await this.#gaps(rounds, ['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'], () => sleep(200))
    // With all that it has started.
    process.kill(-(shell.pid ?? Number.NaN), 'SIGKILL')
    return times
  }

  async startWatch(): Promise<void> {
    this.#watch = this.#lab.startSpanplan(['watch', '--interval', '1h'])
    this.#watch.stderr.on('data', () => {
      this.#lastWord = Date.now()
    })
    await once(this.#watch.stderr, 'data')
    await this.#settle()
  }

  filterDeleted(rounds: number): Promise<Times> {
    return this.#gaps(rounds, ['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'], () => this.#settle())
  }

  optionChanged(rounds: number): Promise<Times> {
    const argv = ['ip', 'link', 'set', 'dev', 'span0', 'type', 'bridge', 'mcast_snooping', '1'] as const
    return this.#gaps(rounds, argv, () => this.#settle())
  }

  /** From before the command that makes it, at once with its cable. */
  async cardMadeAnew(rounds: number): Promise<Times> {
    const [cable] = this.#lab.cables
    if (cable === undefined) throw new Error('the lab has no cable')
    const { card, cardMac, port, portMac, mtu } = cable
    const end = (name: string, mac: string) => ['name', name, 'address', mac, 'mtu', String(mtu)]
    const make = [
      ...(['ip', 'link', 'add', ...end(port, portMac), 'master', 'fabric', 'up', 'type', 'veth'] as const),
      ...['peer', ...end(card, cardMac), 'netns', this.#lab.name]
    ] as const
    const arrivals = await this.#listen()
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      await this.#lab.run(['ip', 'link', 'del', 'dev', card])
      await this.#settle()
      const begin = Date.now()
      await this.#lab.run(make, { on: 'switch' })
      times.push((await arrivals.firstAfter(begin)) - begin)
    }
    return times
  }

  /** From when Docker says that it started. */
  async sensorStarted(rounds: number): Promise<{ readonly heard: Times; readonly unsealed: Times }> {
    const heard: number[] = []
    this.#unfiltered.length = 0
    for (let round = 0; round < rounds; round++) {
      const container = await this.#lab.docker.createContainer({
        name: `ids-${round}`,
        Image: SENSOR_IMAGE,
        Labels: { role: 'ids' },
        Cmd: [...listener],
        Tty: true,
        StopSignal: 'SIGKILL',
        HostConfig: { NetworkMode: 'none' }
      })
      await this.#settle()
      await container.start()
      const stream = await container.logs({ stdout: true, follow: true })
      const arrivals = new Arrivals(createInterface(stream))
      const { State } = await container.inspect()
      const begin = Date.parse(State.StartedAt)
      heard.push((await arrivals.firstAfter(begin)) - begin)
      await this.#settle()
      await container.remove({ force: true })
    }
    return { heard, unsealed: [...this.#unfiltered] }
  }

  /** From when the new port carries frames, as all that a restart of Docker's makes: until the port is sealed, and the stack closed. */
  async sensorRestarted(rounds: number): Promise<{ readonly unsealed: Times; readonly open: Times }> {
    const open: number[] = []
    this.#unfiltered.length = 0
    for (let round = 0; round < rounds; round++) {
      await this.#settle()
      const firstFilter = this.#followNextNamespace()
      await this.#zeek.restart()
      await this.#rest()
      open.push(firstFilter() - this.#lastCarrying)
    }
    return { unsealed: [...this.#unfiltered], open: open.filter((time) => !Number.isNaN(time)) }
  }

  /** Of a container whose frames are copied. */
  async sourceRestarted(rounds: number): Promise<Times> {
    const options = { 'com.docker.network.bridge.name': 'shop' }
    await this.#lab.docker.createNetwork({ Name: 'shop', Options: options })
    const web = await this.#lab.startSensor('web', { NetworkMode: 'shop' })
    this.#sources = '[{interface: ens192, direction: ingress}, {container: web}]'
    await this.#settle()
    this.#unfiltered.length = 0
    for (let round = 0; round < rounds; round++) {
      await this.#settle()
      await web.restart()
      await this.#rest()
    }
    const times = [...this.#unfiltered]
    this.#sources = interfaceOnly
    await web.remove({ force: true })
    await this.#settle()
    return times
  }

  /** Whether the table of nftables closes ports until they are sealed. */
  async closesAtBirth(): Promise<boolean> {
    return (await this.#lab.run(['nft', 'list', 'ruleset'])).includes('table bridge spanplan_default')
  }

  /** Of itself, before and after each fifth of the events. */
  async memory(): Promise<Row[]> {
    const rows: Row[] = []
    for (let step = 0; step <= 5; step++) {
      const status = readFileSync(`/proc/${this.#watch?.pid}/status`, 'utf8')
      const megabytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1000
      rows.push(makeRow(`after ${(step * events) / 5}`, [megabytes], { unit: 'MB' }))
      const flips = Array.from({ length: events / 5 }, (_, n) => `link set dev lo alias a${n}`)
      // Slowly enough for the watch to run again and again meanwhile.
      for (let part = 0; part < 20; part++) {
        await this.#lab.run(['ip', '-batch', '-'], { input: flips.slice(part * 100, part * 100 + 100).join('\n') })
        await sleep(100)
      }
      await this.#settle()
    }
    return rows
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.kill('SIGTERM')
    await this.#watch
    await this.#lab.close()
  }
}

async function openBench(): Promise<Bench> {
  const lab = await createLab({ docker: true })
  const bench = new Bench(lab, await lab.startSensor('zeek'))
  await bench.startTraffic()
  return bench
}
