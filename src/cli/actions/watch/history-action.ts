import { Exit, type ExitCode } from '../../../errors.ts'
import { localTime } from '../../../local-time.ts'
import { printableJson } from '../../../printable.ts'
import { addRates, type FlowHistory } from '../../../status/history/flow-history.ts'
import { historyDocument, spansOf, type WatchHistory } from '../../../status/output/history-json.ts'
import { renderHistory, type SpanHistory, type ToldEvent } from '../../../status/output/history-text.ts'
import type { KeptEvent } from '../../../watch/events/event-history.ts'
import { askWatches, checkSpans } from '../../input/watch-answers.ts'
import { choosePaint } from '../../output/colours.ts'
import { type Session, warn } from '../../session.ts'

interface HistoryOptions {
  /** None: all. */
  readonly span: readonly string[]
  /** Milliseconds back from now. */
  readonly since: number
}

/** What one watch keeps. */
interface Answer extends Omit<WatchHistory, 'events'> {
  readonly events: readonly KeptEvent[]
}

/** `spanplan status --since`: shows when spans were silent and lost frames, and what their watches did and found then. */
export async function historyCommand(session: Session, { span, since }: HistoryOptions): Promise<ExitCode> {
  const now = Date.now()
  const lookBack = { from: now - since, to: now }
  const [{ answers: flows, silent }, { answers: events }] = await Promise.all([
    askWatches('rates', `${since}${session.json ? ' every' : ''}`),
    askWatches('events', String(since))
  ])
  warn(session, silent)
  const answers = flows.map(({ name, ...one }): Answer => {
    const own = events.find((other) => other.name === name)?.events ?? []
    return { name, flows: one, events: own.filter((event) => !isToldBySilence(event, one)) }
  })
  const isShown = (name: string) => span.length === 0 || span.includes(name)
  await checkSpans(
    span,
    answers.flatMap((one) => spansOf(one.flows, one.events)),
    '--span '
  )
  for (const { name, flows } of answers) {
    const times = [flows.dropped ?? 0, Date.parse(events.find((one) => one.name === name)?.dropped ?? '') || 0]
    const dropped = Math.max(...times)
    if (dropped === 0) continue
    const message = `the watch of ${name} has found more than it keeps: what was before ${writeTime(dropped)} is not whole`
    warn(session, [{ code: 'EVENTS_DROPPED', message, hint: 'journalctl --unit spanplan may still have it' }])
  }
  if (session.json) {
    const times = { since: new Date(lookBack.from).toISOString(), created: new Date(now).toISOString() }
    const watches = answers.map((one) => ({ ...one, events: one.events.map(documentOf) }))
    process.stdout.write(`${printableJson(historyDocument(watches, isShown, times))}\n`)
    return Exit.done
  }
  const hasSeveral = answers.length > 1
  const spans = answers.flatMap((one) =>
    spansOf(one.flows, one.events)
      .filter(isShown)
      .map((name) => readSpan(name, one, hasSeveral))
  )
  const host =
    span.length > 0 ? [] : answers.flatMap((one) => toldEvents(one.events.filter((event) => event.span === null)))
  const text = renderHistory(spans, host, lookBack, choosePaint(session.color, process.stdout))
  process.stdout.write(spans.length + host.length === 0 ? 'The watch has no spans.\n' : text)
  return Exit.done
}

const writeTime = (time: number) => localTime(new Date(time).toISOString())

function documentOf({ at, span, event }: KeptEvent) {
  const { type, ...fields } = event
  return { span, document: { type, at, ...fields } }
}

function readSpan(name: string, { name: watch, flows, events }: Answer, hasSeveral: boolean): SpanHistory {
  const hops = flows.hops.filter(({ span, kind }) => span === name && kind === 'mirror')
  return {
    name,
    watch: hasSeveral ? watch : null,
    counted: flows.counted,
    rates: addRates(flows.periods, hops),
    countsCopies: hops.some(({ countsCopies }) => countsCopies),
    silences: flows.silences.filter(({ span }) => span === name),
    losses: withoutTold(
      flows.losses.filter(({ span }) => span === name),
      events
    ),
    events: toldEvents(events.filter(({ span }) => span === name))
  }
}

function toldEvents(events: readonly KeptEvent[]): ToldEvent[] {
  return events.flatMap(({ at, text, isTrouble }) => (text === null ? [] : [{ at: Date.parse(at), text, isTrouble }]))
}

/** Milliseconds between two counts: an event that was then may be about the same. */
const countedApart = 120_000

/** That a source with a max_idle is idle, and is so no longer, the silence says with its times. */
function isToldBySilence({ at, span, event }: KeptEvent, { silences }: FlowHistory): boolean {
  if (event.type !== 'idle' && event.type !== 'idle_over') return false
  const time = Date.parse(at)
  return silences.some(
    ({ span: silent, from, to }) => silent === span && time >= from && (to === null || time <= to + countedApart)
  )
}

/** Leaves out the losses of a carrier that was gone for a moment: the events report these. */
function withoutTold(losses: FlowHistory['losses'], events: readonly KeptEvent[]): FlowHistory['losses'] {
  const times = events.flatMap(({ at, event }) => (event.type.startsWith('carrier_') ? [Date.parse(at)] : []))
  return losses.filter(
    ({ cause, from, to }) =>
      cause !== 'carrier_flap' || !times.some((time) => time >= from - countedApart && time <= to + countedApart)
  )
}
