import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { monotonicNow, type Sample } from '../../host/read-counters.ts'
import { localTime } from '../../local-time.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { addLosses, type LossTotals, withTotals } from '../../status/counters/loss-totals.ts'
import { renderReport } from '../../status/output/text.ts'
import type { Report } from '../../status/report.ts'
import { choosePaint } from '../output/terminal.ts'
import type { Session } from '../session.ts'
import { exitOf } from './status.ts'

/** How a view that refreshes gets what it shows. */
interface Source {
  /** The first look may find that it is wrongly aimed. */
  refresh(first: boolean): Promise<PlanView>
  report(view: PlanView, first: Sample, later: Sample): Promise<Report>
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
  const view = await source.refresh(true)
  const paths = framePathsOf(view)
  const start = await takeSample(paths)
  const screen = openScreen()
  try {
    return await refresh(session, source, start, addLosses(new Map(), paths, start), screen)
  } finally {
    screen.close()
  }
}

async function refresh(
  session: Session,
  source: Source,
  start: Sample,
  noLosses: LossTotals,
  screen: Screen
): Promise<ExitCode> {
  const paint = choosePaint(session.color, process.stdout)
  const legend = paint('wait', `lost: since ${localTime(new Date().toISOString())}; q ends it`)
  let before = start
  let losses = noLosses
  let exit: ExitCode = Exit.done
  for (;;) {
    await Promise.race([sleep(Math.max(0, period - (monotonicNow() - before.at)), null, { ref: false }), screen.end])
    if (screen.ended()) return exit
    const view = await source.refresh(false)
    const paths = framePathsOf(view)
    const now = await takeSample(paths)
    losses = addLosses(losses, paths, now)
    const report = await source.report(view, before, now)
    exit = exitOf(report)
    const text = renderReport(withAllLosses(report, losses), paint)
    screen.draw([...text.trimEnd().split('\n'), legend])
    before = now
  }
}

/** The same report, with the losses since the start. */
function withAllLosses(report: Report, totals: LossTotals): Report {
  const spans = report.spans.map((span) => ({ ...span, flowReport: withTotals(span.flowReport, totals) }))
  return { ...report, spans }
}

interface Screen {
  /** Shows these lines; where there is no room for all, the last two, and of the others the first. */
  draw(lines: readonly string[]): void
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
  let shown: readonly string[] = ['counting']
  const show = () => {
    const lines = shorten(shown, (stdout.rows || rowsIfUnknown) - 1)
    // A line that is too long stands in the last column as well: cleared after it, that would be lost.
    stdout.write(`${home}${lines.map((line) => `${endOfLine}${line}\r\n`).join('')}${endOfScreen}`)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, abort)
  if (stdin.isTTY) stdin.setRawMode(true).on('data', onKey)
  stdout.write(enter)
  stdout.on('resize', show)
  show()
  return {
    draw: (lines) => {
      shown = lines
      show()
    },
    ended: () => stop.signal.aborted,
    end,
    close: () => {
      stdout.off('resize', show)
      stdout.write(leave)
      if (stdin.isTTY) stdin.off('data', onKey).setRawMode(false).pause()
      for (const signal of signals) process.off(signal, abort)
    }
  }
}

/** As of the terminals of old. */
const rowsIfUnknown = 24

const cut = '…'

function shorten(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines
  return [...lines.slice(0, Math.max(0, rows - 3)), cut, ...lines.slice(-2)].slice(-Math.max(1, rows))
}
