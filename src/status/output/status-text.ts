import { isAbout, meaningOf } from '../../codes/meanings.ts'
import type { Diagnostic } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { renderChange } from '../../plan/output/plan-text.ts'
import { oneLine, type Paint, printable, printableLines } from '../../printable.ts'
import { writeParts } from '../../resources/feeds/part-words.ts'
import { writeWait } from '../../resources/kind.ts'
import { writeFrames } from '../../resources/mirrors/mirror-words.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import { writeRate } from '../../spec/values/rate.ts'
import { padTo, widthOf, wrap, wrapAroundArrows, wrapHint, writeBytes, writeCount } from '../../text-lines.ts'
import { causes } from '../counters/causes.ts'
import { type FlowReport, type Hop, hopTitle, type Traffic } from '../counters/flow-report.ts'
import { writeAbsent } from '../parts.ts'
import type { Report, SpanReport } from '../report.ts'
import type { SensorHealth } from '../sensor-health.ts'
import { toolNote } from '../tool-words.ts'
import { type HeadlineEntry, makeHeadline, writeAge } from './headline.ts'

/** What the rows of changes and the notes on hops say already. */
const isShownElsewhere = isAbout('changes', 'losses', 'carriers')

/**
 * The status as a person reads it; ends with a line end. What could not be read is a warning, and is not in it.
 *
 * @param lostIn seconds for which losses are counted; by default, those for which all else is.
 */
export function renderReport(report: Report, paint: Paint, lostIn?: number): string {
  const headline = makeHeadline(report).map((entry) => paint(entry.healthy ? 'create' : 'remove', renderEntry(entry)))
  const titles = report.spans.flatMap(({ flowReport }) => flowReport.hops.map((hop) => printable(hopTitle(hop))))
  const layoutOf = ({ seconds }: FlowReport): Layout => {
    const headings = writeHeadings(seconds, lostIn ?? seconds)
    const numbers = headings.map((heading, index) =>
      Math.max(numberWidths[index] ?? 0, heading.length + (index === 0 ? 1 : 2))
    )
    const room = mostWidth - indent.length - numbers.reduce((sum, one) => sum + one, 0)
    const fitting = titles.map((title) => widthOf(title) + 1).filter((one) => one <= room)
    return { headings, numbers, title: Math.max(leastTitleWidth, ...fitting) }
  }
  const blocks = [
    headline.join('\n'),
    ...renderHost(report, paint),
    ...report.spans.map((span) => renderSpan(span, holdOf(span, report), layoutOf(span.flowReport), paint)),
    watchSentence(report)
  ]
  return `${blocks.join('\n\n')}\n`
}

