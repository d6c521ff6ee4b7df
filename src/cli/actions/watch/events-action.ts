import { Exit, type ExitCode } from '../../../errors.ts'
import { localTime } from '../../../local-time.ts'
import { printable, printableLines } from '../../../printable.ts'
import { writeDuration } from '../../../spec/values/duration.ts'
import type { KeptEvent } from '../../../watch/events/event-history.ts'
import { askWatches, checkSpans } from '../../input/watch-answers.ts'
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
  const { answers: histories, silent } = await askWatches('events', String(since))
  warn(session, silent)
  const told = histories.flatMap(({ name, events }) => events.map((event): ToldEvent => ({ ...event, name })))
  const shown = told
    .filter((event) => span === undefined || event.span === span)
    .toSorted((one, other) => (one.at < other.at ? -1 : Number(one.at > other.at)))
  if (span !== undefined) {
    const spans = told.flatMap((event) => event.span ?? [])
    await checkSpans([span], spans)
  }
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
