import type { Diagnostic } from '../../errors.ts'
import { shellLine } from '../../host/quote-command.ts'
import { localTime } from '../../local-time.ts'
import { renderChange } from '../../plan/output/text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import type { FramePath } from '../../status/counters/frame-path.ts'
import { isIdle, readIdleness } from '../../status/counters/idleness.ts'
import type { SpanReport } from '../../status/report.ts'
import type { DoctorFacts, SpansFacts } from '../facts.ts'
import { type Check, type Finding, orOk, problem, unknown, warning, whenKnown } from '../finding.ts'
import { describe, spanplanLine } from '../wording.ts'
import { whenPlanned } from './interfaces.ts'

/** What other checks find, with commands of their own. */
const foundElsewhere: ReadonlySet<string> = new Set([
  ...['DRIFT', 'CARRIER_LOST', 'SOURCE_IDLE', 'SENSOR_STOPPED', 'DOCKER_UNREACHABLE', 'DOCKER_REMOTE'],
  ...['OFFLOAD_FIXED', 'MTU_SMALL']
])

export const spans: Check = {
  id: 'spans',
  find: (facts) =>
    whenKnown(facts.spans, (known) =>
      'conflicts' in known
        ? known.conflicts.map((conflict) => problem(describe(conflict)))
        : orOk([...judgeSpans(facts, known), ...withoutDocker(known)], countSpans(known))
    )
}

function countSpans({ report: { spans } }: SpansFacts): string {
  return `${spans.length === 1 ? '1 span is' : `${spans.length} spans are`} in sync with the file`
}

function judgeSpans(facts: DoctorFacts, { view, report }: SpansFacts): Finding[] {
  const apply = spanplanLine(facts, 'apply')
  const unhealthy = [...report.spans.flatMap((span) => span.unhealthy), ...report.unhealthy]
  const codes = new Set(unhealthy.map(({ code }) => code))
  const others = (list: readonly Diagnostic[]) => list.filter(({ code }) => !foundElsewhere.has(code)).map(describe)
  return [
    ...report.spans.flatMap(({ name, changes }) => describeDrift(`span ${name} differs from the file`, changes, apply)),
    ...describeDrift('the host has spans that are not in the file', report.changes, apply),
    ...[...new Set(others(unhealthy))].map((message) => problem(message)),
    ...[...new Set(others(view.plan.warnings.filter(({ code }) => !codes.has(code))))].map((message) =>
      warning(message)
    ),
    ...report.unread.filter(({ code }) => code !== 'DOCKER_FORBIDDEN').map((unread) => unknown(describe(unread)))
  ]
}

/** What Docker has of the spans is not known where Docker was not read; nothing where no span needs Docker. */
function withoutDocker({ view: { host, desired } }: SpansFacts): Finding[] {
  const isNeeded = desired.spans.some(({ network }) => network !== null)
  if (host.docker.state === 'read' || !isNeeded) return []
  return [unknown('Docker was not read: its networks and sensors may differ from the file')]
}

/** As many changes as a sentence takes. */
const mostChanges = 3

function describeDrift(what: string, changes: readonly PlannedChange[], apply: string): Finding[] {
  if (changes.length === 0) return []
  const shown = changes.slice(0, mostChanges).map(renderChange).join('; ')
  const more = changes.length > mostChanges ? `; and ${changes.length - mostChanges} more` : ''
  return [problem(`${what}: ${shown}${more}`, apply)]
}

export const pauses: Check = {
  id: 'pauses',
  find: (facts) =>
    whenPlanned(facts, ({ report }) => {
      const paused = report.spans.flatMap(({ name, pausedUntil }) =>
        pausedUntil === null
          ? []
          : [
              warning(
                `span ${name} is paused until ${localTime(pausedUntil)}: watch and hook leave it alone`,
                shellLine(['spanplan', 'resume', name])
              )
            ]
      )
      return orOk(paused, 'no span is paused')
    })
}

export const sensors: Check = {
  id: 'sensors',
  find: (facts) =>
    whenPlanned(facts, (known) => {
      const { view, report } = known
      const stopped = view.desired.spans.flatMap((span) =>
        span.sensors.flatMap(({ container: { name, running } }) => (running ? [] : [name]))
      )
      return orOk(
        [
          ...[...new Set(stopped)].map((name) =>
            problem(`the sensor ${name} is not running`, shellLine(['docker', 'start', name]))
          ),
          ...report.spans.flatMap((span) => findDeaf(span, spanplanLine(facts, 'apply'))),
          ...withoutDocker(known)
        ],
        'every sensor runs and listens'
      )
    })
}

/** After its network was recreated, the interface in a container has another name until the container is restarted. */
function findDeaf({ name: span, flowReport }: SpanReport, apply: string): Finding[] {
  return flowReport.hops.flatMap((hop) => {
    if (hop.kind !== 'sensor' || (hop.sockets !== null && hop.sockets.length > 0)) return []
    if (hop.sockets === null) return [unknown(`only root can see whether ${hop.container} listens to span ${span}`)]
    const message = `nothing in ${hop.container} listens to span ${span}: its tool is not running, or listens on another interface`
    return [warning(message, `${shellLine(['docker', 'restart', hop.container])} && ${apply}`)]
  })
}

/** Milliseconds: a tap that was made just now may be silent. */
const patience = 60_000

export const silence: Check = {
  id: 'silence',
  find: (facts) =>
    whenPlanned(facts, (spans) =>
      orOk(
        spans.report.spans.flatMap((span, index) => {
          const path = spans.paths[index]
          return path === undefined ? [] : findSilent(span, path, spans)
        }),
        'no source has been silent for long'
      )
    )
}

function findSilent({ name: span, sources, flowReport }: SpanReport, { mirrors }: FramePath, { sample }: SpansFacts) {
  const limited = new Set(sources.filter(isIdle).map(({ device }) => device))
  return [...new Set(mirrors.map(({ device }) => device))].flatMap((device): Finding[] => {
    const own = mirrors.filter((mirror) => mirror.device === device)
    const idleness = readIdleness(own, sample)
    if (idleness === null) return []
    const { idle, heard } = idleness
    const since = writeDuration(idle)
    const passes = flowReport.hops.some((hop) => hop.kind === 'interface' && hop.device === device && hop.frames)
    const why = passes
      ? 'the interface itself receives frames: the filter leaves them all out'
      : "is the switch's mirror session still there?"
    if (limited.has(device)) return [problem(`span ${span}: no frame has come from ${device} for ${since}; ${why}`)]
    if (heard || idle < patience) return []
    return [warning(`span ${span}: no frame has ever come from ${device}, in ${since}; ${why}`)]
  })
}
