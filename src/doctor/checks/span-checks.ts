import { isAbout, meaningOf } from '../../codes/meanings.ts'
import type { Diagnostic } from '../../errors.ts'
import { groupsOf } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import { localTime } from '../../local-time.ts'
import { renderChange } from '../../plan/output/plan-text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { WindowTime } from '../../run-dir/window-time.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import { type Advice, writeAdvice } from '../../status/advice.ts'
import type { FramePath } from '../../status/counters/frame-path.ts'
import {
  askOfSilence,
  isIdle,
  readIdleness,
  type SourceIdleness,
  writeIdleSource
} from '../../status/counters/idleness.ts'
import type { SpanReport } from '../../status/report.ts'
import type { SensorCause, SensorHealth } from '../../status/sensor-health.ts'
import { type Check, type Finding, orOk, orOkOf, problem, unknown, warning, whenKnown } from '../finding.ts'
import type { SpansReading } from '../readings.ts'
import { sentenceOf } from '../wording.ts'

/** What other checks find, with commands of their own. */
const isFoundElsewhere = isAbout('changes', 'carriers', 'idleness', 'docker', 'sensors', 'offloads', 'mtu', 'modules')

export const spans: Check = (readings) =>
  whenKnown(readings.spans, (known) => {
    const { spans } = known.report
    if (known.conflicts !== null) {
      const names = spans.map(({ name }) => name).join(', ')
      const live = names === '' ? 'no span is live' : `live, by their marks: ${names}; what should be is not known`
      return [...known.conflicts.map((conflict) => problem(sentenceOf(conflict))), unknown(live)]
    }
    const count = spans.length === 1 ? '1 span is' : `${spans.length} spans are`
    const findings = [...judgeSpans(known), ...withoutDocker(known)]
    return orOkOf(spans, 'the file has no spans', findings, `${count} in sync with the file`)
  })

function judgeSpans({ view, report, advise }: SpansReading): Finding[] {
  const unhealthy = [...report.spans.flatMap((span) => span.unhealthy), ...report.unhealthy]
  const codes = new Set(unhealthy.map(({ code }) => code))
  const others = (list: readonly Diagnostic[]) => list.filter((one) => !isFoundElsewhere(one)).map(sentenceOf)
  return [
    ...(report.window === null ? judgeDrift(report, advise) : [windowFinding(report.window)]),
    ...[...new Set(others(unhealthy))].map((message) => problem(message)),
    ...[...new Set(others(view.plan.warnings.filter(({ code }) => !codes.has(code))))].map((message) =>
      warning(message)
    ),
    ...others(report.unread).map((message) => unknown(message))
  ]
}

function judgeDrift({ spans, changes }: SpansReading['report'], advise: SpansReading['advise']): Finding[] {
  return [
    ...spans.flatMap((span) =>
      driftFindings(`span ${span.name} differs from the file`, span.changes, advise(span.name))
    ),
    ...driftFindings('the host has spans that are not in the file', changes, advise(null))
  ]
}

/** What differs from the file waits for a decision, and is no problem. */
function windowFinding({ id, until }: WindowTime): Finding {
  const message = `a change waits for confirmation until ${localTime(until)}, and is rolled back then`
  return warning(message, shellLine(['spanplan', 'confirm', id]))
}

/** What Docker has of the spans is not known where Docker was not read; nothing where no span needs Docker. */
function withoutDocker({ view: { host, desired } }: SpansReading): Finding[] {
  const isNeeded = desired.spans.some(({ network }) => network !== null)
  if (host.docker.state === 'read' || !isNeeded) return []
  return [unknown('Docker was not read: its networks and sensors may differ from the file')]
}

/** As many changes as a sentence takes. */
const mostChanges = 3

function driftFindings(what: string, changes: readonly PlannedChange[], advice: Advice): Finding[] {
  if (changes.length === 0) return []
  const shown = changes.slice(0, mostChanges).map(renderChange).join('; ')
  const more = changes.length > mostChanges ? `; and ${changes.length - mostChanges} more` : ''
  const message = `${what}: ${shown}${more}`
  return ['command' in advice ? problem(message, advice.command) : problem(`${message}; ${writeAdvice(advice)}`)]
}

