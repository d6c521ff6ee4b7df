import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Code } from '../codes/explained-codes.ts'
import { type Diagnostic, diagnostic, Exit, SpanplanError } from '../errors.ts'
import { type Argv, commandFailed, type Output, type RunningProgram, run, start } from '../host/exec.ts'
import { checkCommand, compileCommand, missesFirstTagged, parseCompiled } from '../host/parsers/pcap.ts'
import { shellLine } from '../host/quote-command.ts'
import { readSilence } from '../host/xdp/read-silence.ts'
import { attachSeal } from '../host/xdp/seal-program.ts'
import { takeLock } from '../run-dir/lock.ts'
import { lockPatience } from '../run-dir/lock-limits.ts'
import { explainRefusal } from '../spec/filter/explain.ts'
import { type CapturePort, createPort } from './capture-port.ts'
import { isCapturePort } from './feed-bridge.ts'
import { type CaptureRequest, listenCommand } from './tcpdump.ts'

/** Where the captured frames go. */
export interface Sink {
  readonly stream: Writable
  /** The stream is ended after the capture: it is a file, not stdout. */
  readonly end: boolean
  /** Prints a line that tcpdump wrote to stderr. */
  say(line: string): void
}

/** Milliseconds between two checks that the port is still on the span's bridge. */
const checkInterval = 1000

/**
 * Milliseconds until tcpdump has every frame that has come. The kernel hands frames over in blocks: after 100 ms at most, or
 * a second where they are written as pcap (tcpdump.c, -l and pcap_set_timeout). Frames that were not handed over are lost.
 */
const delays = { text: 150, pcap: 1100 } as const satisfies Record<CaptureRequest['form'], number>

/**
 * Checks a pcap-filter(7) expression with tcpdump, before anything is created. Gives warnings.
 *
 * @throws SpanplanError FILTER_INVALID, or if tcpdump is missing or hangs.
 */
export async function checkExpression(span: string, expression: string): Promise<readonly Diagnostic[]> {
  const compiled = parseCompiled(expression, await run(checkCommand(expression)))
  if (compiled.state === 'compiled') {
    const live = parseCompiled(expression, await run(compileCommand(expression)))
    return live.state === 'compiled' && missesFirstTagged(live.program) ? [warnOfMissing(span, expression)] : []
  }
  if (compiled.state !== 'invalid') return []
  const message = `tcpdump does not understand the filter: ${compiled.message}`
  const { hint } = explainRefusal(expression, compiled.message)
  throw new SpanplanError({ code: 'FILTER_INVALID', message, hint }, Exit.usage)
}

function warnOfMissing(span: string, expression: string): Diagnostic {
  const all = `${shellLine(['spanplan', 'capture', span, '-w', '-'])} | ${shellLine(['tcpdump', '-n', '-e', '-r', '-', expression])}`
  const message =
    "libpcap 1.11 misses the first frames of a capture, those of about a second, where the filter has a VLAN's number"
  return diagnostic('CAPTURE_INCOMPLETE', message, `to see all of them: ${all}`)
}

/**
 * Captures until the count is reached or the time is over, the reader has gone, or the signal aborts. The port's peer is in a network namespace
 * that ends with this process, however it ends: the kernel removes the port with the namespace.
 *
 * @throws SpanplanError if the port cannot be created, tcpdump fails, or the frames cannot be written.
 */
export async function capture(request: CaptureRequest, sink: Sink, signal: AbortSignal): Promise<void> {
  const anchor = await openNamespace()
  const port = choosePort(request, anchor.pid)
  try {
    await makePort(port, signal)
    for (const argv of request.feed?.add ?? []) await runOrFail(argv)
    const tcpdump = await start(listenCommand(anchor.pid, request))
    tcpdump.stdin.end()
    await passFrames(tcpdump, port, request, sink, signal)
  } finally {
    // The kernel would remove it too, a moment later. Fails where the port was not created.
    await run(['ip', 'link', 'del', 'dev', port.name])
    if (request.feed !== null && !(await isHeard(port.bridge))) for (const argv of request.feed.remove) await run(argv)
    anchor.stdin.end()
    await anchor.status
  }
}

/** Starts a process in a network namespace of its own. It ends when its stdin ends: with this process at the latest. */
async function openNamespace(): Promise<RunningProgram> {
  const argv: Argv = ['unshare', '--net', '--', 'cat']
  const anchor = await start(argv)
  const errors = text(anchor.stderr)
  // cat writes it back once it runs in the namespace.
  anchor.stdin.write('\n')
  const status = await Promise.race([once(anchor.stdout, 'data').then(() => null), anchor.status])
  if (status === null) return anchor
  throw commandFailed(argv, { stdout: '', stderr: await errors, status })
}

