import { isAbout } from '../../codes/meanings.ts'
import type { Diagnostic } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { renderChange } from '../../plan/output/plan-text.ts'
import { oneLine, type Paint, printable, printableLines } from '../../printable.ts'
import { writeParts } from '../../resources/feeds/part-words.ts'
import { writeWait } from '../../resources/kind.ts'
import { writeFrames } from '../../resources/mirrors/mirror-words.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import { writeRate } from '../../spec/values/rate.ts'
import { padTo, widthOf, wrap, writeBytes, writeCount } from '../../text-lines.ts'
import { causes } from '../counters/causes.ts'
import { type Hop, hopTitle, type Traffic } from '../counters/flow-report.ts'
import { writeAbsent } from '../parts.ts'
import type { Report, SpanReport } from '../report.ts'
import type { SensorHealth } from '../sensor-health.ts'
import { type HeadlineEntry, makeHeadline, writeAge } from './headline.ts'

/** What the rows of changes and the notes on hops say already. */
const isShownElsewhere = isAbout('changes', 'losses', 'carriers')

/** The status as a person reads it; ends with a line end. What could not be read is a warning, and is not in it. */
export function renderReport(report: Report, paint: Paint): string {
  const headline = makeHeadline(report).map((entry) => paint(entry.healthy ? 'create' : 'remove', renderEntry(entry)))
  const titles = report.spans.flatMap(({ flowReport }) => flowReport.hops.map((hop) => printable(hopTitle(hop))))
  const titleWidth = Math.max(leastTitleWidth, ...titles.map((title) => widthOf(title) + 1))
  const blocks = [
    headline.join('\n'),
    ...renderHost(report, paint),
    ...report.spans.map((span) => renderSpan(span, holdOf(span, report), titleWidth, paint)),
    watchSentence(report)
  ]
  return `${blocks.join('\n\n')}\n`
}

/** What to do stays in one piece: it may be a command, to be copied. */
function renderEntry({ text, action }: HeadlineEntry): string {
  const line = `${text} ${action}`.trimEnd()
  if (line.length <= width || action === '') return hang(line)
  return `${hang(text)}\n${margin}${action}`
}

/** Nothing where all is right with the host. */
function renderHost({ changes, unhealthy }: Report, paint: Paint): string[] {
  const problems = unhealthy.filter((problem) => !isShownElsewhere(problem))
  const lines = [
    ...changes.map((change) => paint(change.action, `  ${hang(renderChange(change))}`)),
    ...problems.flatMap((diagnostic) => renderDiagnostic(diagnostic, paint))
  ]
  return lines.length === 0 ? [] : [[paint('title', 'host'), ...lines].join('\n')]
}

/** What keeps an apply away from a span for now. */
function holdOf({ pausedUntil }: SpanReport, { window }: Report): string | null {
  if (pausedUntil !== null) return `the span is paused until ${localTime(pausedUntil)}`
  return window === null ? null : 'the window of an apply is open: confirm it, or roll it back'
}

function renderSpan(span: SpanReport, hold: string | null, titleWidth: number, paint: Paint): string {
  const { name, description, flowReport, changes, waiting, sensors, parts, unhealthy } = span
  const awaited = new Set(waiting.map((wait) => wait.diagnostic.code))
  const title = description === null ? name : `${name} · ${description}`
  return [
    paint('title', oneLine(title)),
    paint('wait', row('', '', headings, titleWidth)),
    ...flowReport.hops.flatMap((hop) => renderHop(hop, flowReport.seconds, titleWidth, paint)),
    ...changes.map((change) => paint(change.action, `  ${hang(renderChange(change))}`)),
    ...waiting.map((wait) =>
      paint('wait', `  ${hang(`... ${wait.kind} ${printableLines(writeWait([wait.title], wait.diagnostic))}`)}`)
    ),
    ...unhealthy
      .filter((diagnostic) => !awaited.has(diagnostic.code) && !isShownElsewhere(diagnostic))
      .flatMap((diagnostic) => renderDiagnostic(diagnostic, paint)),
    ...sensors.flatMap((sensor) => renderSensor(sensor, paint)),
    ...writeAbsent(parts, hold).map((line) => paint('wait', `  ${hang(`... ${printable(line)}`)}`))
  ].join('\n')
}

/** What is no problem of the span, and no health either. */
function renderSensor({ sensor, listed, state, diagnostic }: SensorHealth, paint: Paint): string[] {
  const name = printable(sensor)
  if (state === 'starting') return [paint('wait', `  ... sensor ${name} has just started, and is not listening yet`)]
  if (state === 'unknown') return [paint('wait', `  ... whether sensor ${name} listens is not known`)]
  if (listed || diagnostic === null) return []
  return [paint('wait', `  ${hang(`... ${printableLines(diagnostic.message)} (not in the file)`)}`)]
}

function renderDiagnostic({ message, hint }: Diagnostic, paint: Paint): string[] {
  return [
    paint('remove', `  ${hang(`! ${printableLines(message)}`)}`),
    ...(hint === undefined ? [] : [`${margin}${hang(printableLines(hint))}`])
  ]
}

const margin = ' '.repeat(4)

