import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Exit, SpanplanError } from '../errors.ts'
import { type Argv, commandFailed, type RunningProgram, run, start } from '../host/exec.ts'
import { compileCommand, parseCompiled } from '../host/parsers/pcap.ts'
import { type CapturePort, makePort } from './capture-interface.ts'
import { type CaptureOrder, listenCommand } from './tcpdump.ts'

/** Where what is captured goes. */
export interface Sink {
  /** Ended if it is a file, and left open if it is stdout. */
  readonly stream: Writable
  readonly end: boolean
  /** Hears what tcpdump says of itself, a line at a time. */
  say(line: string): void
}

/** Milliseconds between two looks at whether the span is still there. */
const period = 1000

/**
 * Milliseconds until tcpdump has got all that has come: the kernel hands frames over in blocks, after 100 ms at most, or a
 * second where they are written (tcpdump.c, -l and the timeout of pcap_set_timeout), and what it has not handed over is lost.
 */
const delays = { text: 150, pcap: 1100 } as const satisfies Record<CaptureOrder['form'], number>

/**
 * Lets tcpdump check an expression, before anything is made.
 *
 * @throws SpanplanError FILTER_INVALID, or if tcpdump is missing or hangs.
 */
export async function checkExpression(expression: string): Promise<void> {
  const compiled = parseCompiled(expression, await run(compileCommand(expression)))
  if (compiled.state !== 'invalid') return
  const message = `tcpdump does not understand the filter: ${compiled.message}`
  throw new SpanplanError({ code: 'FILTER_INVALID', message, hint: 'see pcap-filter(7)' }, Exit.usage)
}

/**
 * Captures until the count is reached, the reader has gone, or the signal comes. All it makes hangs on a network
 * namespace that ends with this process, however that ends: the kernel takes the port away with it.
 *
 * @throws SpanplanError if the port cannot be made, tcpdump fails, or what it writes cannot be written on.
 */
export async function capture(order: CaptureOrder, sink: Sink, signal: AbortSignal): Promise<void> {
  const anchor = await openNamespace()
  const port = choosePort(order, anchor.pid)
  try {
    for (const argv of makePort(port)) await must(argv)
    const tcpdump = await start(listenCommand(anchor.pid, order))
    tcpdump.stdin.end()
    await follow(tcpdump, { port, form: order.form }, sink, signal)
  } finally {
    // The kernel would do it too, a moment later. Where it was not made, there is nothing to do.
    await run(['ip', 'link', 'del', 'dev', port.name])
    anchor.stdin.end()
    await anchor.status
  }
}

/** A process in a network namespace of its own, which ends when its stdin does: at our own end at the latest. */
async function openNamespace(): Promise<RunningProgram> {
  const argv: Argv = ['unshare', '--net', '--', 'cat']
  const anchor = await start(argv)
  const said = text(anchor.stderr)
  // What comes back says that it is there.
  anchor.stdin.write('\n')
  const status = await Promise.race([once(anchor.stdout, 'data').then(() => null), anchor.status])
  if (status === null) return anchor
  throw commandFailed(argv, { stdout: '', stderr: await said, status })
}

function choosePort({ span, mtu }: CaptureOrder, pid: number): CapturePort {
  const number = randomBytes(4).toString('hex')
  const mac = `02:00${number.replace(/../g, ':$&')}`
  return { name: `capture${number}`, mac, span, mtu, pid, ipv6: existsSync('/proc/sys/net/ipv6') }
}

async function must(argv: Argv): Promise<void> {
  const output = await run(argv)
  if (output.status !== 0) throw commandFailed(argv, output)
}

async function follow(
  tcpdump: RunningProgram,
  { port, form }: { readonly port: CapturePort; readonly form: CaptureOrder['form'] },
  sink: Sink,
  signal: AbortSignal
): Promise<void> {
  const over = new AbortController()
  const end = () => tcpdump.end('SIGINT')
  const endSoon = () => sleep(delays[form], null, { signal: over.signal }).then(end, () => undefined)
  signal.addEventListener('abort', endSoon)
  if (signal.aborted) end()
  const parted = untilParted(port, over.signal).then((is) => {
    if (is) end()
    return is
  })
  const said = passOn(tcpdump.stderr, sink)
  const copied = pipeline(tcpdump.stdout, sink.stream, { end: sink.end }).then(
    () => null,
    (error: NodeJS.ErrnoException) => {
      end()
      return error
    }
  )
  const [status, words, failure] = await Promise.all([tcpdump.status, said, copied])
  signal.removeEventListener('abort', endSoon)
  over.abort()
  // Nothing can be said to a reader who has gone.
  if (failure?.code === 'EPIPE') return
  if (failure !== null) throw unwritable(failure.message)
  if (status === 0) for (const line of words) sink.say(line)
  if (await parted) throw gone(port.span)
  if (status !== 0 && !signal.aborted) throw failed(status, words)
}

/** Passes on that tcpdump listens, as soon as it does; gives what it says besides. */
async function passOn(stderr: Readable, { say }: Sink): Promise<readonly string[]> {
  const words: string[] = []
  for await (const line of createInterface({ input: stderr })) {
    const text = line.replace(/^tcpdump: /, '')
    if (text.startsWith('listening on ')) say(text)
    else if (!text.startsWith('verbose output suppressed')) words.push(text)
  }
  return words
}

/** Whether the port is none of the span's any more, while it is listened at: of one that is made anew, nothing comes. */
async function untilParted({ name, span }: CapturePort, over: AbortSignal): Promise<boolean> {
  try {
    for (;;) {
      await sleep(period, null, { signal: over })
      const { stdout } = await run(['ip', '-json', 'link', 'show', 'dev', name])
      if (!stdout.includes(`"master":"${span}"`)) return !over.aborted
    }
  } catch {
    // It is over, or ip hangs.
    return false
  }
}

function failed(status: number, words: readonly string[]): SpanplanError {
  const message = `tcpdump ended with status ${status}: ${words.join('; ') || 'it did not say why'}`
  return new SpanplanError({ code: 'COMMAND_FAILED', message })
}

function gone(span: string): SpanplanError {
  const message = `${span} was removed or recreated during the capture: no more frames come from it`
  return new SpanplanError({ code: 'SPAN_GONE', message, hint: 'look at it with: spanplan plan; then start again' })
}

function unwritable(reason: string): SpanplanError {
  return new SpanplanError({ code: 'FILE_UNWRITABLE', message: `what was captured cannot be written: ${reason}` })
}
