import { localTime } from '../../local-time.ts'
import { type Paint, printable, printableLines, type Tone } from '../../printable.ts'
import { counted, writeCount } from '../../text-lines.ts'
import { causes } from '../counters/causes.ts'
import type { ToldLoss, ToldSilence } from '../history/flow-history.ts'
import { drawSparkline, type Timed } from '../history/sparkline.ts'

/** Something that a watch did or found, in the words of its log. */
export interface ToldEvent {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
  readonly isTrouble: boolean
}

/** What happened to a span in a time, as one watch tells it. */
export interface SpanHistory {
  readonly name: string
  /** The name of the watch; null: there is no other. */
  readonly watch: string | null
  /** The last count, in milliseconds since 1970; null: there is none yet. */
  readonly counted: number | null
  /** Frames a second that the mirrors copied; null: not known. */
  readonly rates: readonly Timed[]
  /** What is counted are copies. */
  readonly countsCopies: boolean
  readonly silences: readonly ToldSilence[]
  readonly losses: readonly ToldLoss[]
  readonly events: readonly ToldEvent[]
}

/** A time that is looked back on, in milliseconds since 1970. */
export interface LookBack {
  readonly from: number
  readonly to: number
}

/** Lines of one span: of more, the oldest are left out. */
const mostRows = 40

/** Characters of a picture of the rates. */
const pictureWidth = 40

const margin = '  '

/** What happened, a block for each span and one for the host, the oldest first; ends with a line end. */
export function renderHistory(
  spans: readonly SpanHistory[],
  host: readonly ToldEvent[],
  { from, to }: LookBack,
  paint: Paint
): string {
  const blocks = [
    ...spans.map((span) => renderSpan(span, { from, to }, paint)),
    ...(host.length === 0
      ? []
      : [[paint('title', 'host'), ...renderRows(host.map(eventRow), 'spanplan events', paint)].join('\n')])
  ]
  return `${blocks.join('\n\n')}\n`
}

/** What a block has below its heading. */
interface Row {
  readonly from: number
  /** null: a moment, or it goes on. */
  readonly to: number | null
  readonly isOngoing: boolean
  readonly text: string
  /** What to do, where it goes on. */
  readonly hint: string | null
  readonly tone: Tone | null
}

function renderSpan(span: SpanHistory, { from, to }: LookBack, paint: Paint): string {
  const { name, watch, counted, rates, silences, losses, events } = span
  const known = rates.filter(({ value }) => value !== null)
  const begin = Math.max(from, known[0]?.begin ?? to)
  const heading = [
    paint('title', printable(name)),
    ...(known.length === 0 ? [] : [`since ${minute(begin)}`]),
    ...(watch === null ? [] : [`(the watch of ${printable(watch)})`])
  ].join('  ')
  const rows = [
    ...silences.map(silenceRow),
    ...losses.map((loss) => lossRow(loss, counted ?? to)),
    ...events.map(eventRow)
  ]
  const picture = drawSparkline(known, begin, to, pictureWidth)
  const quiet = silences.length + losses.length === 0 ? 'no silence, no loss on the way; ' : ''
  const summary = known.length === 0 ? nothingKnown(span) : `${quiet}${writeRange(span)}`
  return [
    heading,
    ...(picture === '' ? [] : [`${margin}${picture}`]),
    `${margin}${summary}`,
    ...renderRows(rows, `spanplan events ${printable(name)}`, paint)
  ].join('\n')
}

function nothingKnown({ rates }: SpanHistory): string {
  if (rates.length === 0) return 'nothing was counted yet: a watch counts about once a minute'
  return 'how much came is not known: the span was paused, or not all of its mirrors could be counted'
}

/** The least and the most that came in one period. */
function writeRange({ rates, countsCopies }: SpanHistory): string {
  const values = rates.flatMap(({ value }) => value ?? [])
  const unit = countsCopies ? 'copies/s' : 'frames/s'
  const [least, most] = [writeRate(Math.min(...values)), writeRate(Math.max(...values))]
  return most === '0' ? 'no frame' : least === most ? `${most} ${unit}` : `${least} to ${most} ${unit}`
}