/** No watch and no apply sees a port that is not complete. A lock that others hold for long does not keep a capture waiting. */
async function makePort(port: CapturePort, signal: AbortSignal): Promise<void> {
  const locking = { command: 'spanplan capture', timeout: lockPatience.capture, signal, duringWindow: true }
  const lock = await takeLock(locking).catch(() => null)
  try {
    for (const argv of createPort(port)) {
      const output = await run(argv)
      if (output.status !== 0 && !isGone(argv, output)) throw commandFailed(argv, output)
    }
    // Its peer sends nothing: without the program, the port does the same.
    if (port.isSealed && (await readSilence()).state === 'usable') await run(attachSeal(port.name))
  } finally {
    lock?.release()
  }
}

/** Whether another capture goes on, which needs what feeds the bridge. A watch that runs makes the mirrors, and removes them, by itself. */
async function isHeard(bridge: string): Promise<boolean> {
  const { stdout } = await run(['ip', '-oneline', 'link', 'show', 'master', bridge])
  return [...stdout.matchAll(/^\d+: ([^@:]+)/gm)].some(([, name = '']) => isCapturePort(name))
}

async function runOrFail(argv: Argv): Promise<void> {
  const output = await run(argv)
  if (output.status !== 0) throw commandFailed(argv, output)
}

/** Whether the port's forwarding entry is gone already: a watch removes those of each new port. */
function isGone([program]: Argv, { stderr }: Output): boolean {
  return program === 'bridge' && stderr.trim() === 'RTNETLINK answers: No such file or directory'
}

function choosePort({ span, bridge, isSealed, mtu }: CaptureRequest, pid: number): CapturePort {
  const number = randomBytes(4).toString('hex')
  const mac = `02:00${number.replace(/../g, ':$&')}`
  return { name: `capture${number}`, mac, span, bridge, isSealed, mtu, pid, ipv6: existsSync('/proc/sys/net/ipv6') }
}

async function passFrames(
  tcpdump: RunningProgram,
  port: CapturePort,
  { form, duration }: Pick<CaptureRequest, 'form' | 'duration'>,
  sink: Sink,
  signal: AbortSignal
): Promise<void> {
  const over = new AbortController()
  const end = () => tcpdump.end('SIGINT')
  const endSoon = () => sleep(delays[form], null, { signal: over.signal }).then(end, () => undefined)
  signal.addEventListener('abort', endSoon, { signal: over.signal })
  if (signal.aborted) end()
  const removed = waitUntilRemoved(port, over.signal)
  removed.then((isRemoved) => isRemoved && end())
  const endInTime = async () => {
    if (duration !== undefined) await sleep(duration, null, { signal: over.signal }).then(endSoon, () => undefined)
  }
  const messages = passMessages(tcpdump.stderr, port.span, sink, endInTime)
  const copied = pipeline(tcpdump.stdout, sink.stream, { end: sink.end }).then(
    () => null,
    (error: NodeJS.ErrnoException) => {
      end()
      return error
    }
  )
  const [status, lines, failure] = await Promise.all([tcpdump.status, messages, copied])
  over.abort()
  // A reader that has gone needs no more.
  if (failure?.code === 'EPIPE') return
  if (failure !== null)
    throw captureFailed('FILE_UNWRITABLE', `what was captured cannot be written: ${failure.message}`)
  if (status === 0) for (const line of lines) sink.say(line)
  if (await removed) {
    const message = `${port.span} was removed or recreated during the capture: no more frames come from it`
    throw captureFailed('SPAN_GONE', message, 'see why with a plan, and start again')
  }
  if (status !== 0 && !signal.aborted) {
    const reason = lines.join('; ') || 'it gave no reason'
    throw captureFailed('COMMAND_FAILED', `tcpdump ended with status ${status}: ${reason}`)
  }
}

/** Passes on at once that tcpdump listens, with the span for the name of the port. Gives its other lines. */
async function passMessages(
  stderr: Readable,
  span: string,
  { say }: Sink,
  onListening: () => void
): Promise<readonly string[]> {
  const lines: string[] = []
  for await (const line of createInterface({ input: stderr })) {
    const text = line.replace(/^tcpdump: /, '')
    if (text.startsWith('listening on ')) {
      say(text.replace(/^listening on [^ ,]+/, () => `listening on ${span}`))
      onListening()
    } else if (!text.startsWith('verbose output suppressed')) lines.push(text)
  }
  return lines
}

/** Waits until the port is no longer on the span's bridge. false: the capture is over before. */
async function waitUntilRemoved({ name, bridge }: CapturePort, over: AbortSignal): Promise<boolean> {
  try {
    for (;;) {
      await sleep(checkInterval, null, { signal: over })
      const { stdout } = await run(['ip', '-json', 'link', 'show', 'dev', name])
      if (!stdout.includes(`"master":"${bridge}"`)) return !over.aborted
    }
  } catch {
    // The capture is over, or ip hangs.
    return false
  }
}

function captureFailed(code: Code, message: string, hint?: string): SpanplanError {
  return new SpanplanError(diagnostic(code, message, hint))
}