/** What to do has lines of its own where there is no room: a command in it stays in one piece, to be copied. */
function renderEntry({ text, action, isCommand }: HeadlineEntry): string {
  const line = `${text} ${action}`.trimEnd()
  if (line.length <= width || action === '') return hang(line)
  return [hang(text), ...wrapHint(action, width - margin.length, isCommand)].join(`\n${margin}`)
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

function renderSpan(span: SpanReport, hold: string | null, layout: Layout, paint: Paint): string {
  const { name, description, flowReport, changes, waiting, sensors, parts, unhealthy } = span
  const awaited = new Set(waiting.map((wait) => wait.diagnostic.code))
  const wrong = new Set(unhealthy.map(({ code }) => code))
  const sick = new Set(sensors.flatMap(({ sensor, listed, state }) => (listed && state === 'unhealthy' ? sensor : [])))
  const title = description === null ? name : `${name} · ${description}`
  return [
    paint('title', hang(oneLine(title))),
    paint('wait', row('', '', layout.headings, layout)),
    ...flowReport.hops.flatMap((hop) => renderHop(hop, flowReport.seconds, sick, layout, paint)),
    ...changes.map((change) => paint(change.action, `  ${hang(renderChange(change))}`)),
    ...waiting.map((wait) =>
      paint(
        wrong.has(wait.diagnostic.code) ? 'remove' : 'wait',
        `  ${hang(`... ${wait.kind} ${printableLines(writeWait([wait.title], wait.diagnostic))}`)}`
      )
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

function renderDiagnostic(diagnostic: Diagnostic, paint: Paint): string[] {
  const { message, hint } = diagnostic
  const isCommand = meaningOf(diagnostic).hintIsCommand === true
  const hintLines = hint === undefined ? [] : wrapHint(oneLine(hint), width - margin.length, isCommand)
  return [paint('remove', `  ${hang(`! ${printableLines(message)}`)}`), ...hintLines.map((line) => `${margin}${line}`)]
}

const margin = ' '.repeat(4)

/** Lines of which all but the first are indented. */
function hang(text: string): string {
  const lines = text.split('\n').flatMap((line) => wrapAroundArrows(line, width - margin.length))
  return lines.join(`\n${margin}`)
}

/** Widths, for a terminal of 80 columns. A row has as many as its title needs, up to the most. */
const kindWidth = 10
const leastTitleWidth = 23
const numberWidths = [13, 10, 9, 12] as const
const mostWidth = 100

/** How wide the columns of a table are, and what they are called. */
interface Layout {
  readonly headings: readonly string[]
  readonly numbers: readonly number[]
  readonly title: number
}

/** What the columns count, each with the time for which it does. */
function writeHeadings(seconds: number, lostIn: number): string[] {
  return [`frames in ${writeInterval(seconds)}`, 'frames/s', 'bytes/s', `lost in ${writeInterval(lostIn)}`]
}

/** A length of time, as exactly as it matters: half a second of an hour does not. */
function writeInterval(seconds: number): string {
  const step = seconds < 1 ? 0.001 : seconds < 3600 ? 1 : seconds < 360_000 ? 60 : 3600
  return writeDuration(Math.round(seconds / step) * step * 1000)
}

/** A title that is too long has a line of its own. */
function row(kind: string, title: string, numbers: readonly string[], layout: Layout): string {
  const columns = layout.numbers.map((width, index) => (numbers[index] ?? '').padStart(width)).join('')
  const start = `  ${kind.padEnd(kindWidth)}`
  if (widthOf(title) < layout.title) return `${start}${padTo(layout.title, title)}${columns}`.trimEnd()
  return `${start}${title}\n${' '.repeat(start.length + layout.title)}${columns}`.trimEnd()
}

function renderHop(hop: Hop, seconds: number, sick: ReadonlySet<string>, layout: Layout, paint: Paint): string[] {
  const { kind, frames, bytes } = hop
  const lost = hop.losses.reduce((sum, loss) => sum + (loss.frames ?? 0), 0)
  const per = (count: number) => (seconds > 0 ? count / seconds : 0)
  const numbers =
    frames === null
      ? [hop.kind === 'output' && hop.isDetached ? '' : 'gone', '', '', lost === 0 ? '' : writeCount(lost)]
      : [writeCount(frames), writeCount(per(frames)), bytes === null ? '' : writeBytes(per(bytes)), writeCount(lost)]
  const text = row(kind, printable(hopTitle(hop)), numbers, layout)
  const isSick = hop.kind === 'sensor' && sick.has(hop.container)
  const notes = [...remarks(hop), ...hop.losses.map(lossNote)]
  const lines = notes.flatMap((note) => wrap(printable(note), width - indent.length))
  const tone = isSick ? 'remove' : 'wait'
  return [lost > 0 || isSick ? paint('remove', text) : text, ...lines.map((line) => paint(tone, `${indent}${line}`))]
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
  if (hop.kind === 'sensor')
    return [...reset, ...partNotes(hop), socketsNote(hop), ...(hop.tool === null ? [] : [toolNote(hop.tool)])]
  if (hop.kind === 'output') {
    const detached = hop.isDetached ? ['is not attached: an apply attaches it'] : []
    return [...reset, ...partNotes(hop), ...detached]
  }
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

function socketsNote({ sockets, hasMore, tool }: Extract<Hop, { kind: 'sensor' }>): string {
  if (hasMore) return 'has more sockets than spanplan reads: what they lose is not known'
  if (sockets === null) return 'whether a process in it listens could not be read'
  const open = sockets.filter(({ hears }) => hears !== 'none')
  if (open.length === 0) return 'no process in it listens'
  const rings = open.filter(({ drops }) => drops === null).length
  if (rings === 0) return open.length === 1 ? 'listens' : `listens with ${open.length} sockets`
  if (tool !== null) return 'listens on a ring'
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
