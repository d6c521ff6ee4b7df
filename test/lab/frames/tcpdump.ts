import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type Docker from 'dockerode'
import { findProgram, labEnvironment } from '../programs.ts'
import { PcapReader } from './frames.ts'

/** Bounds what would never end. On an emulated machine of a busy host, a container's tcpdump took a minute to start. */
const PATIENCE_MS = 300_000
/** Longer than the kernel keeps frames on their way to tcpdump. */
const QUIET_MS = { immediate: 150, bulk: 1300 }

export interface CaptureOptions {
  /** In pcap-filter(7)'s words; every frame without it. */
  readonly expression?: string
  readonly direction?: 'in' | 'out'
  /** For thousands of frames at once: room for them all, but the kernel hands them over up to a second late. */
  readonly bulk?: boolean
  /** The longest frame that is expected, in bytes: the buffer holds 250 frames of any length, and more that are short. */
  readonly snaplen?: number
}

interface CaptureEnd {
  /** How many frames should have come: they are waited for. */
  readonly count?: number
  /** For how long, at most; without a count, for just so long. */
  readonly seconds?: number
}

interface Captured {
  readonly frames: readonly Buffer[]
  /** How many frames the kernel dropped because tcpdump was too slow: a test requires 0. */
  readonly dropped: number
}

/** What a running tcpdump offers, wherever it runs. */
interface Listener {
  readonly stdout: Readable
  readonly stderr: Readable
  signal(name: NodeJS.Signals): Promise<void>
}

/** How many frames the socket has been given, and what has become of them, in tcpdump's words. */
interface Counts {
  readonly captured: number
  readonly received: number
  readonly dropped: number
}

/** tcpdump, listening. */
export class Capture {
  readonly frames: Buffer[] = []
  readonly #listener: Listener
  readonly #bulk: boolean
  readonly #reader = new PcapReader()
  readonly #ended: Promise<unknown>
  #words = ''
  #failure: unknown
  #lastFrameAt = Date.now()

  private constructor(listener: Listener, { bulk = false }: CaptureOptions) {
    this.#listener = listener
    this.#bulk = bulk
    this.#ended = Promise.all([once(listener.stdout, 'end'), once(listener.stderr, 'end')])
    listener.stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    listener.stderr.on('data', (chunk: Buffer) => {
      this.#words += chunk.toString()
    })
  }

  /** Resolves when tcpdump says that it listens. */
  static async open(listener: Listener, options: CaptureOptions): Promise<Capture> {
    const capture = new Capture(listener, options)
    await capture.#awaitWords('listens', () => capture.#words.includes('listening on'))
    return capture
  }

  /** Waits for the frames asked for, then until no more come, then ends tcpdump. */
  async stop({ count, seconds = count === undefined ? 0 : PATIENCE_MS / 1000 }: CaptureEnd = {}): Promise<Captured> {
    const deadline = Date.now() + seconds * 1000
    const isEnough = () => count !== undefined && this.frames.length >= count
    while (!isEnough() && Date.now() < deadline) await sleep(5)
    await this.#drain()
    await this.#listener.signal('SIGINT')
    await this.#ended
    if (this.#failure !== undefined) throw this.#failure
    this.#reader.end()
    const last = this.#counts().at(-1)
    if (last === undefined) throw new Error(`tcpdump did not end well: ${this.#words}`)
    return { frames: this.frames, dropped: last.dropped }
  }

  /**
   * Waits until all is here that tcpdump has been given, and it is given no more: it says the same twice, a while apart. It is
   * asked only while not many frames come: before 4.99.2, the signal makes it lose what it is just writing.
   */
  async #drain(): Promise<void> {
    const start = Date.now()
    const quiet = this.#bulk ? QUIET_MS.bulk : QUIET_MS.immediate
    for (let before = this.#bulk ? null : await this.#ask(); ; ) {
      const since = Date.now()
      while (Date.now() - Math.max(this.#lastFrameAt, since) < quiet) await sleep(5)
      if (this.#failure !== undefined) return
      const now = await this.#ask()
      if (isDeepStrictEqual(now, before) && this.frames.length >= now.captured) return
      if (Date.now() > start + PATIENCE_MS) throw new Error(`frames come without end: ${this.#words}`)
      before = now
    }
  }

  async #ask(): Promise<Counts> {
    const before = this.#counts().length
    await this.#listener.signal('SIGUSR1')
    await this.#awaitWords('answers', () => this.#counts().length > before)
    const last = this.#counts().at(-1)
    if (last === undefined) throw new Error(`tcpdump does not count: ${this.#words}`)
    return last
  }

  /** It says so once it is asked, in one line, and in the end, in three. */
  #counts(): Counts[] {
    const all = this.#words.matchAll(
      /(\d+) packets? captured[,\n]\s*(\d+) packets? received by filter[,\n]\s*(\d+) packets? dropped by kernel/g
    )
    return [...all].map(([, captured, received, dropped]) => ({
      captured: Number(captured),
      received: Number(received),
      dropped: Number(dropped)
    }))
  }

