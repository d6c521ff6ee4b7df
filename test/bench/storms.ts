/**
 * What a watch and all that it starts take of the machine, in storms of events and at rest. Processor time is that of the watch, of what
 * it runs, and of what has run for it and ended; what Docker and the storm itself take is not in it.
 */
import { writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import type { WatchState } from '../../src/status/watch-state.ts'
import { askWatch, countRuns } from '../lab/commands/ask-watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { switchNamespace } from '../lab/sweep.ts'
import { makeRow, type Row, type Table } from './measure.ts'
import { readUsage, type Usage } from './process-tree.ts'

/** Of each storm. */
const rounds = 3
const events = 10_000
/** Events in one batch of ip, and milliseconds from one batch to the next: the watch runs again and again meanwhile. */
const [eventsAtOnce, pauseOfEvents] = [100, 100]
/** Restarts in a storm, milliseconds from one to the next, and sensors that take turns. */
const [restarts, pauseOfRestarts, sensors] = [100, 50, 5]
/** Docker restarts one or two containers a second: these are not pretended. */
const realRestarts = 3
/** Milliseconds for which regular looks are measured. */
const idle = 10_000

const name = 'default'

/** What storms and regular looks take, and what the watch holds after all of them. */
export async function* benchStorms(): AsyncGenerator<Table> {
  await using bench = await openBench()
  const before = bench.usage()
  const flips = await bench.measure(rounds, () => bench.flipLinks())
  const comings = await bench.measure(rounds, () => bench.restartSensors())
  const after = bench.usage()
  const real = `${restarts} restarts in ${(restarts * pauseOfRestarts) / 1000} s, and ${realRestarts} of Docker`
  const looks = await bench.measureIdleLooks(rounds)
  const rows = [
    ...rowsOf(`${events} link events in ${(events / eventsAtOnce) * (pauseOfEvents / 1000)} s`, flips),
    ...rowsOf(real, comings),
    makeRow(
      'an idle look (the regular one)',
      looks.map(({ processor, runs }) => processor / runs)
    ),
    makeRow(
      '  on the clock',
      looks.map(({ clock, runs }) => clock / runs)
    )
  ]
  yield { title: `Processor time of the watch and its programs, Linux ${release()}`, floor: null, rows }
  const held = [...heldRows('before', before), ...heldRows('after', after)]
  yield { title: `What the watch holds, before and after ${rounds} rounds of these storms`, floor: null, rows: held }
}

/** What a storm has taken. */
interface Cost {
  /** Milliseconds of processor time. */
  readonly processor: number
  /** Runs of the watch. */
  readonly runs: number
  /** Milliseconds that these runs took by the clock. */
  readonly clock: number
}

function rowsOf(what: string, costs: readonly Cost[]): Row[] {
  return [
    makeRow(
      what,
      costs.map(({ processor }) => processor)
    ),
    makeRow(
      '  runs meanwhile',
      costs.map(({ runs }) => runs),
      { unit: 'runs' }
    )
  ]
}

function heldRows(when: string, { memory, descriptors }: Usage): Row[] {
  return [
    makeRow(`memory (PSS) ${when}, the watch alone`, [memory.own], { unit: 'MB' }),
    makeRow(`memory (PSS) ${when}, with its programs`, [memory.all], { unit: 'MB' }),
    makeRow(`descriptors ${when}, the watch alone`, [descriptors.own], { unit: 'open' }),
    makeRow(`descriptors ${when}, with its programs`, [descriptors.all], { unit: 'open' })
  ]
}

/** A lab with a span, a sensor on it, and a watch. */
class Bench implements AsyncDisposable {
  readonly #lab: Lab
  readonly #zeek: Docker.Container
  #watch: ReturnType<Lab['startSpanplan']> | undefined
  #made = 0

  constructor(lab: Lab, zeek: Docker.Container) {
    this.#lab = lab
    this.#zeek = zeek
  }

  async startWatch(interval: string): Promise<void> {
    this.#watch?.kill('SIGTERM')
    await this.#watch
    this.#watch = this.#lab.startSpanplan(['watch', '--interval', interval])
    while ((await this.#state().catch(() => null))?.last == null) await sleep(50)
    if (interval === '1h') await this.#settle()
  }

  #state(): Promise<WatchState> {
    return askWatch(this.#lab, name, 'state')
  }

  usage(): Usage {
    return readUsage(this.#watch?.pid ?? Number.NaN)
  }

  /** Waits until the watch makes no more runs: longer than it rests between two at the most. */
  async #settle(): Promise<void> {
    for (let before = -1, now = 0; now !== before; ) {
      before = now
      await sleep(1200)
      now = countRuns(await this.#state())
    }
  }

  async #cost(act: () => Promise<unknown>): Promise<Cost> {
    const [usage, state] = [this.usage(), await this.#state()]
    await act()
    const [usageAfter, stateAfter] = [this.usage(), await this.#state()]
    return {
      processor: usageAfter.processor - usage.processor,
      runs: countRuns(stateAfter) - countRuns(state),
      clock: 1000 * (stateAfter.durations.sum - state.durations.sum)
    }
  }

  /** What is done, from its beginning until the watch has nothing more to do. */
  async measure(rounds: number, act: () => Promise<void>): Promise<Cost[]> {
    const costs: Cost[] = []
    for (let round = 0; round < rounds; round++) {
      costs.push(
        await this.#cost(async () => {
          await act()
          await this.#settle()
        })
      )
    }
    return costs
  }

  async measureIdleLooks(rounds: number): Promise<Cost[]> {
    await this.startWatch('1s')
    await sleep(idle / 2)
    const costs: Cost[] = []
    for (let round = 0; round < rounds; round++) costs.push(await this.#cost(() => sleep(idle)))
    return costs
  }

  async flipLinks(): Promise<void> {
    for (let part = 0; part < events / eventsAtOnce; part++) {
      const flips = Array.from({ length: eventsAtOnce }, (_, n) => `link set dev lo alias a${part % 2}${n}`)
      await this.#batch(flips)
      await sleep(pauseOfEvents)
    }
  }

  /**
   * What the host sees of sensors that restart, 20 a second: a port of the span's bridge goes, and one with another name and number
   * comes, whose other end is in another namespace. Docker is far slower, so it does so only now and then.
   */
  async restartSensors(): Promise<void> {
    const ports: string[] = []
    const isDue = Date.now()
    const pretended = async () => {
      for (let count = 0; count < restarts; count++) {
        const port = `veth${(0xa000000 + this.#made++).toString(16)}`
        const gone = ports.length < sensors ? undefined : ports.shift()
        ports.push(port)
        await this.#batch([
          ...(gone === undefined ? [] : [`link del dev ${gone}`]),
          `link add name ${port} type veth peer name ${port}i netns ${switchNamespace(this.#lab.name)}`,
          `link set dev ${port} master span0 up`
        ])
        await this.#lab.run(['ip', 'link', 'set', 'dev', `${port}i`, 'up'], { on: 'switch' })
        await sleep(Math.max(0, isDue + (count + 1) * pauseOfRestarts - Date.now()))
      }
    }
    const real = async () => {
      for (let count = 0; count < realRestarts; count++) await this.#zeek.restart()
    }
    await Promise.all([pretended(), real()])
    await this.#batch(ports.map((port) => `link del dev ${port}`))
  }

  #batch(lines: readonly string[]): Promise<string> {
    return this.#lab.run(['ip', '-batch', '-'], { input: lines.join('\n') })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.kill('SIGTERM')
    await this.#watch
    await this.#lab.close()
  }
}

async function openBench(): Promise<Bench> {
  const lab = await createLab({ docker: true })
  const span = '{sources: [{interface: ens192, direction: ingress}], sensors: [zeek]}'
  writeFileSync(join(lab.files, 'spans.yaml'), `version: 1\nspans: {span0: ${span}}\n`)
  const bench = new Bench(lab, await lab.startSensor('zeek'))
  await bench.startWatch('1h')
  return bench
}
