import type { Diagnostic } from '../../errors.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { Wait } from '../../resources/kind.ts'
import type { Pause } from '../../run-dir/pauses.ts'
import type { Degraded, Trigger } from '../../status/watch-state.ts'
import type { Outcome } from '../loop/reconcile.ts'
import type { WatchEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/** One run, for those who are told of it. */
interface RunReport {
  readonly trigger: Trigger
  readonly milliseconds: number
  readonly outcome: Outcome
  /** After it. */
  readonly degraded: readonly Degraded[]
  /** The spans of the file. */
  readonly spans: readonly string[]
  /** It was the first one with this file: what it found to be done is no drift. */
  readonly fresh: boolean
  readonly dryRun: boolean
}

/** Tells each thing once: when it happens, when it begins, when it ends. */
export interface EventRecorder {
  /** How many changes were found that had not been found before, and that no new file brought. */
  run(report: RunReport): number
  /** What is not kept true by now, before the end of a run. */
  degraded(trigger: Trigger, degraded: readonly Degraded[]): void
  pauses(pauses: readonly Pause[]): void
}

/** What is told of Docker as a whole already. */
const ofDocker: ReadonlySet<string> = new Set(['DOCKER_DEFERRED', 'DOCKER_UNREACHABLE'])

/** Makes one that has told nothing yet. */
export function openEventRecorder(tell: (told: WatchEvent) => void): EventRecorder {
  const waits = trackTransitions<Wait>(({ kind, span, title, diagnostic }) =>
    [kind, span, title, diagnostic.code].join(' ')
  )
  const warnings = trackTransitions<Diagnostic>(({ code, message }) => `${code} ${message}`)
  const backoff = trackTransitions<Degraded>(({ span, reason, diagnostic }) => `${span} ${reason} ${diagnostic.code}`)
  const docker = trackTransitions<Diagnostic>(() => '')
  const pauses = trackTransitions<Pause>(({ span, until }) => `${span} ${until}`)
  const drift = trackTransitions<PlannedChange>(({ address, action, facts }) =>
    JSON.stringify([address, action, facts])
  )
  const tellDegraded = (trigger: Trigger, degraded: readonly Degraded[]) => {
    const { started, ended } = backoff.update(degraded)
    for (const one of started) tell({ type: 'degraded', trigger, degraded: one })
    for (const one of ended) {
      if (!degraded.some(({ span }) => span === one.span)) tell({ type: 'recovered', trigger, degraded: one })
    }
  }
  return {
    degraded: tellDegraded,
    run: ({ trigger, milliseconds, outcome, degraded, spans, fresh, dryRun }) => {
      const { view, found, done } = outcome
      for (const change of done) tell({ type: 'changed', trigger, change, repaired: !fresh, milliseconds })
      tellDegraded(trigger, degraded)
      if (view === null) return fresh ? 0 : found.length
      const away = docker.update(dockerAway(view))
      for (const diagnostic of away.started) tell({ type: 'docker_away', trigger, diagnostic })
      for (const diagnostic of away.ended) tell({ type: 'docker_back', trigger, diagnostic })
      const wait = waits.update(
        view.plan.waiting.filter(({ diagnostic }) => !ofDocker.has(diagnostic.code)),
        ({ kind, span }) => spans.includes(span) && !isKnown(view, kind, span)
      )
      for (const one of wait.started) tell({ type: 'wait', trigger, wait: one })
      for (const one of wait.ended) tell({ type: 'wait_over', trigger, wait: one })
      for (const diagnostic of warnings.update(view.plan.warnings).started) tell({ type: 'warning', diagnostic })
      const news = dryRun ? drift.update(found).started : found
      for (const change of dryRun ? news : []) tell({ type: 'drift', trigger, change })
      return fresh ? 0 : news.length
    },
    pauses: (now) => {
      const pause = pauses.update(now)
      for (const one of pause.ended) {
        if (!now.some(({ span }) => span === one.span)) tell({ type: 'resumed', pause: one })
      }
      for (const one of pause.started) tell({ type: 'paused', pause: one })
    }
  }
}

/** None where it is there, or nothing of it is wanted. */
function dockerAway({ host: { docker }, desired }: NonNullable<Outcome['view']>): Diagnostic[] {
  const wanted = desired.spans.some(({ network }) => network !== null)
  return docker.state === 'unreachable' && wanted ? [docker.reason] : []
}

/** Whether the run has looked at what waited: not where its span was left alone, and nothing of Docker's where that is away. */
function isKnown({ host, desired }: NonNullable<Outcome['view']>, kind: string, span: string): boolean {
  const ofKernel = kind === 'mirror' || host.docker.state === 'read'
  return ofKernel && desired.spans.some(({ name }) => name === span)
}
