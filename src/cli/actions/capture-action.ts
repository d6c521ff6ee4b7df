import { createWriteStream } from 'node:fs'
import { capture, checkExpression, type Sink } from '../../capture/capture.ts'
import {
  type BridgeFeed,
  feedBridge,
  isBridgeFed,
  isFedWithoutCaptures,
  mayBeFedForCaptures
} from '../../capture/feed-bridge.ts'
import type { CaptureRequest } from '../../capture/tcpdump.ts'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { findMissingRights } from '../../host/process/process-rights.ts'
import { shellLine } from '../../host/quote-command.ts'
import { refresh } from '../../look/refresh.ts'
import { spanUnknown } from '../../plan/live-spans.ts'
import { printable } from '../../printable.ts'
import { readSeal } from '../../resources/seal-commands.ts'
import { readKnownSpans } from '../input/known-spans.ts'
import { loadSpecTarget, writeApply } from '../input/load-target.ts'
import type { FileSelection } from '../input/spec-files.ts'
import { clearActivity, during, readingHost } from '../output/activity.ts'
import { fileUnwritable, openOutput } from '../output/output-file.ts'
import { type Session, warn } from '../session.ts'

interface CaptureOptions extends FileSelection {
  readonly span: string
  /** A pcap-filter(7) expression, in parts. */
  readonly filter: readonly string[]
  /** The file to write the frames to, or `-`; undefined: they are shown as text. */
  readonly write?: string
  /** The number of frames to capture; undefined: until a signal ends it. */
  readonly count?: number
  /** Milliseconds; undefined: until a signal ends it. */
  readonly for?: number
}

/** The signals that end a capture, as they end tcpdump. */
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** `spanplan capture`: shows the frames that a sensor on the span gets, or writes them as pcap. */
export async function captureCommand(session: Session, options: CaptureOptions): Promise<ExitCode> {
  const { span, write, count, for: duration } = options
  if (write === '-' && process.stdout.isTTY === true) {
    const message = '--write - writes binary data, and stdout is a terminal'
    const hint = 'leave it out to see the frames as text, name a file, or pipe it: | wireshark -k -i -'
    throw new SpanplanError({ code: 'TERMINAL_BINARY', message, hint }, Exit.usage)
  }
  const { bridge, mtu, isSealed, fed } = await during(session, readingHost, findBridge(options))
  const missing = findMissingRights('capturing')
  if (missing !== null) throw new SpanplanError(missing)
  const expression = options.filter.join(' ')
  warn(session, await during(session, 'Checking the filter', checkExpression(span, expression)))
  const sink = openSink(write)
  const controller = new AbortController()
  const end = () => controller.abort()
  for (const signal of endSignals) process.on(signal, end)
  try {
    const form = write === undefined ? 'text' : 'pcap'
    const feed = await during(session, readingHost, planFeed(session, options, { bridge, fed }))
    if (feed !== null) sink.say(`${span}: all who get frames get a part of them; this shows all that its sources copy`)
    const begun = new AbortController()
    const said = { ...sink, say: (line: string) => sayAfter(begun, sink, line) }
    const request: CaptureRequest = { span, bridge, isSealed, mtu, expression, count, duration, form, feed }
    const capturing = capture(request, said, controller.signal).finally(() => begun.abort())
    await Promise.all([capturing, during(session, 'Starting to listen', isAborted(begun.signal))])
  } finally {
    for (const signal of endSignals) process.off(signal, end)
  }
  return Exit.done
}

/** tcpdump's first line says that it listens. */
function sayAfter(begun: AbortController, { say }: Sink, line: string): void {
  begun.abort()
  clearActivity()
  say(line)
}

function isAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/**
 * What feeds the bridge meanwhile: the file says what the span copies, and the mirrors of its receivers only what each of them gets. Where
 * other captures have it fed, this one may be the last to end. A span that is fed anyway is captured without a file, too.
 */
async function planFeed(
  session: Session,
  { span, ...files }: CaptureOptions,
  { bridge, fed }: Pick<FoundBridge, 'bridge' | 'fed'>
): Promise<BridgeFeed | null> {
  if (fed === 'yes') return null
  const selection = { span: [span], deferDocker: false, prune: false, adopt: false, recreate: false }
  try {
    const target = await loadSpecTarget(session, { ...files, ...selection })
    const state = await refresh({ ...target, patient: true })
    const spec = target.spec.spans.find(({ name }) => name === span)
    const isFed = fed === 'unclear' && (spec === undefined || isFedWithoutCaptures(state, spec))
    return isFed ? null : feedBridge(state, bridge)
  } catch (error) {
    if (fed === 'unclear' && error instanceof SpanplanError) return null
    throw error
  }
}

interface FoundBridge extends Pick<CaptureRequest, 'bridge' | 'isSealed' | 'mtu'> {
  /**
   * Whether mirrors feed it, or there are none at all: what is on it hears all that its sensors hear. `unclear`: they may do so for other
   * captures alone.
   */
  readonly fed: 'yes' | 'no' | 'unclear'
}

/** The bridge of the span, of whatever owner. */
async function findBridge({ span, ...files }: CaptureOptions): Promise<FoundBridge> {
  const { host, listed, live, names } = await readKnownSpans(files)
  const link = live.includes(span) ? host.linkOf(names.bridgeOf(span)) : undefined
  if (link !== undefined) {
    const { name: bridge, mtu } = link
    const fed = !isBridgeFed(host, bridge) ? 'no' : mayBeFedForCaptures(host, bridge) ? 'unclear' : 'yes'
    return { bridge, mtu, isSealed: readSeal(host, bridge) === 'sealed', fed }
  }
  if (!listed.includes(span)) {
    const isInterface = host.linkOf(span) !== undefined
    const ownFrames = `it is an interface; to see its own frames: ${shellLine(['tcpdump', '-n', '-i', span])}`
    throw spanUnknown([span], [...live, ...listed], names, '', () => (isInterface ? ownFrames : undefined))
  }
  const message = `${span} is in the file, but not on this host yet: there is nothing to capture`
  throw new SpanplanError({
    code: 'SPAN_NOT_LIVE',
    message,
    hint: `create it first: ${writeApply({ ...files, span: [] })(null)}`
  })
}

function openSink(path: string | undefined): Sink {
  const say = (line: string) => {
    process.stderr.write(`${printable(line)}\n`)
  }
  if (path === undefined || path === '-') return { stream: process.stdout, end: false, say }
  try {
    return { stream: createWriteStream(path, { fd: openOutput(path) }), end: true, say }
  } catch (error) {
    throw fileUnwritable('frames', path, error, '--write')
  }
}
