import { isEndedByContainer, meaningOf } from '../../codes/meanings.ts'
import type { Diagnostic } from '../../errors.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { type Wait, writeAddress } from '../../resources/kind.ts'
import type { Pause } from '../../run-dir/pauses.ts'
import { findMissingDocker } from '../../status/health.ts'
import type { Run, Trigger } from '../../status/watch-state.ts'
import type { Rest } from '../degraded/backoff.ts'
import { type RunOutcome, untoldOf } from '../loop/reconcile.ts'
import type { EmitEvent, WatchEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/** A run that has ended. */
interface EndedRun extends Pick<Run, 'trigger' | 'milliseconds'> {
  readonly outcome: RunOutcome
  /** What is degraded after the run. */
  readonly degraded: readonly Rest[]
  /** The spans of the file. */
  readonly spans: readonly string[]
  /** It was the first run with this file: the changes that it needed are no drift. */
  readonly isNewFile: boolean
  readonly dryRun: boolean
  /** When it ended, in milliseconds of the monotonic clock. */
  readonly now: number
}

/** Milliseconds. A longer rest is an event when it begins, and again each time that it has become longer. */
const longRest = 10_000

/** What is degraded: a span that fails, or a thing that is contested, whichever item of the file asks for it. */
function nameDegraded({ span, reason, diagnostic: { subject } }: Rest): string {
  return JSON.stringify([span, reason === 'contested' && subject ? writeAddress(subject) : null])
}

/** A source that is mirrored, by its name. */
interface Source {
  readonly span: string
  readonly source: string
  /** An interface that it is mirrored at, or was; null: none is known. */
  readonly device: string | null
  /** The file names it, as an interface. */
  readonly isNamed: boolean
}

/**
 * Milliseconds. A container that restarts takes its interfaces along, and what is said of them: a warning that comes back within
 * this time was never over.
 */
const warningGrace = 60_000

/** Milliseconds for which a warning has to last that may be over in a moment. */
export const warningSettling = 2000

/** Waits for Docker as a whole: the event docker_away reports them. */
const isForDocker = ({ diagnostic }: Wait) => meaningOf(diagnostic).unread === 'docker'

/** Makes what emits the events of runs: each thing is reported once when it happens, when it starts, and when it ends. */
export function openEventRecorder(emitTogether: EmitEvent) {
  let events: WatchEvent[] = []
  const emit = (event: WatchEvent) => events.push(event)
  const flush = () => {
    emitTogether(...events)
    events = []
  }
  const sources = trackTransitions<Source>(({ span, source }) => JSON.stringify([span, source]))
  const waits = trackTransitions<Wait>(({ kind, span, title, diagnostic }) =>
    [kind, span, title, diagnostic.code].join(' ')
  )
  /** The warnings of plans, each with when a plan had it last. */
  const warnings = trackTransitions<{ readonly diagnostic: Diagnostic; readonly seen: number }>(({ diagnostic }) =>
    nameWarning(diagnostic)
  )
  /** The warnings of the last plan that may be over in a moment, each with when a plan had it first. */
  let passing = new Map<string, number>()
  let isUnsettled = false
  const rests = trackTransitions<Rest>((one) =>
    [nameDegraded(one), one.diagnostic.code, Math.max(longRest, one.rest)].join(' ')
  )
  const docker = trackTransitions<Diagnostic>(() => '')
  const pausedSpans = trackTransitions<Pause>(({ span, until }) => `${span} ${until}`)
  const drift = trackTransitions<PlannedChange>(nameChange)
  const recordDegraded = (trigger: Trigger, current: readonly Rest[], isRunning: boolean) => {
    const names = new Set(current.map(nameDegraded))
    // What was degraded before is tried later in the run.
    const { started, ended } = rests.update(current, (one) => isRunning && !names.has(nameDegraded(one)))
    for (const degraded of started) emit({ type: 'degraded', trigger, degraded })
    // Where something else about a container is degraded now, that container is still in trouble.
    const containers = new Set(current.flatMap(({ container }) => container ?? []))
    for (const degraded of ended) {
      const goesOn = names.has(nameDegraded(degraded)) || containers.has(degraded.container ?? '')
      if (!goesOn) emit({ type: 'recovered', trigger, degraded })
    }
  }
  const recordDocker = (trigger: Trigger, view: PlanView) => {
    const { started, ended } = docker.update(findMissingDocker(view))
    for (const diagnostic of started) emit({ type: 'docker_away', trigger, diagnostic })
    for (const diagnostic of ended) emit({ type: 'docker_back', trigger, diagnostic })
  }
  const recordWaits = (
    trigger: Trigger,
    { desired, plan }: PlanView,
    made: readonly PlannedChange[],
    spans: readonly string[]
  ) => {
    const waiting = plan.waiting.filter((wait) => !hasCome(wait, made))
    const isPlanned = (span: string) => desired.spanOf(span) !== undefined
    const waitsForDocker = ({ kind, span }: Wait) =>
      waiting.some((other) => isForDocker(other) && other.span === span && other.kind === kind)
    const { started, ended } = waits.update(
      waiting.filter((wait) => !isForDocker(wait)),
      (wait) => spans.includes(wait.span) && (!isPlanned(wait.span) || waitsForDocker(wait))
    )
    for (const wait of started) emit({ type: 'wait', trigger, wait })
    for (const wait of ended) {
      // With another reason, it is waited for all the same.
      const { kind, span, title } = wait
      const goesOn = waiting.some((other) => other.kind === kind && other.span === span && other.title === title)
      if (!goesOn) emit({ type: 'wait_over', trigger, wait })
    }
  }
  const recordWarnings = (view: PlanView, { spans, isNewFile, now }: EndedRun) => {
    const unplanned = new Set<string | null>(spans.filter((span) => view.desired.spanOf(span) === undefined))
    const isUnplanned = ({ subject }: Diagnostic) => subject !== undefined && unplanned.has(subject.span)
    const before = passing
    const mayPass = view.plan.warnings.filter((diagnostic) => meaningOf(diagnostic).mayPass).map(nameWarning)
    passing = new Map(mayPass.map((name) => [name, before.get(name) ?? now]))
    const settled = view.plan.warnings.filter(
      (diagnostic) => now >= (passing.get(nameWarning(diagnostic)) ?? -Infinity) + warningSettling
    )
    isUnsettled = settled.length < view.plan.warnings.length
    const { started, ended } = warnings.update(
      settled.map((diagnostic) => ({ diagnostic, seen: now })),
      ({ diagnostic, seen }) =>
        passing.has(nameWarning(diagnostic)) ||
        isUnplanned(diagnostic) ||
        !isDockerRead(view) ||
        (!isNewFile && now < seen + warningGrace)
    )
    for (const { diagnostic } of started) emit({ type: 'warning', diagnostic })
    for (const { diagnostic } of ended) emit({ type: 'warning_over', diagnostic })
  }
  /** `made`: the changes of the run. A container may have started after the plan was made: the apply has mirrored it all the same. */
  const recordSources = (trigger: Trigger, view: PlanView, made: readonly PlannedChange[], isNewFile: boolean) => {
    const late = made.flatMap(({ kind, action, span, serves, device }): Source[] =>
      kind === 'mirror' && action === 'create' && span !== null && serves !== null
        ? [{ span, source: serves, device, isNamed: false }]
        : []
    )
    const planned = view.desired.spans.flatMap(({ name, mirrors }) =>
      mirrors.map(
        ({ serves, device: { name: device } }): Source => ({
          span: name,
          source: serves ?? device,
          device,
          isNamed: serves === null
        })
      )
    )
    const isWaitedFor = ({ span, source }: Source) =>
      view.plan.waiting.some((wait) => wait.span === span && wait.container === source)
    const isUnknown = ({ span }: Source) => !isDockerRead(view) || view.desired.spanOf(span) === undefined
    for (const one of sources.update([...late, ...planned], isUnknown).ended) {
      if (isNewFile || one.isNamed || isWaitedFor(one)) continue
      const { span, source: before, device } = one
      const renamed = planned.find((other) => other.span === span && other.device === device && !other.isNamed)
      if (renamed === undefined) emit({ type: 'source_gone', trigger, span, source: before })
      else emit({ type: 'source_renamed', trigger, span, source: renamed.source, before })
    }
  }
  return {
    /** Takes what is degraded before the end of a run. */
    degraded: (trigger: Trigger, current: readonly Rest[]): void => {
      recordDegraded(trigger, current, true)
      flush()
    },
    /** Takes what a pass of a run has changed, before that run ends. */
    changed: (
      { trigger, milliseconds, isNewFile }: Pick<EndedRun, 'trigger' | 'milliseconds' | 'isNewFile'>,
      changes: readonly PlannedChange[]
    ): void => {
      for (const change of changes) emit({ type: 'changed', trigger, change, repaired: !isNewFile, milliseconds })
      flush()
    },
    /** @returns how many changes were needed that were not needed before, and that no new file brought. */
    run: (ended: EndedRun): number => {
      const { trigger, milliseconds, outcome, degraded, spans, isNewFile, dryRun } = ended
      const { view, needed, done } = outcome
      // What was changed before Docker had answered does not know yet whose it is.
      const behind = ({ device }: PlannedChange) => view?.host.attachmentOf(view.host.linkOf(device))?.container.name
      const serve = (changes: readonly PlannedChange[]) =>
        distinct(changes.map((change) => ({ ...change, serves: change.serves ?? behind(change) ?? null })))
      const made = serve(done)
      const told = new Set([...(outcome.told ?? [])].map(({ address }) => address))
      const untold = untoldOf(outcome).filter((change) => !(told.has(change.address) && isContainerMark(change)))
      for (const change of serve(untold)) emit({ type: 'changed', trigger, change, repaired: !isNewFile, milliseconds })
      recordDegraded(trigger, degraded, false)
      if (view !== null) {
        recordDocker(trigger, view)
        recordSources(trigger, view, made, isNewFile)
        recordWaits(trigger, view, made, spans)
        recordWarnings(view, ended)
      }
      const isShown = dryRun && view !== null
      const newDrift = isShown ? drift.update(needed).started : needed
      if (isShown) for (const change of newDrift) emit({ type: 'drift', trigger, change })
      flush()
      return isNewFile ? 0 : newDrift.length
    },
    /** Whether the last run has kept back a warning that may pass: a later run tells it, or finds it gone. */
    isUnsettled: (): boolean => isUnsettled,
    /** @param spans the spans of the file. */
    pauses: (current: readonly Pause[], spans: readonly string[]): void => {
      const { started, ended } = pausedSpans.update(current)
      for (const pause of ended) {
        const isListed = pause.span === null || spans.includes(pause.span)
        if (!current.some(({ span }) => span === pause.span)) emit({ type: 'resumed', pause, isListed })
      }
      for (const pause of started) emit({ type: 'paused', pause })
      flush()
    }
  }
}

function nameWarning(diagnostic: Diagnostic): string {
  const { code, message, subject } = diagnostic
  return JSON.stringify([code, meaningOf(diagnostic).namesExamples ? subject : message])
}

function isDockerRead({ host: { readings, unreadContainers } }: PlanView): boolean {
  return readings.docker === 'read' && unreadContainers.length === 0
}

function nameChange({ address, action, facts }: PlannedChange): string {
  return JSON.stringify([address, action, facts])
}

/** Whether a port that is sealed already gets the mark of a container's alone, as once Docker has said whose it is. */
function isContainerMark({ kind, facts }: PlannedChange): boolean {
  return kind === 'port' && facts.every(({ key, changed }) => changed === (key === 'known'))
}

/** What was made twice in one run, as what goes again while Docker answers, is one change. */
function distinct(changes: readonly PlannedChange[]): readonly PlannedChange[] {
  return [...new Map(changes.map((change) => [nameChange(change), change])).values()]
}

/** Whether what is waited for has come after the plan was made, and the apply has made the change all the same. */
function hasCome({ kind, span, container, diagnostic }: Wait, made: readonly PlannedChange[]): boolean {
  if (container === undefined || !isEndedByContainer(diagnostic)) return false
  return made.some(
    (change) =>
      change.kind === kind &&
      change.action !== 'remove' &&
      change.span === span &&
      (change.serves === container || change.container === container)
  )
}
