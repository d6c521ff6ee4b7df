import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { View } from '../apply/look.ts'
import { Exit, type ExitCode, SpanplanError } from '../errors.ts'
import { monotonicNow, type Sample } from '../host/sample.ts'
import { makeLedger } from '../status/ledger.ts'
import { renderReport } from '../status/render.ts'
import type { Report } from '../status/report.ts'
import { chainsOf, takeSample } from '../status/sample.ts'
import type { Session } from './session.ts'
import { exitOf } from './status.ts'
import { choosePaint } from './terminal.ts'

/** How a view that refreshes gets what it shows. */
interface Source {
  /** The first look may find that it is wrongly aimed. */
  look(first: boolean): Promise<View>
  report(view: View, first: Sample, later: Sample): Promise<Report>
}

/** Milliseconds between two pictures. */
const period = 1000

/** A terminal in raw mode makes no signal of ^C, nor an end of ^D. */
const leavingKeys = ['q', 'Q', '\u0003', '\u0004'] as const

/** xterm's control sequences (ctlseqs): the other screen, no cursor, and no line that runs on; and back. */
const enter = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const leave = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const home = '\u001b[H'
const endOfLine = '\u001b[K'
const endOfScreen = '\u001b[J'

/**
 * Shows how all is, anew every second, until somebody types q or ^C. Rates are of the last second; what is lost is what was
 * lost since it began.
 *
 * @throws SpanplanError TERMINAL_MISSING.
 */
export async function showLive(session: Session, source: Source): Promise<ExitCode> {
  if (process.stdout.isTTY !== true) {
    const message = '--live shows a picture that changes, and stdout is no terminal'
    throw new SpanplanError({ code: 'TERMINAL_MISSING', message, hint: 'leave it out, or use --json' }, Exit.usage)
  }
  const view = await source.look(true)
  const start = await takeSample(chainsOf(view))
  const screen = openScreen()
  try {
    return await refresh(session, source, start, screen)
  } finally {
    screen.close()
  }
}

async function refresh(session: Session, source: Source, start: Sample, screen: Screen): Promise<ExitCode> {
  const paint = choosePaint(session.color, process.stdout)
  let before = start
  let exit: ExitCode = Exit.done
  for (;;) {
    await Promise.race([sleep(Math.max(0, period - (monotonicNow() - before.at)), null, { ref: false }), screen.end])
    if (screen.ended()) return exit
    const view = await source.look(false)
    const now = await takeSample(chainsOf(view))
    const report = await source.report(view, before, now)
    exit = exitOf(report)
    screen.draw(renderReport(sinceStart(report, view, start, now), paint))
    before = now
  }
}

/** The same, with what was lost since the start. */
function sinceStart(report: Report, view: View, start: Sample, now: Sample): Report {
  const whole = chainsOf(view).map((chain) => makeLedger(chain, start, now))
  return {
    ...report,
    spans: report.spans.map((span) => {
      const hops = whole.find((ledger) => ledger.span === span.name)?.hops ?? []
      const { ledger } = span
      return {
        ...span,
        ledger: { ...ledger, hops: ledger.hops.map((hop, index) => ({ ...hop, losses: hops[index]?.losses ?? [] })) }
      }
    })
  }
}

interface Screen {
  draw(text: string): void
  ended(): boolean
  /** Is there as soon as somebody wants to leave. */
  readonly end: Promise<unknown>
  close(): void
}

function openScreen(): Screen {
  const stop = new AbortController()
  const end = once(stop.signal, 'abort')
  const abort = () => stop.abort()
  const onKey = (keys: Buffer) => {
    if (leavingKeys.some((key) => keys.includes(key))) abort()
  }
  const { stdin, stdout } = process
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, abort)
  if (stdin.isTTY) stdin.setRawMode(true).on('data', onKey)
  stdout.write(enter)
  return {
    draw: (text) => {
      const lines = [...text.trimEnd().split('\n'), '', 'q ends it']
      const most = Math.max(1, stdout.rows - 1)
      const shown = lines.length > most ? [...lines.slice(0, most - 1), '…'] : lines
      stdout.write(`${home}${shown.map((line) => `${line}${endOfLine}\r\n`).join('')}${endOfScreen}`)
    },
    ended: () => stop.signal.aborted,
    end,
    close: () => {
      stdout.write(leave)
      if (stdin.isTTY) stdin.off('data', onKey).setRawMode(false).pause()
      for (const signal of signals) process.off(signal, abort)
    }
  }
}
