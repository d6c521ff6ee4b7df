import { Exit, type ExitCode, SpanplanError } from '../../../errors.ts'
import { localTime } from '../../../local-time.ts'
import { spanUnknown } from '../../../plan/live-spans.ts'
import { printable, printableLines } from '../../../printable.ts'
import { writeDuration } from '../../../spec/values/duration.ts'
import type { KeptEvent } from '../../../watch/events/event-history.ts'
import { answerTime, askWatch, watchNames } from '../../../watch/serve/ask-watch.ts'
import { readKnownSpans } from '../../input/known-spans.ts'
import { choosePaint } from '../../output/colours.ts'
import { printEvent } from '../../output/progress.ts'
import { type Session, warn } from '../../session.ts'

interface EventsOptions {
  /** undefined: all. */
  readonly span: string | undefined
  /** Milliseconds back from now. */
  readonly since: number
}

/** An event, and the name whose watch has told it. */
interface ToldEvent extends KeptEvent {
  readonly name: string
}

/** `spanplan events`: prints what the watches of this host keep of what has happened, the oldest first. */
export async function eventsCommand(session: Session, { span, since }: EventsOptions): Promise<ExitCode> {
  const answers = await Promise.all(
    watchNames().map(async (name) => ({ name, kept: await askWatch(name, 'events', answerTime, String(since)) }))
  )
  const histories = answers.flatMap(({ name, kept }) => (kept === null ? [] : [{ name, ...kept }]))
  if (histories.length === 0) throw nobodyAnswers(answers.length)
  const told = histories.flatMap(({ name, events }) => events.map((event): ToldEvent => ({ ...event, name })))
  const shown = told
    .filter((event) => span === undefined || event.span === span)
    .toSorted((one, other) => (one.at < other.at ? -1 : Number(one.at > other.at)))
  if (span !== undefined && shown.length === 0) await checkSpan(span, told)
  for (const { name, dropped } of histories) {
    if (dropped === null) continue
    const message = `the watch of ${name} has told more than it keeps: what was before ${localTime(dropped)} is gone`
    warn(session, [{ code: 'EVENTS_DROPPED', message, hint: 'journalctl --unit spanplan may still have it' }])
  }
  if (session.json) for (const { at, name, event } of shown) printEvent(event.type, { at, name, ...event })
  else
    process.stdout.write(
      render(session, shown, histories.length > 1) || `Nothing in the last ${writeDuration(since)}.\n`
    )
  return Exit.done
}

/** @param hasSeveral several watches have told them. */
function render({ color }: Session, events: readonly ToldEvent[], hasSeveral: boolean): string {
  const paint = choosePaint(color, process.stdout)
  return events
    .flatMap(({ at, name, text, isTrouble }) => {
      if (text === null) return []
      const whose = hasSeveral ? `${printable(name).padEnd(8)} ` : ''
      const line = `${localTime(at)} ${whose}${printableLines(text)}`
      return `${isTrouble ? paint('remove', line) : line}\n`
    })
    .join('')
}

/** @param silent how many watches there are, or have been. */
function nobodyAnswers(silent: number): SpanplanError {
  const message =
    silent === 0 ? 'no watch is running: only a watch keeps events' : 'no watch answers: it has ended, or hangs'
  const hint = 'start one with spanplan watch; journalctl --unit spanplan has what an earlier one told'
  return new SpanplanError({ code: 'WATCH_MISSING', message, hint })
}

/** Of a span that is known, nothing may have happened. */
async function checkSpan(span: string, told: readonly ToldEvent[]): Promise<void> {
  const { listed, live, names } = await readKnownSpans({ file: [], insecureFile: false })
  const known = [...live, ...listed]
  if (!known.includes(span)) throw spanUnknown([span], [...known, ...told.flatMap((event) => event.span ?? [])], names)
}
