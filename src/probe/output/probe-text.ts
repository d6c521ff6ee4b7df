import type { Diagnostic } from '../../errors.ts'
import { groupsOf } from '../../host/host-index.ts'
import { localTime } from '../../local-time.ts'
import { oneLine, type Paint, printable, printableLines, type Tone } from '../../printable.ts'
import { counted, listAll, listFew, padTo, widthOf, wrap, wrapHint } from '../../text-lines.ts'
import type { FrameResult, ReceiverResult, ReceiverState, SpanProbe, WayResult } from '../probe-result.ts'

/** Of the terminal, in characters. */
const width = 80

/** The word for each state, with its tone. */
const states: Readonly<Record<ReceiverState, readonly [word: string, tone: Tone]>> = {
  received: ['got', 'create'],
  missed: ['missed', 'remove'],
  absent: ['absent', 'remove'],
  resting: ['...', 'wait']
}

const stateWidth = 8
const kindWidth = 8
const indent = ' '.repeat(2 + stateWidth)

/** What came of a probe, as a person reads it; ends with a line end. */
export function renderProbe(spans: readonly SpanProbe[], paint: Paint): string {
  if (spans.length === 0) return 'There are no spans to probe.\n'
  const headlines = spans.map((span) => paint(span.passed === true ? 'create' : 'remove', headlineOf(span)))
  return `${[headlines.join('\n'), ...spans.map((span) => renderSpan(span, paint))].join('\n\n')}\n`
}

/** As few ports as have words of their own. */
const few: Readonly<Record<number, string>> = { 1: 'its only port', 2: 'both ports' }

function headlineOf({ span, passed, receivers }: SpanProbe): string {
  if (passed === null) return `${span}: nothing was sent.`
  const of = (...some: readonly ReceiverState[]) => receivers.filter(({ state }) => some.includes(state)).length
  const [all, bad] = [of('received', 'missed', 'absent'), of('missed', 'absent')]
  if (all === 0) return `${span}: nobody is there who could get a frame.`
  if (bad === 0) return `${span}: ${all < 3 ? (few[all] ?? '') : `all ${all} ports`} got every frame.`
  return `${span}: ${bad} of ${counted(all, 'port')} did not get every frame.`
}

function renderSpan(probe: SpanProbe, paint: Paint) {
  const { span, description, problem, pausedUntil, changes, receivers, unasked, downstream, planCommand } = probe
  const titles = receivers.map(titleOf)
  const room = Math.max(0, ...titles.map(widthOf).filter((one) => one <= 30))
  const notes = [
    ...(pausedUntil === null ? [] : [`the span is paused until ${localTime(pausedUntil)}: it was probed as it is`]),
    // The hint of what was missed says it.
    ...(changes === 0 || problem !== null || receivers.some(({ state }) => state === 'missed')
      ? []
      : [`the span differs from the file by ${counted(changes, 'change')}: ${planCommand}`]),
    ...(downstream.length === 0
      ? []
      : [`frames also come to ${listFew(downstream, fewNames)}, whose source is this bridge`]),
    ...[...groupsOf(unasked, ({ reason }) => reason)].map(([reason, some]) => {
      const names = some.map(({ source }) => source)
      return `not sent through the ${names.length === 1 ? 'mirror' : 'mirrors'} of ${listFew(names, fewNames)}: ${reason}`
    })
  ]
  return [
    paint('title', oneLine(description === null ? span : `${span} · ${description}`)),
    ...receivers.flatMap((receiver) => renderReceiver(receiver, room, paint)),
    ...(problem === null ? [] : renderDiagnostic(problem, paint, '  ')),
    ...notes.flatMap((note) => hang('  ... ', note).map((line) => paint('wait', line)))
  ].join('\n')
}

const titleOf = ({ name, interface: device }: ReceiverResult) =>
  printable(device === null || device === name ? name : `${name} (${device})`)

function renderReceiver(receiver: ReceiverResult, room: number, paint: Paint): string[] {
  const { kind, state, ways, reason, health } = receiver
  const [word, tone] = states[state]
  const title = titleOf(receiver)
  const texts = reason === null ? writeWays(ways) : [printable(reason)]
  const head = `  ${word.padEnd(stateWidth)}${kind.padEnd(kindWidth)}${padTo(room, title)}`
  const [first = '', ...others] = texts
  const fits = widthOf(head) + 2 + widthOf(first) <= width
  const lines = fits ? [`${head}  ${first}`.trimEnd(), ...others] : [head.trimEnd(), ...texts]
  const [line = '', ...more] = lines
  const problems = ways.flatMap(({ problem }) => problem ?? [])
  return [
    paint(tone, line),
    ...more.flatMap((text) => wrap(text, width - indent.length).map((one) => paint(tone, `${indent}${one}`))),
    ...problems.flatMap((problem) => renderDiagnostic(problem, paint, indent)),
    ...(health === null ? [] : renderDiagnostic(health, paint, indent))
  ]
}

/** Names that a line has. */
const fewNames = 3

/** What came on each way. Where all came through many mirrors, one line says so of all of them. */
function writeWays(ways: readonly WayResult[]): string[] {
  const mirrors = ways.filter(({ way, problem }) => way.kind === 'mirror' && problem === null)
  if (mirrors.length <= fewNames) return ways.map(writeWay)
  const all = `all that was sent through the mirrors of ${mirrors.length} interfaces of containers`
  return [...ways.filter((way) => !mirrors.includes(way)).map(writeWay), all]
}

/** What came, and on which way. */
function writeWay({ way, frames }: WayResult): string {
  const came = frames.filter(({ state }) => state === 'received')
  const nothing = frames.some(({ state }) => state === 'changed') ? 'nothing as it was sent' : 'nothing'
  const what = came.length === 0 ? nothing : `${listAll(came.map(({ size }) => String(size)))} bytes`
  const text = `${what}${writeTime(came)}${writeCopies(came)}`
  if (way.kind === 'bridge') return text
  return way.kind === 'port'
    ? `${text}, straight to its port: no filter was asked`
    : `${text}, through the mirror of ${printable(way.source)}`
}

function writeTime(frames: readonly FrameResult[]): string {
  const times = frames.flatMap(({ microseconds }) => microseconds ?? [])
  return times.length === 0 ? '' : ` within ${Math.ceil(Math.max(...times))} µs`
}

function writeCopies(frames: readonly FrameResult[]): string {
  const most = Math.max(0, ...frames.map(({ copies }) => copies))
  return most < 2 ? '' : `, ${most === 2 ? 'twice' : `${most} times`}`
}

function renderDiagnostic({ message, hint }: Diagnostic, paint: Paint, margin: string): string[] {
  const lines = hang(`${margin}! `, printableLines(oneLine(message)))
  const todo = hint === undefined ? [] : wrapHint(oneLine(hint), width - margin.length - 2)
  return [...lines.map((line) => paint('remove', line)), ...todo.map((line) => `${margin}  ${line}`)]
}

/** Lines of which all but the first are indented. */
function hang(start: string, text: string): string[] {
  return wrap(printable(text), width - start.length).map(
    (line, index) => `${index === 0 ? start : ' '.repeat(start.length)}${line}`
  )
}