/** Lines of which all but the first are indented. */
function hang(text: string): string {
  const lines = text.split('\n').flatMap((line) => wrap(line, width - margin.length))
  return lines.join(`\n${margin}`)
}

/** Widths, for a terminal of 80 columns. */
const kindWidth = 10
const leastTitleWidth = 25
const numberWidths = [10, 11, 11, 9] as const

const headings = ['frames', 'frames/s', 'bytes/s', 'lost'] as const

function row(kind: string, title: string, numbers: readonly string[], titleWidth: number): string {
  const columns = numberWidths.map((width, index) => (numbers[index] ?? '').padStart(width))
  return `  ${kind.padEnd(kindWidth)}${padTo(titleWidth, title)}${columns.join('')}`.trimEnd()
}

function renderHop(hop: Hop, seconds: number, titleWidth: number, paint: Paint): string[] {
  const { kind, frames, bytes } = hop
  const lost = hop.losses.reduce((sum, loss) => sum + (loss.frames ?? 0), 0)
  const per = (count: number) => (seconds > 0 ? count / seconds : 0)
  const numbers =
    frames === null
      ? ['gone', '', '', lost === 0 ? '' : writeCount(lost)]
      : [writeCount(frames), writeCount(per(frames)), bytes === null ? '' : writeBytes(per(bytes)), writeCount(lost)]
  const text = row(kind, printable(hopTitle(hop)), numbers, titleWidth)
  const notes = [...remarks(hop), ...hop.losses.map(lossNote)]
  const lines = notes.flatMap((note) => wrap(printable(note), width - indent.length))
  return [lost > 0 ? paint('remove', text) : text, ...lines.map((line) => paint('wait', `${indent}${line}`))]
}

/** Of the terminal, in characters. */
const width = 80

const indent = ' '.repeat(2 + kindWidth)

function lossNote({ cause, frames }: Hop['losses'][number]): string {
  const { text, hint } = causes[cause]
  return `${frames === null ? text : `${writeCount(frames)} lost: ${text}`}; ${hint}`
}

/** What to know of a hop beside its numbers. */
function remarks(hop: Hop): string[] {
  const reset = hop.reset ? ['recreated meanwhile'] : []
  if (hop.kind === 'mirror') return [...reset, ...mirrorNotes(hop)]
  if (hop.kind === 'sensor') return [...reset, ...partNotes(hop), socketsNote(hop)]
  if (hop.kind === 'output') return [...reset, ...partNotes(hop)]
  return reset
}

function partNotes({ part }: Extract<Hop, { kind: 'sensor' | 'output' }>): string[] {
  return part === null ? [] : [oneLine(writeParts(part).join('; '))].filter((note) => note !== '')
}

function mirrorNotes(hop: Extract<Hop, { kind: 'mirror' }>): string[] {
  const { point, counters } = hop
  const frames = writeFrames(point)
  const filter = frames === null ? [] : [oneLine(frames)]
  if (counters === null) {
    return [...filter, hop.isNeeded ? 'the mirror is missing' : 'nobody who gets a part takes frames now']
  }
  const { packets, bytes, installed, idle } = counters
  const limit = point.limit === null ? [] : [limitNote(point.limit, hop.overLimit)]
  const [one, many] = hop.countsCopies ? ['copy', 'copies'] : ['frame', 'frames']
  const total = `${writeCount(packets)} ${packets === 1 ? one : many}, ${writeBytes(bytes)} in ${writeDuration(installed * 1000)}`
  return [
    ...filter,
    ...limit,
    ...(hop.countsCopies ? ['counts copies: a frame comes once for each that takes it'] : []),
    packets === 0 ? `no frame in ${writeDuration(installed * 1000)}` : `${total}; last ${writeAge(idle)}`
  ]
}

/** What is over a limit is not lost: the file says so. */
function limitNote(limit: number, over: Traffic | null): string {
  const name = `limit ${writeRate(limit)}`
  return over === null || over.frames === 0 ? name : `${name}: ${writeCount(over.frames)} over it, not copied`
}

function socketsNote({ sockets, hasMore }: Extract<Hop, { kind: 'sensor' }>): string {
  if (hasMore) return 'has more sockets than spanplan reads: what they lose is not known'
  if (sockets === null) return 'whether a process in it listens could not be read'
  const open = sockets.filter(({ hears }) => hears !== 'none')
  if (open.length === 0) return 'no process in it listens'
  const rings = open.filter(({ drops }) => drops === null).length
  if (rings === 0) return open.length === 1 ? 'listens' : `listens with ${open.length} sockets`
  return 'listens on a ring: only the sensor knows what it loses there'
}

function watchSentence({ watch, silentWatch }: Report): string {
  if (silentWatch?.is === 'hanging') return `A watch runs, and does not answer (pid ${silentWatch.pid}).`
  if (silentWatch?.is === 'killed') return 'No watch runs: it was killed.'
  if (silentWatch !== null) return 'Only root sees whether a watch runs.'
  if (watch === null) return 'No watch runs.'
  const { since, dryRun, last } = watch
  const run = last === null ? 'no run yet' : `last run ${localTime(last.at)}: ${last.result} (${last.trigger})`
  return `Watched since ${localTime(since)}${dryRun ? ', dry run' : ''}, ${run}.`
}
