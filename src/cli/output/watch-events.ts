import type { Diagnostic } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { renderChanges } from '../../plan/output/plan-text.ts'
import { oneLine, type Paint, plain, printable } from '../../printable.ts'
import { writeWait } from '../../resources/kind.ts'
import { writeIdleSource } from '../../status/counters/idleness.ts'
import { listAll } from '../../text-lines.ts'
import { type EmitEvent, spanOfEvent, type WatchEvent } from '../../watch/events/event.ts'
import type { KeptEvent } from '../../watch/events/event-history.ts'
import { type EventGroup, groupEvents } from '../../watch/events/group-events.ts'
import type { Session } from '../session.ts'
import { choosePaint } from './colours.ts'
import { addPriority, isJournal, isShown, type LogLevel } from './journal.ts'
import { printEvent } from './progress.ts'
import { renderDiagnostic } from './render-diagnostic.ts'
import { eventFields } from './watch-event-json.ts'

/** An error stays until somebody acts; a warning may end by itself, or is about something that others are to do. */
const levels: Readonly<Record<WatchEvent['type'], LogLevel>> = {
  file_refused: 'error',
  degraded: 'error',
  sensor_unhealthy: 'error',
  sensor_healthy: 'info',
  probe_missed: 'error',
  probe_received: 'info',
  probe_failed: 'warning',
  probe_works: 'info',
  drift: 'warning',
  wait: 'warning',
  warning: 'warning',
  idle: 'warning',
  carrier_lost: 'warning',
  docker_away: 'warning',
  monitor_failed: 'warning',
  started: 'info',
  stopped: 'info',
  file: 'info',
  span_renamed: 'info',
  changed: 'info',
  paused: 'info',
  resumed: 'info',
  source_gone: 'info',
  source_renamed: 'info',
  wait_over: 'info',
  recovered: 'info',
  docker_back: 'info',
  monitor_back: 'info',
  idle_over: 'info',
  carrier_back: 'info',
  warning_over: 'info'
}

/**
 * Prints the events of a watch: for people on stderr, or for a program on stdout. The journal gets priorities, and no time,
 * for it has its own.
 *
 * @param least the least severe level that is printed.
 */
export function openEventPrinter(session: Session, least: LogLevel): EmitEvent {
  const print = choosePrinter(session)
  return (...events) => print(events.filter((event) => isShown(levels[event.type], least)))
}

/** What a watch keeps of events that come of one run: also those that are not printed. */
export function keepEvents(events: readonly WatchEvent[], at: string): KeptEvent[] {
  const texts = new Map(groupEvents(events).map((group) => [group[0], renderGroup(group, plain)]))
  return events.map((event) => ({
    at,
    span: spanOfEvent(event),
    isTrouble: levels[event.type] !== 'info',
    text: texts.get(event) ?? null,
    event: { type: event.type, ...eventFields(event) }
  }))
}

function choosePrinter({ json, color }: Session): (events: readonly WatchEvent[]) => void {
  if (json) {
    const at = () => new Date().toISOString()
    return (events) => {
      for (const event of events) printEvent(event.type, { at: at(), ...eventFields(event) })
    }
  }
  const paint = choosePaint(color, process.stderr)
  const isForJournal = isJournal(process.stderr.fd)
  const render = (group: EventGroup) => {
    const text = renderGroup(group, paint)
    return isForJournal ? addPriority(levels[group[0].type], text) : `${localTime(new Date().toISOString())} ${text}`
  }
  return (events) => {
    for (const group of groupEvents(events)) process.stderr.write(`${render(group)}\n`)
  }
}

/** A qdisc is only there for the mirrors on it. */
function renderGroup(group: EventGroup, paint: Paint): string {
  const [event] = group
  switch (event.type) {
    case 'changed':
    case 'drift': {
      const changes = group.flatMap((one) => ('change' in one ? [one.change] : []))
      const shown = changes.some(({ kind }) => kind !== 'qdisc')
        ? changes.filter(({ kind }) => kind !== 'qdisc')
        : changes
      const serves = changes.find((change) => change.serves !== null)?.serves ?? null
      const text = renderChanges(shown, paint)
      const whose = serves === null || text.includes(printable(serves)) ? '' : ` of ${printable(serves)}`
      return row(event.trigger, event.change.span, `${text}${whose}  ${outcomeOf(event)}`)
    }
    case 'wait':
    case 'wait_over': {
      const titles = group.flatMap((one) => ('wait' in one ? [one.wait.title] : []))
      const { kind, span, diagnostic } = event.wait
      const why = sentence({ ...diagnostic, message: writeWait(titles, diagnostic) })
      const over = `${printable(listAll(titles))} no longer ${titles.length > 1 ? 'wait' : 'waits'}`
      const text = event.type === 'wait' ? `... ${kind} ${why}` : `    ${kind} ${over}`
      return row(event.trigger, span, paint('wait', text))
    }
    default:
      return renderEvent(event, paint)
  }
}