  async #awaitWords(what: string, isSo: () => boolean): Promise<void> {
    const ended = this.#ended.then(() => {
      throw new Error(`tcpdump ended by itself: ${this.#words}`)
    })
    ended.catch(() => undefined)
    const deadline = Date.now() + PATIENCE_MS
    while (!isSo()) {
      if (Date.now() > deadline) throw new Error(`waited in vain until tcpdump ${what}: ${this.#words}`)
      await Promise.race([sleep(5), ended])
    }
  }

  #take(chunk: Buffer): void {
    this.#lastFrameAt = Date.now()
    try {
      this.frames.push(...this.#reader.push(chunk))
    } catch (error) {
      this.#failure ??= error
    }
  }
}

/** Listens inside the container, as a sensor does: promiscuously. */
export async function captureInside(container: Docker.Container, device: string, options: CaptureOptions) {
  const exec = await container.exec({ Cmd: captureArgv(device, options), AttachStdout: true, AttachStderr: true })
  const stream = await exec.start({ hijack: true, stdin: false })
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  container.modem.demuxStream(stream, stdout, stderr)
  stream.once('end', () => {
    stdout.end()
    stderr.end()
  })
  const signal = async (name: NodeJS.Signals) => {
    const { Pid, Running } = await exec.inspect()
    if (Running && Pid > 0) process.kill(Pid, name)
  }
  return Capture.open({ stdout, stderr, signal }, options)
}

/** Listens on a link of the namespace without making it promiscuous: a look must not change what it looks at. */
export function captureOn(namespace: string, lab: string, device: string, options: CaptureOptions): Promise<Capture> {
  const argv = [`--net=${namespace}`, ...captureArgv(device, options, ['-p'])]
  const child = spawn(findProgram('nsenter'), argv, { stdio: ['ignore', 'pipe', 'pipe'], env: labEnvironment(lab) })
  const signal = async (name: NodeJS.Signals) => {
    child.kill(name)
  }
  return Capture.open({ stdout: child.stdout, stderr: child.stderr, signal }, options)
}

function captureArgv(device: string, options: CaptureOptions, more: readonly string[] = []): string[] {
  const { expression, direction, bulk = false, snaplen = 65_600 } = options
  // Immediate mode sets aside a whole snapshot length for each frame: the default of 256 KB would leave room for 250.
  // 65600 bytes hold the largest packet that an offload makes; 16 MB hold 250 of them. The kernel maps a buffer page by page.
  const delivery = bulk ? ['-B', '65536'] : ['--immediate-mode', '-s', String(snaplen), '-B', '16384']
  const chosen = direction === undefined ? [] : ['-Q', direction]
  const filter = expression === undefined ? [] : ['--', expression]
  const how = [...delivery, '-U', '-Z', 'root', '-n', '-w', '-']
  return ['tcpdump', '-i', device, ...how, ...chosen, ...more, ...filter]
}
