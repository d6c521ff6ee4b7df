import { isBridgeFed } from '../../../capture/feed-bridge.ts'
import { renderFilterReport } from '../../../capture/filter-report.ts'
import { type FilterTest, testFilter } from '../../../capture/test-filter.ts'
import { type Diagnostic, diagnostic, Exit, type ExitCode, SpanplanError } from '../../../errors.ts'
import { compileFilters } from '../../../host/compile-filters.ts'
import type { HostIndex } from '../../../host/host-index.ts'
import { findMissingRights } from '../../../host/process/process-rights.ts'
import { shellLine } from '../../../host/quote-command.ts'
import { canBeHeard } from '../../../host/traffic/listen.ts'
import { resolveExpression } from '../../../plan/resolve/resolve-filter.ts'
import { printable } from '../../../printable.ts'
import { suggestHint } from '../../../spec/schema/did-you-mean.ts'
import { writeDuration } from '../../../spec/values/duration.ts'
import { type KnownSpans, readKnownSpans } from '../../input/known-spans.ts'
import { during, readingHost } from '../../output/activity.ts'
import { choosePaint } from '../../output/colours.ts'
import { type Session, warn } from '../../session.ts'

interface FilterOptions {
  /** A pcap-filter(7) expression, in parts. */
  readonly filter: readonly string[]
  /** An interface or a live span. */
  readonly on: string
  /** Milliseconds. */
  readonly for: number
}

/** The signals that end it before its time: what was counted until then is printed. */
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** `spanplan filter test`: counts how many frames of an interface or a span a filter would take. It changes nothing. */
export async function filterCommand(session: Session, options: FilterOptions): Promise<ExitCode> {
  const { on, for: milliseconds } = options
  const missing = findMissingRights('listening')
  if (missing !== null) throw new SpanplanError(missing)
  const expression = options.filter.join(' ').trim()
  const program = await compile(session, expression)
  const place = findPlace(
    await during(session, readingHost, readKnownSpans({ file: [], insecureFile: false })),
    options
  )
  const controller = new AbortController()
  const end = () => controller.abort()
  for (const signal of endSignals) process.on(signal, end)
  try {
    const testing = testFilter({ ...place, program }, milliseconds, controller.signal)
    const result = await during(session, `Listening on ${on} for ${writeDuration(milliseconds)}`, testing)
    if ('failure' in result) throw new SpanplanError(unheard(on, result.failure))
    process.stdout.write(renderFilterReport({ ...result, expression, on }, choosePaint(session.color, process.stdout)))
  } finally {
    for (const signal of endSignals) process.off(signal, end)
  }
  return Exit.done
}

/** What tcpdump does first. */
const compiling = 'Compiling the filter'

/** What the plan of a file with this filter would give to tc. */
async function compile(session: Session, expression: string): Promise<string> {
  const { resolved, warnings } = resolveExpression(
    expression,
    await during(session, compiling, compileFilters([expression]))
  )
  if ('error' in resolved) throw new SpanplanError(resolved.error, Exit.usage)
  if ('wait' in resolved) throw new SpanplanError(resolved.wait)
  warn(session, warnings)
  return resolved.program
}

function findPlace({ host, live, names }: KnownSpans, { on, filter }: FilterOptions): Omit<FilterTest, 'program'> {
  const link = host.findLink(live.includes(on) ? names.bridgeOf(on) : on)
  if (link === undefined) {
    const hint = suggestHint(on, [...host.links.map(({ name }) => name)]) ?? 'see which there are: spanplan init --list'
    const message = `there is no interface and no live span ${printable(on)} on this host`
    throw new SpanplanError(diagnostic('INTERFACE_MISSING', message, hint), Exit.usage)
  }
  const { name, up } = link
  if (!up) throw new SpanplanError(unheard(on, 'it is down', 'an apply of a file with this source sets it up'))
  if (!canBeHeard(name)) throw new SpanplanError(unheard(on, 'tcpdump takes its name for something else'))
  const isBridge = live.includes(names.nameOf(name))
  const silence = isBridge ? whySilent(host, name) : null
  if (silence !== null) {
    const { filters } = silence
    const [source] = filters.map(({ filter: { device } }) => device)
    const line = shellLine(['spanplan', 'filter', 'test', filter.join(' '), '--on', source ?? ''])
    const hint = source === undefined ? 'name one of its interfaces' : `listen at its source: ${line}`
    throw new SpanplanError(unheard(on, silence.reason, hint))
  }
  return { name, isBridge }
}

/** Why no frame comes to this bridge of a span, and the filters of its mirrors; null: frames may come. */
function whySilent(host: HostIndex, bridge: string) {
  const ports = host.portsOf(bridge)
  if (!isBridgeFed(host, bridge)) {
    const reason = 'all who get frames of it get a part of them, and none come to its bridge'
    return { reason, filters: ports.flatMap((port) => host.filtersInto(port.name)) }
  }
  const reason = 'nobody gets frames of it: its bridge has no port with a carrier'
  return ports.some(({ carrier }) => carrier) ? null : { reason, filters: host.filtersInto(bridge) }
}

function unheard(on: string, why: string, hint?: string): Diagnostic {
  return diagnostic('INTERFACE_UNHEARD', `nobody can listen on ${on}: ${why}`, hint)
}
