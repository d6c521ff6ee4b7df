/** A watch in a lab: started, listened to, asked, and ended with the test at the latest. */
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import type { WatchState } from '../../../src/status/watch-state.ts'
import type { Lab, Outcome, SpanplanOptions } from '../lab.ts'
import { expectArriving, expectConverged, until } from '../spans.ts'
import { askWatch, countRuns } from './ask-watch.ts'

interface StartOptions extends SpanplanOptions {
  /** Of the spans; `default` if not given. */
  readonly name?: string
  /** Whether its first run is waited for. */
  readonly ready?: boolean
}

export class Watch implements AsyncDisposable {
  readonly pid: number
  readonly #lab: Lab
  readonly #name: string
  readonly #process: ReturnType<Lab['startSpanplan']>
  #told = ''
  #printed = ''

  constructor(lab: Lab, args: readonly string[], { name = 'default', ...options }: StartOptions) {
    this.#lab = lab
    this.#name = name
    this.#process = lab.startSpanplan(['watch', ...args], options)
    this.pid = this.#process.pid ?? 0
    this.#process.stderr.on('data', (chunk) => {
      this.#told += chunk
    })
    this.#process.stdout.on('data', (chunk) => {
      this.#printed += chunk
    })
  }

  /** What it has said so far, on stderr. */
  get told(): string {
    return this.#told
  }

  /** What it has printed so far with --json. */
  get events(): readonly { readonly type: string; readonly [key: string]: unknown }[] {
    const whole = this.#printed.slice(0, this.#printed.lastIndexOf('\n') + 1)
    return whole.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }

  /** Waits until it says something that it has not said before. */
  async expectTold(pattern: RegExp, since = 0): Promise<void> {
    await until(`it says ${pattern}`, async () => pattern.test(this.#told.slice(since))).catch((error: Error) => {
      throw new Error(`${error.message}:\n${this.#told.slice(since)}`)
    })
  }

  /** What it answers. */
  ask(request: string) {
    return askWatch(this.#lab, this.#name, request)
  }

  /** What it tells of itself. */
  state(): Promise<WatchState> {
    return this.ask('state')
  }

  /** How many runs it has made, of one trigger or of all. */
  async runs(trigger?: string): Promise<number> {
    return countRuns(await this.state(), trigger)
  }

  /**
   * Waits until it makes no more runs but the regular ones: for several times as long as one takes here, which tells how slow all is
   * just now.
   */
  async settle(): Promise<void> {
    for (let before = -1; ; ) {
      const { runs, last } = await this.state()
      const now = runs.reduce((sum, { trigger, count }) => sum + (trigger === 'interval' ? 0 : count), 0)
      if (now === before) return
      before = now
      await sleep(Math.max(300, 2 * (last?.milliseconds ?? 0)))
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Waits for its end. */
  async end(): Promise<Outcome> {
    const { stdout, stderr, exitCode, signal } = await this.#process
    if (exitCode === undefined) throw new Error(`the watch ended by ${signal}: ${stderr}`)
    return { stdout, stderr, exitCode }
  }

  async stop(): Promise<Outcome> {
    this.signal('SIGTERM')
    return this.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGTERM')
    await this.#process
  }
}

/** Starts `spanplan watch` as a user would on the lab's host, and waits until it has made its first run. */
export async function startWatch(
  lab: Lab,
  args: readonly string[] = [],
  { ready = true, ...options }: StartOptions = {}
): Promise<Watch> {
  const watch = new Watch(lab, args, options)
  if (!ready) return watch
  try {
    await until('it has made a run', async () => {
      const state = await watch.state().catch(() => null)
      return state !== null && state.last !== null
    })
    return watch
  } catch (error) {
    await watch[Symbol.asyncDispose]()
    throw new Error(`${error instanceof Error ? error.message : error}:\n${watch.told}`)
  }
}

/** A watch, and whose sensor is to get frames; the options name its files. */
interface Scene {
  readonly lab: Lab
  readonly sensor: Docker.Container
  readonly watch: Watch
  readonly options: SpanplanOptions
}

/** Waits until the live spans are these; then frames of each arrive, and nothing is left to do. */
export async function expectLive({ lab, sensor, watch, options }: Scene, spans: readonly string[]): Promise<void> {
  await until(`there is ${spans.join(', ')}`, async () => {
    const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
    const names = links.map(({ ifname }) => ifname).sort()
    return names.join() === spans.join()
  })
  for (const span of spans) await expectArriving(lab, sensor, span)
  await watch.settle()
  await expectConverged(lab, options)
}
