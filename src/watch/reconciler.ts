import { resolve } from 'node:path'
import { type Diagnostic, diagnosticOf, SpanplanError } from '../errors.ts'
import { recompileFilters } from '../host/compile-filters.ts'
import type { Sample } from '../host/read-counters.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { expressionsOf } from '../plan/target.ts'
import { type Lock, takeLock } from '../run-dir/lock.ts'
import { forgetSettled, type Pauses, readPauses } from '../run-dir/pauses.ts'
import type { SourceFile } from '../spec/spec.ts'
import { framePathsOf, takeSample } from '../status/counters/frame-path.ts'
import { describeIdleness } from '../status/health.ts'
import type { Result, Trigger, WatchState } from '../status/watch-state.ts'
import { openDegradation } from './degraded/degradation.ts'
import type { WatchEvent } from './events/event.ts'
import { openEventRecorder } from './events/event-recorder.ts'
import { type IdleSource, trackIdleSources } from './events/idle-sources.ts'
import { monotonicTime } from './loop/clock.ts'
import { currentTarget, type FileTarget, refuseChange, wholeTarget } from './loop/file-target.ts'
import type { Failure } from './loop/partial-plan.ts'
import { type Limits, type Outcome, reconcile, refreshPartially } from './loop/reconcile.ts'
import { openRunStatistics } from './loop/run-statistics.ts'
import type { Deadline } from './loop/scheduler.ts'
import { openFile } from './triggers/watched-files.ts'

/** What is to be kept so, and how. */
export interface Rules {
  /** The files and folders that were named. */
  readonly paths: readonly string[]
  /** Gives what stands in them, or throws a SpanplanError. */
  readonly read: () => readonly SourceFile[]
  /** Milliseconds from one run to the next when nothing happens. */
  readonly interval: number
  readonly dryRun: boolean
  readonly allowEmpty: boolean
  /** Spans of this name that the file does not know go. */
  readonly prune: boolean
  /** As typed, for those who find its locks held. */
  readonly command: string
}

/** Keeps the host as the files say, each time that it is told to. */
export interface Reconciler {
  /** Of the spans that it keeps. */
  readonly name: string
  state(): Omit<WatchState, 'failedMonitors'>
  /** Where the files are that it goes by. */
  paths(): readonly string[]
  /** Tells what it is to keep. */
  begin(): void
  /** Reads the files again. */
  reload(): void
  /**
   * Looks, and makes true what differs.
   *
   * @param triggers why it runs; the first one is reported.
   * @param news settles when something changes from then on.
   * @returns when it is to run again.
   */
  run(triggers: readonly Trigger[], news: () => Promise<unknown>): Promise<readonly Deadline[]>
  /**
   * Looks at all that the file wants, paused or not, and changes nothing.
   *
   * @throws SpanplanError if the host cannot be read.
   */
  look(): Promise<PlanView>
  /** The counters as they were when it began; null: they could not be read yet. */
  firstSample(): Sample | null
  close(): void
}

/** Milliseconds to wait for another spanplan that is at work, and then again to the next try. */
const patience = 2000

/** The share of the interval by which it is longer or shorter, at random: many hosts are not to wake as one. */
const jitter = 0.1

/** Who asks for one of these wants everything to be tried now, whatever has failed before. */
const onDemand: ReadonlySet<Trigger> = new Set(['hangup', 'hook', 'resume'])

/** What says that another spanplan is at work, or that this one is to end. */
const untilFree: ReadonlySet<string> = new Set(['LOCKED', 'INTERRUPTED'])

/**
 * Reads the files for the first time.
 *
 * @param tell gets what happens, as it happens.
 * @param signal says that no run is to begin any more.
 * @throws SpanplanError with all that is wrong with them.
 */
