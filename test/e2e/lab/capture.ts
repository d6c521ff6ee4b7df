import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { PcapReader } from '../frames.ts'
import { findProgram, labEnvironment } from './programs.ts'

const READY_MS = 10_000
const QUIET_MS = { immediate: 150, bulk: 1300 }

export interface CaptureOptions {
  /** In pcap-filter(7)'s words; every frame without it. */
  readonly expression?: string
  readonly direction?: 'in' | 'out'
  /** For thousands of frames at once: room for them all, but the kernel hands them over up to a second late. */
  readonly bulk?: boolean
}

interface CaptureEnd {
  /** How many frames should have come: they are waited for. */
  readonly count?: number
  /** For how long, at most; also without a count. */
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
  interrupt(): Promise<void>
}

/** tcpdump, listening. */
export class Capture {
  readonly frames: Buffer[] = []
  readonly #listener: Listener
  readonly #quiet: number
  readonly #reader = new PcapReader()
  readonly #ended: Promise<unknown>
  #words = ''
  #failure: unknown
  #lastFrameAt = Date.now()

  private constructor(listener: Listener, { bulk = false }: CaptureOptions) {
    this.#listener = listener
    this.#quiet = bulk ? QUIET_MS.bulk : QUIET_MS.immediate
    this.#ended = Promise.all([once(listener.stdout, 'end'), once(listener.stderr, 'end')])
    listener.stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    listener.stderr.on('data', (chunk: Buffer) => {
      this.#words += chunk.toString()
    })
  }

  /** Resolves when tcpdump says that it listens. */
  static async open(listener: Listener, options: CaptureOptions): Promise<Capture> {
    const capture = new Capture(listener, options)
    const ended = capture.#ended.then(() => {
      throw new Error(`tcpdump ended at once: ${capture.#words}`)
    })
    ended.catch(() => undefined)
    const deadline = Date.now() + READY_MS
    while (!capture.#words.includes('listening on')) {
      if (Date.now() > deadline) throw new Error(`tcpdump does not listen: ${capture.#words}`)
      await Promise.race([sleep(5), ended])
    }
    return capture
  }

  /** Waits for the frames asked for, then until no more come, then ends tcpdump. */
  async stop({ count, seconds = count === undefined ? 0 : 5 }: CaptureEnd = {}): Promise<Captured> {
    const deadline = Date.now() + seconds * 1000
    const isEnough = () => count !== undefined && this.frames.length >= count
    while (!isEnough() && Date.now() < deadline) await sleep(5)
    const start = Date.now()
    while (Date.now() - Math.max(this.#lastFrameAt, start) < this.#quiet && Date.now() < deadline + 5000) await sleep(5)
    await this.#listener.interrupt()
    await this.#ended
    if (this.#failure !== undefined) throw this.#failure
    this.#reader.end()
    const dropped = /(\d+) packets? dropped by kernel/.exec(this.#words)?.[1]
    if (dropped === undefined) throw new Error(`tcpdump did not end well: ${this.#words}`)
    return { frames: this.frames, dropped: Number(dropped) }
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
  const interrupt = async () => {
    const { Pid, Running } = await exec.inspect()
    if (Running && Pid > 0) process.kill(Pid, 'SIGINT')
  }
  return Capture.open({ stdout, stderr, interrupt }, options)
}

/** Listens on a link of the namespace without making it promiscuous: a look must not change what it looks at. */
export function captureOn(namespace: string, lab: string, device: string, options: CaptureOptions): Promise<Capture> {
  const argv = [`--net=${namespace}`, ...captureArgv(device, options, ['-p'])]
  const child = spawn(findProgram('nsenter'), argv, { stdio: ['ignore', 'pipe', 'pipe'], env: labEnvironment(lab) })
  const interrupt = async () => {
    child.kill('SIGINT')
  }
  return Capture.open({ stdout: child.stdout, stderr: child.stderr, interrupt }, options)
}

function captureArgv(device: string, options: CaptureOptions, more: readonly string[] = []): string[] {
  const { expression, direction, bulk = false } = options
  // Immediate mode sets aside a whole snapshot length for each frame: the default of 256 KB would leave room for 250.
  // 65600 bytes hold the largest packet that an offload makes.
  const delivery = bulk ? [] : ['--immediate-mode', '-s', '65600']
  const chosen = direction === undefined ? [] : ['-Q', direction]
  const filter = expression === undefined ? [] : ['--', expression]
  return [
    'tcpdump',
    '-i',
    device,
    ...delivery,
    '-B',
    '65536',
    '-U',
    '-Z',
    'root',
    '-n',
    '-w',
    '-',
    ...chosen,
    ...more,
    ...filter
  ]
}