/** Of less than ten a second, one digit more. */
function writeRate(rate: number): string {
  return rate < 10 ? String(Number(rate.toPrecision(2))) : writeCount(rate)
}

function silenceRow({ source, title, arrived, from, to, before, asks }: ToldSilence): Row {
  const isFiltered = arrived !== null && arrived > 0
  const what = isFiltered
    ? `${countFrames(arrived)} came in on ${printable(source)}, and the filter took none`
    : `no frame at ${printable(title)}`
  const hint = isFiltered ? 'is the filter right? spanplan filter test tells what one would take' : asks
  return {
    from,
    to,
    isOngoing: to === null,
    text: `silent: ${what}${before > 0 ? ` (before: ${writeRate(before)}/s)` : ''}`,
    hint: to === null ? hint : null,
    tone: to === null ? 'remove' : 'update'
  }
}

function lossRow({ title, cause, from, to, frames, of }: ToldLoss, counted: number): Row {
  const { text, hint } = causes[cause]
  const where = printable(title)
  const share = frames === null || of === 0 ? '' : ` (${writeShare(frames / of)})`
  const what =
    cause === 'carrier_flap'
      ? `${where}: ${text}`
      : `lost ${frames === null ? 'frames, nobody knows how many,' : `${countFrames(frames)}${share}`} at ${where}: ${text}`
  return { from, to, isOngoing: to >= counted && cause !== 'carrier_flap', text: what, hint, tone: 'remove' }
}

function countFrames(frames: number): string {
  return `${writeCount(frames)} ${frames === 1 ? 'frame' : 'frames'}`
}

function writeShare(share: number): string {
  const percent = 100 * share
  return percent < 0.01 ? 'less than 0.01 %' : `${Number(percent.toPrecision(2))} %`
}

function eventRow({ at, text, isTrouble }: ToldEvent): Row {
  return {
    from: at,
    to: at,
    isOngoing: false,
    text: printableLines(text),
    hint: null,
    tone: isTrouble ? 'remove' : null
  }
}

/** @param more what shows the rows that are left out. */
function renderRows(rows: readonly Row[], more: string, paint: Paint): string[] {
  const sorted = rows.toSorted((one, other) => one.from - other.from)
  const shown = sorted.slice(-mostRows)
  const times = shown.map((row) => writeTimes(row))
  const width = Math.max(0, ...times.map(({ length }) => length))
  const left = sorted.length - shown.length
  return [
    ...(left === 0 ? [] : [paint('wait', `${margin}${counted(left, 'line')} before these; events are in: ${more}`)]),
    ...shown.flatMap(({ text, hint, tone }, index) => {
      const [first = '', ...others] = text.split('\n')
      const indent = ' '.repeat(margin.length + width + 2)
      const lines = [
        `${margin}${(times[index] ?? '').padEnd(width)}  ${first}`,
        ...others.map((line) => `${indent}${line}`)
      ]
      return [
        ...lines.map((line) => (tone === null ? line : paint(tone, line))),
        ...(hint === null ? [] : [`${indent}${hint}`])
      ]
    })
  ]
}

/** `14:10–14:13`, `14:10–now`, or `14:10`: counting is exact to a minute. */
function writeTimes({ from, to, isOngoing }: Row): string {
  const begin = minute(from)
  if (isOngoing || to === null) return `${begin}–now`
  const end = minute(to)
  if (end === begin) return begin
  const [day, hour] = end.split(' ')
  // The day of the begin is the day of the end.
  return `${begin}–${hour !== undefined && begin.startsWith(`${day} `) ? hour : end}`
}

/** The time without its seconds. */
function minute(time: number): string {
  return localTime(new Date(time).toISOString()).slice(0, -3)
}
