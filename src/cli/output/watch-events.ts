import type { Diagnostic } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { renderChange } from '../../plan/output/text.ts'
import { type Paint, printable, printableLines } from '../../printable.ts'
import type { WatchEvent } from '../../watch/events/event.ts'
import type { Session } from '../session.ts'
import { addPriority, isJournal, isShown, type LogLevel } from './journal.ts'
import { printEvent } from './progress.ts'
import { choosePaint, renderDiagnostic } from './terminal.ts'
import { eventFields } from './watch-event-json.ts'

/** An error stays until somebody acts; a warning may end by itself, or is about something that others are to do. */
const levels: Readonly<Record<WatchEvent['type'], LogLevel>> = {
  ...{ file_refused: 'error', degraded: 'error' },
  ...{ drift: 'warning', wait: 'warning', warning: 'warning', idle: 'warning' },
  ...{ docker_away: 'warning', monitor_failed: 'warning' },
  ...{ started: 'info', stopped: 'info', file: 'info', changed: 'info', paused: 'info', resumed: 'info' },
  ...{ wait_over: 'info', recovered: 'info', docker_back: 'info', monitor_back: 'info', idle_over: 'info' }
}

/**
 * Prints the events of a watch: for people on stderr, or for a program on stdout. The journal gets priorities, and no time,
 * for it has its own.
 *
 * @param least the least severe level that is printed.
 */
export function openEventPrinter(session: Session, least: LogLevel): (event: WatchEvent) => void {
  const print = choosePrinter(session)
  return (event) => {
    if (isShown(levels[event.type], least)) print(event)
  }
}

function choosePrinter({ json, color }: Session): (event: WatchEvent) => void {
  if (json) {
    return (event) => printEvent(event.type, { at: new Date().toISOString(), ...eventFields(event) })
  }
  const paint = choosePaint(color, process.stderr)
  const write = (text: string) => process.stderr.write(`${text}\n`)
  if (isJournal(process.stderr.fd)) return (event) => write(addPriority(levels[event.type], renderEvent(event, paint)))
  return (event) => write(`${localTime(new Date().toISOString())} ${renderEvent(event, paint)}`)
}

function renderEvent(event: WatchEvent, paint: Paint): string {
  switch (event.type) {
    case 'started':
      if (event.dryRun) return row('start', event.name, 'reports what differs from the file, and changes nothing')
      return row('start', event.name, 'keeps the spans of this name in sync')
    case 'stopped':
      return row('stop', '', 'the spans stay as they are')
    case 'file':
      return row('file', '', `${event.files.map(printable).join(', ')}: ${event.spans.join(', ') || 'no spans'}`)
    case 'file_refused': {
      const errors = event.diagnostics.map((diagnostic) => renderDiagnostic('error', diagnostic, event.files, paint))
      return row('file', '', ['the file is invalid; the last valid one stays in force:', ...errors].join('\n'))
    }
    case 'changed': {
      const { trigger, change, repaired, milliseconds } = event
      const took = `${repaired ? 'repaired' : 'done'} in ${Math.round(milliseconds)} ms`
      return row(trigger, change.span, `${paint(change.action, renderChange(change))}  ${took}`)
    }
    case 'drift': {
      const { trigger, change } = event
      return row(trigger, change.span, `${paint(change.action, renderChange(change))}  not done: dry run`)
    }
    case 'wait':
    case 'wait_over': {
      const { kind, span, title, diagnostic } = event.wait
      const what = `${kind} ${printable(title)}`
      const text = event.type === 'wait' ? `... ${what} ${oneLine(diagnostic)}` : `    ${what} no longer waits`
      return row(event.trigger, span, paint('wait', text))
    }
    case 'warning':
      return row('warning', '', oneLine(event.diagnostic))
    case 'degraded': {
      const { span, diagnostic, until } = event.degraded
      const text = `! ${oneLine(diagnostic)}; next attempt at ${localTime(until)}`
      return row(event.trigger, span, paint('remove', text))
    }
    case 'recovered':
      return row(event.trigger, event.degraded.span, paint('create', 'is in sync again'))
    case 'docker_away':
      return row(event.trigger, '', paint('wait', oneLine(event.diagnostic)))
    case 'docker_back':
      return row(event.trigger, '', 'Docker answers again')
    case 'monitor_failed':
      return row('warning', '', oneLine(event.monitor.diagnostic))
    case 'monitor_back':
      return row(event.monitor.trigger, '', 'the monitor works again')
    case 'idle':
      return row('idle', event.span, paint('remove', `! ${oneLine(event.diagnostic)}`))
    case 'idle_over':
      return row('idle', event.span, paint('create', `frames come from ${printable(event.device)} again`))
    case 'paused':
      return row('pause', event.pause.span, `is left alone until ${localTime(event.pause.until)}`)
    case 'resumed':
      return row('resume', event.pause.span, 'is kept in sync again')
  }
}

/** A line in columns. `span`: null for all spans. */
function row(trigger: string, span: string | null, text: string): string {
  return `${trigger.padEnd(8)} ${printable(span ?? 'all').padEnd(6)} ${text}`
}

function oneLine({ message, hint }: Diagnostic): string {
  const text = printableLines(message).split('\n').join(' ')
  return hint === undefined ? text : `${text} (${printable(hint)})`
}