export function openReconciler(rules: Rules, tell: (told: WatchEvent) => void, signal: AbortSignal): Reconciler {
  const file = openFile(rules.read, (wanted, before) => refuseChange(rules, wanted, before))
  const { name } = file.spec
  const since = new Date().toISOString()
  const [statistics, degradation, recorder] = [openRunStatistics(), openDegradation(), openEventRecorder(tell)]
  const idleSources = trackIdleSources(({ started, ended }) => {
    for (const one of started) tell({ type: 'idle', ...idleEvent(one) })
    for (const one of ended) tell({ type: 'idle_over', ...idleEvent(one) })
  })
  let fresh = true
  let sample: Sample | null = null

  const spans = () => file.spec.spans.map((span) => span.name)
  const tellFile = () => tell({ type: 'file', files: file.spec.files, spans: spans() })

  const expressions = () => expressionsOf(file.spec.spans)

  const keep = async (
    trigger: Trigger,
    isDemanded: boolean,
    holds: Pauses,
    obstacle: Diagnostic | null,
    news: () => Promise<unknown>
  ): Promise<void> => {
    const began = performance.now()
    const rests = (span: string) => !isDemanded && degradation.rests(span, performance.now())
    const target = currentTarget(rules, file.spec, holds, rests)
    const failed = (failures: readonly Failure[]) => {
      if (target !== null) degradation.note(target, { ...idle, failures }, fresh, performance.now())
      recorder.degraded(trigger, degradation.list())
    }
    const outcome = await attempt(target, obstacle, { ...rules, fresh, news, failed })
    if (outcome.view !== null) sample ??= await takeSample(framePathsOf(outcome.view)).catch(() => null)
    const milliseconds = performance.now() - began
    const at = new Date().toISOString()
    if (statistics.read().last === null) refuseWithoutRight(outcome)
    if (target !== null) degradation.note(target, outcome, fresh, performance.now())
    const degraded = degradation.list()
    const { dryRun } = rules
    const drift = recorder.run({ trigger, milliseconds, outcome, degraded, spans: spans(), fresh, dryRun })
    const result = resultOf(outcome, dryRun)
    const whole = degraded.length === 0 && (result === 'unchanged' || result === 'changed')
    statistics.enter({ at, trigger, result, milliseconds }, whole, drift)
    if (outcome.view === null) return
    fresh = false
    if (!dryRun) forgetSettled(Date.now(), outcome.view.host.links)
    idleSources.follow(outcome.view)
  }

  return {
    name,
    state: () => ({
      ...{ name, pid: process.pid, since, dryRun: rules.dryRun, degraded: degradation.list(), ...statistics.read() },
      file: { valid: file.diagnostics.length === 0, diagnostics: file.diagnostics }
    }),
    paths: () => [...rules.paths, ...file.files.map(({ path }) => path)].map((path) => resolve(path)),
    begin: () => {
      tell({ type: 'started', name, dryRun: rules.dryRun })
      tellFile()
    },
    reload: () => {
      const news = file.reload(performance.now())
      if (news === 'refused') tell({ type: 'file_refused', diagnostics: file.diagnostics, files: file.files })
      if (news !== 'accepted') return
      fresh = true
      degradation.clear()
      recompileFilters(expressions(), 'all')
      tellFile()
    },
    run: async (triggers, news) => {
      const [trigger = 'retry'] = triggers
      if (triggers.includes('hangup')) {
        degradation.clear()
        recompileFilters(expressions(), 'all')
      } else if (triggers.includes('interval')) recompileFilters(expressions(), 'quick')
      const isDemanded = triggers.some((one) => onDemand.has(one))
      const { lock, obstacle } = await lockFor(rules, signal)
      try {
        const held = obstacle !== null && untilFree.has(obstacle.code)
        const holds = readPauses(Date.now())
        recorder.pauses(holds.pauses)
        const rests = !isDemanded && degradation.rests(null, performance.now())
        if (!held && !rests) await keep(trigger, isDemanded, holds, obstacle, news)
        const now = performance.now()
        return [
          [now + rules.interval * (1 + jitter * (2 * Math.random() - 1)), 'interval'],
          [file.settles, 'file'],
          [degradation.next(), 'retry'],
          [held ? now + patience : null, 'retry'],
          // A pause ends when it says, by the clock on the wall: whoever sets that moves it.
          ...holds.pauses.map(({ until }): Deadline => [monotonicTime(Date.parse(until)), 'resume'])
        ]
      } finally {
        lock?.release()
      }
    },
    look: () => refreshPartially(wholeTarget(rules, file.spec, readPauses(Date.now()))),
    firstSample: () => sample,
    close: idleSources.close
  }
}

/** Who only looks needs none. */
async function lockFor(
  { dryRun, command }: Rules,
  signal: AbortSignal
): Promise<{ readonly lock: Lock | null; readonly obstacle: Diagnostic | null }> {
  if (dryRun) return { lock: null, obstacle: null }
  try {
    // What goes on is finished, and what waits is not begun.
    return { lock: await takeLock({ command, timeout: patience, signal }), obstacle: null }
  } catch (error) {
    return { lock: null, obstacle: diagnosticOf(error) }
  }
}

const idle: Outcome = { view: null, found: [], done: [], failures: [] }

/**
 * @param aim null: nothing is to be touched.
 * @param obstacle why it cannot begin.
 */
async function attempt(target: FileTarget | null, obstacle: Diagnostic | null, limits: Limits): Promise<Outcome> {
  if (obstacle !== null) return { ...idle, failures: [{ span: null, diagnostic: obstacle, planned: false }] }
  return target === null ? idle : reconcile(target, limits)
}

function idleEvent(source: IdleSource) {
  const { span, device } = source
  return { span, device, diagnostic: describeIdleness(span, source) }
}

function resultOf({ found, done, failures }: Outcome, dryRun: boolean): Result {
  if (failures.length > 0) return 'failed'
  if (dryRun && found.length > 0) return 'drift'
  return done.length > 0 ? 'changed' : 'unchanged'
}

/** What a service lacks from the beginning, waiting does not bring. */
function refuseWithoutRight({ failures }: Outcome): void {
  const missing = failures.map(({ diagnostic }) => diagnostic).filter(({ code }) => code === 'RIGHT_MISSING')
  if (missing.length > 0) throw new SpanplanError(missing)
}