function outcomeOf(event: Extract<WatchEvent, { type: 'changed' | 'drift' }>): string {
  if (event.type === 'drift') return 'not done: dry run'
  return `${event.repaired ? 'repaired' : 'done'} in ${Math.round(event.milliseconds)} ms`
}

type Grouped = Extract<WatchEvent, { type: 'changed' | 'drift' | 'wait' | 'wait_over' }>

function renderEvent(event: Exclude<WatchEvent, Grouped>, paint: Paint): string {
  switch (event.type) {
    case 'started':
      if (event.dryRun) return row('start', event.name, 'reports what differs from the file, and changes nothing')
      return row('start', event.name, 'keeps the spans of this name in sync')
    case 'stopped':
      return row('stop', '', 'the spans stay as they are')
    case 'file':
      return row('file', '', `${event.files.map(printable).join(', ')}: ${event.spans.join(', ') || 'no spans'}`)
    case 'span_renamed': {
      const before = printable(event.before)
      const text = `renamed ${before} → ${printable(event.span)}: what was until now is under the name ${before}`
      return row('file', event.span, text)
    }
    case 'file_refused': {
      const errors = event.diagnostics.map((diagnostic) => renderDiagnostic('error', diagnostic, event.files, paint))
      return row('file', '', ['the file is invalid; the last valid one stays in force:', ...errors].join('\n'))
    }
    case 'source_gone':
      return row(event.trigger, event.span, `- source ${printable(event.source)}: it has stopped, or matches no more`)
    case 'source_renamed': {
      const [before, source] = [event.before, event.source].map(printable)
      return row(
        event.trigger,
        event.span,
        `~ source ${before}: its name is ${source} now, and it is mirrored as before`
      )
    }
    case 'warning':
      return row('warning', spanOfEvent(event) ?? '', sentence(event.diagnostic))
    case 'warning_over':
      return row('warning', spanOfEvent(event) ?? '', `no longer so: ${oneLine(event.diagnostic.message)}`)
    case 'degraded': {
      const { span, diagnostic, until } = event.degraded
      const text = `! ${sentence(diagnostic)}; next attempt at ${localTime(until)}`
      return row(event.trigger, span, paint('remove', text))
    }
    case 'recovered': {
      const { span, thing, diagnostic } = event.degraded
      const isUndone = diagnostic.code === 'CONTESTED'
      const one = isUndone ? `nothing undoes ${thing} any more` : `${thing} is in sync again`
      const text = thing === null ? 'is in sync again' : one
      return row(event.trigger, span, paint('create', text))
    }
    case 'docker_away':
      return row(event.trigger, '', paint('wait', sentence(event.diagnostic)))
    case 'docker_back':
      return row(event.trigger, '', 'Docker answers again')
    case 'monitor_failed':
      return row('warning', '', sentence(event.monitor.diagnostic))
    case 'monitor_back':
      return row(event.monitor.trigger, '', 'the monitor works again')
    case 'idle':
      return row('idle', event.source.span, paint('remove', `! ${sentence(event.diagnostic)}`))
    case 'idle_over':
      return row(
        'idle',
        event.source.span,
        paint('create', `frames come from ${printable(writeIdleSource(event.source.points))} again`)
      )
    case 'carrier_lost':
      return row('carrier', event.span, paint('remove', `! ${sentence(event.diagnostic)}`))
    case 'carrier_back':
      return row('carrier', event.span, paint('create', `${printable(event.name)} has a carrier again`))
    case 'sensor_unhealthy': {
      // What an apply repairs, the watch repairs by itself.
      const { span, sensor, diagnostic } = event.sensor
      const text = diagnostic === null ? printable(sensor) : sentence(diagnostic)
      return row('sensor', span, paint('remove', `! ${text}`))
    }
    case 'sensor_healthy': {
      const text = `the sensor ${printable(event.sensor.sensor)} hears the span again`
      return row('sensor', event.sensor.span, paint('create', text))
    }
    case 'probe_missed':
      return row('probe', event.port.span, paint('remove', `! ${sentence(event.diagnostic)}`))
    case 'probe_received':
      return row(
        'probe',
        event.port.span,
        paint('create', `${printable(event.port.name)} gets the frames of the probes again`)
      )
    case 'probe_failed':
      return row('probe', '', paint('wait', `the spans cannot be probed: ${sentence(event.diagnostic)}`))
    case 'probe_works':
      return row('probe', '', 'the spans are probed again')
    case 'paused':
      return row('pause', event.pause.span, `is left alone until ${localTime(event.pause.until)}`)
    case 'resumed':
      return row(
        'resume',
        event.pause.span,
        event.isListed ? 'is kept in sync again' : 'is paused no longer, and not in the file'
      )
  }
}

/** A line in columns. `span`: null for all spans. */
function row(trigger: string, span: string | null, text: string): string {
  return `${trigger.padEnd(8)} ${printable(span ?? 'all').padEnd(6)} ${text}`
}

function sentence({ message, hint }: Pick<Diagnostic, 'message' | 'hint'>): string {
  return hint === undefined ? oneLine(message) : `${oneLine(message)} (${printable(hint)})`
}