export const pauses: Check = (readings) =>
  whenKnown(readings.spans, ({ report }) => {
    const paused = report.spans.flatMap(({ name, pausedUntil }) => {
      if (pausedUntil === null) return []
      const message = `span ${name} is paused until ${localTime(pausedUntil)}: watch and hook leave it alone`
      return warning(message, shellLine(['spanplan', 'resume', name]))
    })
    return orOk(paused, 'no span is paused')
  })

export const sensors: Check = (readings) =>
  whenKnown(readings.spans, (known) => {
    const sensors = known.report.spans.flatMap(({ sensors }) => sensors)
    const findings = [...sensors.flatMap((sensor) => judgeSensor(sensor, known)), ...withoutDocker(known)]
    return orOkOf(sensors, 'no span has a sensor', findings, 'every sensor runs and listens')
  })

/** The command of each cause, as the hint of the status has it. */
const verbs: Readonly<Partial<Record<SensorCause, string>>> = {
  stopped: 'start',
  paused: 'unpause',
  interface_down: 'restart',
  no_listener: 'restart'
}

function judgeSensor(
  { span, sensor, listed, state, cause, diagnostic }: SensorHealth,
  { advise, conflicts, view }: SpansReading
): Finding[] {
  if (state === 'unknown') {
    return view.host.docker.state === 'read' ? [unknown(`whether ${sensor} listens to span ${span}`)] : []
  }
  if (state === 'starting') return [unknown(`${sensor} has just started, and does not listen to span ${span} yet`)]
  if (diagnostic === null || cause === null) return []
  if (meaningOf(diagnostic).endedBy !== undefined && cause !== 'restarting') {
    return [problem(sentenceOf({ ...diagnostic, message: `span ${span}: the sensor ${sensor} ${diagnostic.message}` }))]
  }
  const advice = advise(span)
  const apply = conflicts === null && 'command' in advice ? advice.command : null
  const verb = verbs[cause]
  // The other commands make a container run; its port is new then, and an apply seals it.
  const needsApply = verb === undefined ? cause !== 'restarting' : verb !== 'unpause'
  const commands = [
    ...(verb === undefined ? [] : [shellLine([view.host.engine, verb, sensor])]),
    ...(apply !== null && needsApply ? [apply] : [])
  ]
  const message = cause === 'restarting' ? sentenceOf(diagnostic) : diagnostic.message
  return [(listed ? problem : warning)(`span ${span}: ${message}`, commands.join(' && ') || null)]
}

/** Milliseconds: a tap that was made just now may be silent. */
const patience = 60_000

export const silence: Check = (readings) =>
  whenKnown(readings.spans, (spans) =>
    orOkOf(
      spans.paths.flatMap(({ mirrors }) => mirrors.filter((one) => readIdleness([one], spans.sample) !== null)),
      'no source is mirrored',
      spans.report.spans.flatMap((span, index) => {
        const path = spans.paths[index]
        return path === undefined ? [] : findSilent(span, path, spans)
      }),
      'no source has been silent for long'
    )
  )

function findSilent({ name: span, sources, flowReport }: SpanReport, { mirrors }: FramePath, { sample }: SpansReading) {
  const limited = new Set(sources.filter(isIdle).map(({ points: [first] }) => first.item))
  return [...groupsOf(mirrors, ({ point }) => point.item).values()].flatMap((own): Finding[] => {
    const idleness = readIdleness(own, sample)
    if (idleness === null) return []
    const { idle, heard } = idleness
    const since = writeDuration(idle)
    const [first, ...others] = own
    const points: SourceIdleness['points'] = [first.point, ...others.map(({ point }) => point)]
    const passes = flowReport.hops.some(
      (hop) => hop.kind === 'interface' && hop.frames && points.some(({ device }) => device.name === hop.device)
    )
    const why = passes ? 'the interface itself receives frames: the filter leaves them all out' : askOfSilence(points)
    const source = writeIdleSource(points)
    if (limited.has(first.point.item))
      return [problem(`span ${span}: no frame has come from ${source} for ${since}; ${why}`)]
    if (heard || idle < patience) return []
    return [warning(`span ${span}: no frame has ever come from ${source}, in ${since}; ${why}`)]
  })
}
