import type { Diagnostic } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { renderChange } from '../../plan/output/text.ts'
import { type Paint, printable, printableLines } from '../../printable.ts'
import type { Degraded } from '../../status/watch-state.ts'
import type { WatchEvent } from '../../watch/events/event.ts'
import type { Session } from '../session.ts'
import { printEvent } from './progress.ts'
import { choosePaint, renderDiagnostic } from './terminal.ts'

/** Tells what a watch does: to people on stderr, or to a program on stdout. */
export function chooseTeller(session: Session): (told: WatchEvent) => void {
  if (session.json) {
    return (told) => {
      const { type, ...body } = documentOf(told)
      printEvent(type, { at: new Date().toISOString(), ...body })
    }
  }
  const paint = choosePaint(session.color, process.stderr)
  return (told) => process.stderr.write(`${localTime(new Date().toISOString())} ${renderTold(told, paint)}\n`)
}

/** As a program reads it. */
function documentOf(told: WatchEvent): { readonly type: string; readonly [key: string]: unknown } {
  switch (told.type) {
    case 'changed':
    case 'drift': {
      const { change, ...rest } = told
      const { address, kind, span, action, title, reason } = change
      return { ...rest, change: { address, kind, span, action, title, reason, text: renderChange(change) } }
    }
    case 'file_refused':
      return { type: told.type, diagnostics: told.diagnostics }
    case 'wait':
    case 'wait_over': {
      const { kind, span, title, diagnostic } = told.wait
      return { type: told.type, trigger: told.trigger, wait: { kind, span, title, ...diagnostic } }
    }
    case 'started':
      return { type: told.type, spanplan_version: SPANPLAN_VERSION, name: told.name, dry_run: told.dryRun }
    default:
      return told
  }
}

function renderTold(told: WatchEvent, paint: Paint): string {
  switch (told.type) {
    case 'started':
      return row('start', told.name, `keeps the spans of this name${told.dryRun ? ', by telling what differs' : ''}`)
    case 'stopped':
      return row('stop', '', 'all stays as it is')
    case 'file':
      return row('file', '', `${told.files.map(printable).join(', ')}: ${told.spans.join(', ') || 'no spans'}`)
    case 'file_refused':
      return row('file', '', refusal(told, paint))
    case 'changed': {
      const { trigger, change, restored, milliseconds } = told
      const took = `${restored ? 'put back' : 'done'} in ${Math.round(milliseconds)} ms`
      return row(trigger, change.span, `${paint(change.action, renderChange(change))}  ${took}`)
    }
    case 'drift':
      return row(
        told.trigger,
        told.change.span,
        `${paint(told.change.action, renderChange(told.change))}  not done: dry run`
      )
    case 'wait':
    case 'wait_over': {
      const { kind, span, title, diagnostic } = told.wait
      const what = `${kind} ${printable(title)}`
      const text = told.type === 'wait' ? `... ${what} ${oneLine(diagnostic)}` : `    ${what} waits no more`
      return row(told.trigger, span, paint('wait', text))
    }
    case 'warning':
      return row('warning', '', oneLine(told.diagnostic))
    case 'degraded':
      return row(told.trigger, told.degraded.span, paint('remove', `! ${degradation(told.degraded)}`))
    case 'recovered':
      return row(told.trigger, told.degraded.span, paint('create', 'is as wanted again'))
    case 'docker_away':
      return row(told.trigger, '', paint('wait', oneLine(told.diagnostic)))
    case 'docker_back':
      return row(told.trigger, '', 'Docker is there again')
    case 'monitor_failed':
      return row('warning', '', oneLine(told.monitor.diagnostic))
    case 'monitor_back':
      return row(told.monitor.trigger, '', 'changes are reported again')
    case 'idle':
      return row('idle', told.span, paint('remove', `! ${oneLine(told.diagnostic)}`))
    case 'idle_over':
      return row('idle', told.span, paint('create', `frames come from ${printable(told.device)} again`))
    case 'paused':
      return row('pause', told.pause.span, `is left alone until ${localTime(told.pause.until)}`)
    case 'resumed':
      return row('resume', told.pause.span, 'is kept true again')
  }
}

/** What it is about, in columns; null: all spans. */
function row(trigger: string, span: string | null, text: string): string {
  return `${trigger.padEnd(8)} ${printable(span ?? 'all').padEnd(6)} ${text}`
}

function refusal({ diagnostics, files }: Extract<WatchEvent, { type: 'file_refused' }>, paint: Paint): string {
  const errors = diagnostics.map((diagnostic) => renderDiagnostic('error', diagnostic, files, paint))
  return ['the last good one stays in force:', ...errors].join('\n')
}

function degradation({ diagnostic, until }: Degraded): string {
  return `${oneLine(diagnostic)}; tried again at ${localTime(until)}`
}

function oneLine({ message, hint }: Diagnostic): string {
  const text = printableLines(message).split('\n').join(' ')
  return hint === undefined ? text : `${text} (${printable(hint)})`
}
