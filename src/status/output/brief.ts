import { oneLine, type Paint, printable } from '../../printable.ts'
import { counted, cutTo, padTo, widthOf, writeCount } from '../../text-lines.ts'
import type { FlowReport } from '../counters/flow-report.ts'
import { isMeantLoss } from '../health.ts'
import type { Report, SpanReport } from '../report.ts'
import { findSoundness, noSpans, pauseFact, windowEntry, withPlace, writeFirst } from './headline.ts'

/** What a line begins with: in this order, the lines of a report come. */
const states = ['unhealthy', 'unchecked', 'starting', 'healthy'] as const

/** One line of the brief status. */
interface BriefLine {
  readonly state: (typeof states)[number]
  readonly name: string
  readonly rate: string
  readonly lost: string
  /** What is cut where a line is too long. */
  readonly text: string
  /** What comes after it, whole. */
  readonly more: string
}

const stateWidth = Math.max(...states.map((state) => state.length))

/** Columns of the text that a line has at least, however long its name is. */
const leastText = 12

/**
 * The status in a line for each span, the unhealthy ones first, and a line with their number; ends with a line end. What is wrong with the
 * host or with the file has a line before them.
 *
 * @param width columns of a line. The name is never cut.
 */
export function renderBrief(report: Report, width: number, paint: Paint): string {
  const spans = report.spans.map((span) => spanLine(span, report))
  const inOrder = states.flatMap((state) => spans.filter((line) => line.state === state))
  const lines = [...otherLines(report), ...inOrder]
  const widest = (column: 'name' | 'rate' | 'lost') => Math.max(0, ...lines.map((line) => widthOf(line[column])))
  const widths = { name: widest('name'), rate: widest('rate'), lost: widest('lost') }
  const window =
    report.window === null ? [] : [windowEntry(report.window)].map(({ text, action }) => `${text} ${action}`)
  return `${[...window, ...lines.map((line) => renderLine(line, widths, width, paint)), sumUp(report)].join('\n')}\n`
}

function renderLine(
  { state, name, rate, lost, text, more }: BriefLine,
  widths: Readonly<Record<'name' | 'rate' | 'lost', number>>,
  width: number,
  paint: Paint
): string {
  const right = (column: 'rate' | 'lost', cell: string) => ' '.repeat(widths[column] - widthOf(cell)) + cell
  const start = [state.padEnd(stateWidth), padTo(widths.name, name), right('rate', rate), right('lost', lost), ''].join(
    '  '
  )
  const room = Math.max(leastText, width - widthOf(start) - widthOf(more))
  const line = `${start}${cutTo(room, text)}${more}`.trimEnd()
  return state === 'unhealthy'
    ? paint('remove', line)
    : state === 'healthy'
      ? paint('create', line)
      : paint('wait', line)
}

/** Of the file and the host, if something is wrong with them. */
function otherLines({ fileErrors, unhealthy, changes }: Report): BriefLine[] {
  const line = (name: string, problems: typeof unhealthy, differences: number): BriefLine[] =>
    problems.length === 0
      ? []
      : [{ state: 'unhealthy', name, rate: '', lost: '', ...writeProblems(problems, differences) }]
  return [...line('file', withPlace(fileErrors), 0), ...line('host', unhealthy, changes.length)]
}

function spanLine(span: SpanReport, report: Report): BriefLine {
  const { name, description, flowReport, unhealthy, changes } = span
  const start = { name: printable(name), ...writeFlow(flowReport) }
  if (unhealthy.length > 0) return { state: 'unhealthy', ...start, ...writeProblems(unhealthy, changes.length) }
  const { isChecked, withoutDocker, starting } = findSoundness(span, report)
  const facts = [starting.join(', '), withoutDocker ? 'without Docker' : '', ...pauseFact(span), description ?? '']
  const state = starting.length > 0 ? 'starting' : isChecked ? 'healthy' : 'unchecked'
  return { state, ...start, text: oneLine(facts.filter((fact) => fact !== '').join(', ')), more: '' }
}

function writeProblems(problems: Report['unhealthy'], changes: number): Pick<BriefLine, 'text' | 'more'> {
  const others = problems.length - 1
  return { text: oneLine(writeFirst(problems, changes)), more: others === 0 ? '' : ` (+${others})` }
}

/** What the mirrors have copied, and what was lost anywhere. What is lost as somebody wants it does not count. */
function writeFlow({ hops, seconds }: FlowReport): Pick<BriefLine, 'rate' | 'lost'> {
  const sum = (numbers: readonly (number | null)[]) => numbers.reduce<number>((total, one) => total + (one ?? 0), 0)
  const copied = sum(hops.map(({ kind, frames }) => (kind === 'mirror' ? frames : null)))
  const losses = hops.flatMap((hop) => hop.losses.filter(({ cause }) => !isMeantLoss(cause)))
  return {
    rate: `${writeCount(seconds > 0 ? copied / seconds : 0)}/s`,
    lost: `${writeCount(sum(losses.map(({ frames }) => frames)))} lost`
  }
}

function sumUp(report: Report): string {
  const { spans, unhealthy, fileErrors } = report
  if (spans.length === 0) return noSpans(report)
  const sick = spans.filter((span) => span.unhealthy.length > 0).length
  const others = [...(unhealthy.length > 0 ? ['the host'] : []), ...(fileErrors.length > 0 ? ['the file'] : [])]
  const too = others.length === 0 ? '' : `, and so ${others.length === 1 ? 'is' : 'are'} ${others.join(' and ')}`
  return `${sick} of ${counted(spans.length, 'span')} ${spans.length === 1 ? 'is' : 'are'} unhealthy${too}.`
}
