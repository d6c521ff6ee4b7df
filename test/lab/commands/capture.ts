/** `spanplan capture` in a lab: started, listened to, and ended with the test at the latest. */
import type { Lab, SpanplanOptions } from '../lab.ts'
import { until } from '../spans.ts'

interface CaptureStart extends SpanplanOptions {
  /** `span0` if not given. */
  readonly span?: string
}

class Capturing implements AsyncDisposable {
  readonly pid: number
  readonly #process: ReturnType<Lab['startSpanplan']>
  readonly #printed: Buffer[] = []
  #told = ''

  constructor(lab: Lab, args: readonly string[], { span = 'span0', ...options }: CaptureStart) {
    this.#process = lab.startSpanplan(['capture', span, ...args], options)
    this.pid = this.#process.pid ?? 0
    this.#process.stdout.on('data', (chunk: Buffer) => this.#printed.push(chunk))
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#told += chunk.toString()
    })
  }

  /** What it has printed so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#printed)
  }

  /** The same, a character a byte. */
  get text(): string {
    return this.bytes.toString('latin1')
  }

  /** What it has said of itself so far. */
  get told(): string {
    return this.#told
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Waits for its end, and gives its exit status. */
  async end(name?: NodeJS.Signals): Promise<number | undefined> {
    if (name !== undefined) this.signal(name)
    return (await this.#process).exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}

/** Starts a capture as a user would on the lab's host, and waits until it listens. */
export async function startCapture(
  lab: Lab,
  args: readonly string[] = [],
  options: CaptureStart = {}
): Promise<Capturing> {
  const capture = new Capturing(lab, args, options)
  try {
    await until('it listens', async () => capture.told.includes('listening on'))
    return capture
  } catch (error) {
    await capture[Symbol.asyncDispose]()
    throw new Error(`${error instanceof Error ? error.message : error}:\n${capture.told}`)
  }
}
