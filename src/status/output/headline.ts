import { meaningOf } from '../../codes/meanings.ts'
import type { Diagnostic } from '../../errors.ts'
import { writeOrigin } from '../../errors.ts'
import { groupsOf } from '../../host/host-index.ts'
import { localTime } from '../../local-time.ts'
import { oneLine } from '../../printable.ts'
import type { WindowTime } from '../../run-dir/window-time.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import { capitalize, counted } from '../../text-lines.ts'
import type { FlowReport } from '../counters/flow-report.ts'
import type { Basis, Report, SpanReport } from '../report.ts'

/** One line of the headline: of the host, or of a span. */
export interface HeadlineEntry {
  readonly healthy: boolean
  readonly text: string
  /** What to do about it; empty: nothing. */
  readonly action: string
  /** That is a command, and nothing else. */
  readonly isCommand?: boolean
}

/**
 * What a person has to know first: what is not healthy, and what to do about it. The host comes first, if something is wrong
 * with it; then the spans that are not healthy; then the others. Before all of them stands that there is no valid file.
 */
export function makeHeadline(report: Report): HeadlineEntry[] {
  const { spans, changes, unhealthy, fileErrors, basis } = report
  const window = report.window === null ? [] : [windowEntry(report.window)]
  const file = fileErrors.length === 0 ? [] : [fileEntry(fileErrors, basis)]
  const host = unhealthy.length > 0 ? [problemsEntry('host', unhealthy, changes.length, [])] : []
  const entries = spans.map((span) => (span.unhealthy.length === 0 ? healthyEntry(span, report) : spanEntry(span)))
  if (host.length + entries.length === 0) {
    return [...window, ...file, { healthy: file.length === 0, text: noSpans(report), action: '' }]
  }
  return [
    ...window,
    ...file,
    ...host,
    ...entries.filter(({ healthy }) => !healthy),
    ...entries.filter(({ healthy }) => healthy)
  ]
}

/** What a report without spans says. */
export function noSpans({ fileErrors }: Report): string {
  return fileErrors.length > 0 ? 'There are no live spans on this host.' : 'There are no spans in the file.'
}

export function windowEntry({ id, until }: WindowTime): HeadlineEntry {
  const text = `A change waits for confirmation until ${localTime(until)}, and is rolled back then.`
  return { healthy: true, text, action: `Run: spanplan confirm ${id}` }
}

/** Where the first error is, and what the report is about instead. */
function fileEntry(errors: readonly Diagnostic[], basis: Basis): HeadlineEntry {
  const entry = problemsEntry('file', withPlace(errors), 0, [])
  const shown =
    basis === 'watch'
      ? 'The watch goes on with the last valid file, which is shown.'
      : 'What is live is shown, by its marks.'
  return { ...entry, text: `${entry.text} ${shown}` }
}

/** Errors of the file, the first with its place. */
export function withPlace(errors: readonly Diagnostic[]): readonly Diagnostic[] {
  return errors.map((error, index) =>
    index === 0 && error.origin ? { ...error, message: `${writeOrigin(error.origin)}: ${error.message}` } : error
  )
}

/** What is known of a span of which nothing is known to be wrong. */
export interface Soundness {
  /** Whether all of it could be checked. */
  readonly isChecked: boolean
  readonly withoutDocker: boolean
  /** The sensors that have just started. */
  readonly starting: readonly string[]
}

export function findSoundness(span: SpanReport, { unread }: Report): Soundness {
  const isUnknown = span.sensors.some(({ listed, state }) => listed && state === 'unknown')
  return {
    // What a healthy span still waits for could not be read.
    isChecked: unread.length + span.waiting.length === 0 && !isUnknown,
    withoutDocker: span.waiting.some(({ diagnostic }) => meaningOf(diagnostic).unread === 'docker'),
    starting: span.sensors.flatMap(({ listed, state, sensor }) => (listed && state === 'starting' ? [sensor] : []))
  }
}

function healthyEntry(span: SpanReport, report: Report): HeadlineEntry {
  const { isChecked, withoutDocker, starting } = findSoundness(span, report)
  const healthy = isChecked ? 'healthy' : `healthy as far as could be checked${withoutDocker ? ' without Docker' : ''}`
  const state = starting.length === 0 ? healthy : `starting: ${starting.join(', ')}`
  const frames = silenceFact(span.flowReport) ?? lastFrameFact(span.flowReport) ?? []
  return {
    healthy: true,
    text: oneLine(`${span.name}: ${[state, ...pauseFact(span)].concat(frames).join(', ')}`),
    action: ''
  }
}

function spanEntry(span: SpanReport): HeadlineEntry {
  const facts = [silenceFact(span.flowReport) ?? [], pauseFact(span)].flat()
  return problemsEntry(span.name, span.unhealthy, span.changes.length, facts)
}

/** The first problem, how many more there are, and what to do about the first one. */
function problemsEntry(
  title: string,
  problems: readonly Diagnostic[],
  changes: number,
  facts: readonly string[]
): HeadlineEntry {
  const [first] = problems
  const what = writeFirst(problems, changes)
  const more = problems.length - 1
  const others = more === 0 ? [] : [counted(more, 'more problem')]
  const hint = first?.hint ?? ''
  const isCommand = first !== undefined && meaningOf(first).hintIsCommand === true
  const action = isCommand ? hint : capitalize(hint)
  const clauses = ['NOT HEALTHY', what, ...others, ...facts]
  return { healthy: false, text: oneLine(`${title}: ${clauses.join(', ')}.`), action: oneLine(action), isCommand }
}

/** The first problem in a few words: lines after the first say what became of the rest, or list it. */
export function writeFirst([first]: readonly Diagnostic[], changes: number): string {
  if (first?.code === 'DRIFT') return `${counted(changes, 'difference')} from the file`
  return first?.message.replace(/[.:]?(\n.*)?$/s, '') ?? ''
}

export function pauseFact({ pausedUntil }: SpanReport): string[] {
  return pausedUntil === null ? [] : [`paused until ${localTime(pausedUntil)}`]
}

/** Of which sources no mirror has taken a frame since it is there; null: of none. */
function silenceFact({ hops }: FlowReport): string | null {
  const mirrors = hops.flatMap((hop) => (hop.kind === 'mirror' && hop.counters !== null ? [hop] : []))
  const sources = groupsOf(mirrors, ({ point }) => point.source[0])
  const silent = [...sources].flatMap(([name, own]) =>
    own.every(({ counters }) => counters?.packets === 0) ? [name] : []
  )
  if (silent.length === 0) return null
  return silent.length === sources.size ? 'no frames yet' : `no frames yet from ${silent.join(', ')}`
}

/** null: there is no mirror. */
function lastFrameFact({ hops }: FlowReport): string | null {
  const idle = hops.flatMap((hop) => (hop.kind === 'mirror' && hop.counters?.packets ? [hop.counters.idle] : []))
  return idle.length === 0 ? null : `last frame ${writeAge(Math.min(...idle))}`
}

/** @param seconds since then. */
export function writeAge(seconds: number): string {
  return seconds === 0 ? 'just now' : `${writeDuration(seconds * 1000)} ago`
}
