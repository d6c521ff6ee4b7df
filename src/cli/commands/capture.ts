import { createWriteStream } from 'node:fs'
import { checkCaptureRights } from '../../apply/preflight.ts'
import { capture, checkExpression, type Sink } from '../../capture/capture.ts'
import { Exit, type ExitCode, messageOf, SpanplanError } from '../../errors.ts'
import type { Link } from '../../host/snapshot.ts'
import { liveSpans, spanUnknown } from '../../plan/live-spans.ts'
import { printable } from '../../printable.ts'
import { everyOwner, type FileSelection, listedSpans, readKernelHost } from '../input/known-spans.ts'
import { openOutput } from '../output/open-output.ts'

interface CaptureOptions extends FileSelection {
  readonly span: string
  /** A pcap-filter(7) expression, in parts. */
  readonly filter: readonly string[]
  /** The file to write the frames to, or `-`; undefined: they are shown as text. */
  readonly write: string | undefined
  /** The number of frames to capture; undefined: until a signal ends it. */
  readonly count: number | undefined
}

/** The signals that end a capture, as they end tcpdump. */
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** `spanplan capture`: shows the frames that a sensor on the span gets, or writes them as pcap. */
export async function captureCommand(options: CaptureOptions): Promise<ExitCode> {
  const { span, write, count } = options
  if (write === '-' && process.stdout.isTTY === true) throw binaryOnTerminal()
  const { mtu } = await findBridge(options)
  checkCaptureRights()
  const expression = options.filter.join(' ')
  await checkExpression(expression)
  const sink = openSink(write)
  const controller = new AbortController()
  const end = () => controller.abort()
  for (const signal of endSignals) process.on(signal, end)
  try {
    await capture(
      { span, mtu, expression, count, form: write === undefined ? 'text' : 'pcap' },
      sink,
      controller.signal
    )
  } finally {
    for (const signal of endSignals) process.off(signal, end)
  }
  return Exit.done
}

/** The bridge of the span, of whatever owner. */
async function findBridge({ span, ...files }: CaptureOptions): Promise<Link> {
  const host = await readKernelHost()
  const live = liveSpans({ scope: everyOwner }, host)
  const bridge = live.includes(span) ? host.linkOf(span) : undefined
  if (bridge !== undefined) return bridge
  const listed = await listedSpans(files)
  if (!listed.includes(span)) throw spanUnknown([span], [...live, ...listed])
  const message = `${span} is in the file, and not on this host yet: there is nothing to capture`
  throw new SpanplanError({ code: 'SPAN_NOT_LIVE', message, hint: 'make it so first: spanplan apply' })
}

function openSink(path: string | undefined): Sink {
  const say = (line: string) => {
    process.stderr.write(`${printable(line)}\n`)
  }
  if (path === undefined || path === '-') return { stream: process.stdout, end: false, say }
  try {
    return { stream: createWriteStream(path, { fd: openOutput(path) }), end: true, say }
  } catch (error) {
    throw new SpanplanError({
      code: 'FILE_UNWRITABLE',
      message: `frames cannot be written to ${printable(path)}: ${printable(messageOf(error))}`,
      hint: 'name another file with --write'
    })
  }
}

function binaryOnTerminal(): SpanplanError {
  return new SpanplanError(
    {
      code: 'TERMINAL_BINARY',
      message: '--write - is for a program that reads frames, and stdout is a terminal',
      hint: 'leave it out to have them shown, name a file, or pipe it: | wireshark -k -i -'
    },
    Exit.usage
  )
}
