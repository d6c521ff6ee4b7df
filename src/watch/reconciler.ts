import { uptime } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { needsDocker } from '../apply/rollback.ts'
import { isHarmless } from '../codes/meanings.ts'
import { SpanplanError } from '../errors.ts'
import { recompileFilters } from '../host/compile-filters.ts'
import { forgetNames } from '../host/process/program-pool.ts'
import { forgetAll } from '../host/process/remembered.ts'
import { monotonicNow, type Sample } from '../host/read-counters.ts'
import type { DockerAnswer } from '../host/snapshot.ts'
import { expressionsOf, remotesOf, type Target } from '../plan/target.ts'
import { lastDockerChange } from '../run-dir/docker-changes.ts'
import { forgetSettled } from '../run-dir/hook-records.ts'
import type { KeptLock } from '../run-dir/kept-lock.ts'
import { lockPatience } from '../run-dir/lock-limits.ts'
import { type Pauses, readPauses } from '../run-dir/pauses.ts'
import type { SourceFile, Spec } from '../spec/spec.ts'
import { framePathsOf, readToolsOf, takeSample } from '../status/counters/frame-path.ts'
import { type FlowHistory, type HistoryRequest, openFlowHistory } from '../status/history/flow-history.ts'
import type { Result, Trigger, WatchState } from '../status/watch-state.ts'
import { failureOf, type Problem } from './degraded/backoff.ts'
import { openDegradation } from './degraded/degradation.ts'
import { trackCarriers } from './events/carriers.ts'
import type { EmitEvent, WatchEvent } from './events/event.ts'
import { openEventRecorder, warningSettling } from './events/event-recorder.ts'
import { trackIdleSources } from './events/idle-sources.ts'
import { trackSensors } from './events/sensor-tracker.ts'
import { monotonicTime } from './loop/clock.ts'
import { dockerPatience, noKernelPass, planHost } from './loop/plan-host.ts'
import { nothingApplied, type RunOptions, type RunOutcome, reconcile, untoldOf } from './loop/reconcile.ts'
import { Overtaken, openRunLock } from './loop/run-lock.ts'
import type { Deadline, openRunQueue } from './loop/run-queue.ts'
import { openRunStatistics } from './loop/run-statistics.ts'
import {
  awaitFilters,
  checkFirstSpec,
  checkNextSpec,
  isSomeLeftAlone,
  makeFileTarget,
  makeRunTarget,
  nothingLeftAlone,
  type RemovalPolicy,
  unchangedPart,
  withoutPaused
} from './loop/targets.ts'
import { openFiles } from './triggers/watched-files.ts'

/** What a reconciler keeps in sync, and how. */
export interface ReconcilerConfig extends RemovalPolicy {
  /** The files and folders that were named. */
  readonly paths: readonly string[]
  /** Gives the files' contents, or throws a SpanplanError. */
  readonly read: () => readonly SourceFile[]
  /** Milliseconds from one run to the next without events. */
  readonly interval: number
  readonly dryRun: boolean
}

/** The share of the interval by which it is longer or shorter, at random, so that many hosts do not run at once. */
const jitter = 0.1

/** The triggers that are events of the kernel: what they tell may have to be repaired at once, whatever else is new. */
const ofKernel: ReadonlySet<Trigger> = new Set(['link', 'filter', 'nftables', 'offload'])

/** The triggers that are events. A run with any other trigger reads everything again, by programs that have just been started. */
const ofEvents: ReadonlySet<Trigger> = new Set([...ofKernel, 'docker', 'file'])

/** Milliseconds that a timer of Node can wait (setTimeout). */
const longestTimer = 2 ** 31 - 1

/** Runs in a row that are cut short as interfaces are renamed. In the next one, a failure counts, however often they are renamed. */
const mostCutShort = 2

/** Milliseconds after which a run that was cut short is made again. */
const cutShortDelay = 100

/** The events that come while a run is under way, and the waiting for them. */
type RunEvents = Pick<ReturnType<typeof openRunQueue>, 'idle' | 'nextWake' | 'queued'>

/** Triggers that a person or a hook causes: the run tries every span, whatever has failed before. */
const onDemand: ReadonlySet<Trigger> = new Set(['hangup', 'hook', 'resume'])

/**
 * Makes what keeps the host in sync with files, one run at a time. Reads the files for the first time.
 *
 * @param emit gets each event as it happens.
 * @param keptLock is held while a run looks at the host and changes it, and not while the run waits.
 * @param signal ends the waiting for the lock, and the counting of frames.
 * @throws SpanplanError with all errors of the files.
 */
export function openReconciler(config: ReconcilerConfig, emit: EmitEvent, keptLock: KeptLock, signal: AbortSignal) {
  const { dryRun, interval } = config
  const files = openFiles(config.read, (next, before) => checkNextSpec(config, next, before))
  const name = () => files.spec().name
  const since = new Date().toISOString()
  const [statistics, degradation, recorder] = [openRunStatistics(), openDegradation(), openEventRecorder(emit)]
  const followIdleSources = trackIdleSources(emit, signal)
  const followCarriers = trackCarriers(emit, signal)
  const rates = openFlowHistory()
  const sensors = trackSensors(emit, rates, signal)
  /** The files as they were in force when a run last came to its end; null: none has. */
  let settled: Spec | null = null
  /** Whether no run with the files in force has come to its end yet. */
  const isNewFile = () => files.spec() !== settled
  /** Since when the files are new, in milliseconds of the monotonic clock. */
  let newSince = performance.now()
  /** How many runs were cut short since one has come to its end without a failure. */
  let cutShort = 0
  /** What Docker answered to what the files in force ask; null: nothing yet. */
  let lastAnswer: DockerAnswer | null = null
  let firstSample: Sample | null = null
  /** When a run last read everything again, in milliseconds of the monotonic clock. */
  let allReadAt = -Infinity
  const lock = openRunLock(keptLock, signal)

  const spans = () => files.spec().spans.map((span) => span.name)
  const emitFiles = () => emit({ type: 'file', files: files.spec().files, spans: spans() })
  const recompile = (which: Parameters<typeof recompileFilters>[1]) =>
    recompileFilters(files.specs().flatMap(expressionsOf), which)

  /** Reads the files again. What tcpdump takes long for comes into force later; until then, the last good ones are. */
  const reload = async (): Promise<void> => {
    const [before, wasNewFile] = [files.spec(), isNewFile()]
    let result = files.reload(performance.now())
    const pending = files.pending()
    if (pending !== null) {
      await lock.wait(awaitFilters(pending))
      result = files.reload(performance.now())
    }
    if (result === 'refused') emit({ type: 'file_refused', diagnostics: files.diagnostics(), files: files.lastRead() })
    if (result !== 'accepted') return
    if (!wasNewFile) newSince = performance.now()
    lastAnswer = null
    degradation.clear()
    recompile('quick')
    emitFiles()
    emit(...findRenamed(before, files.spec()))
  }

  /** While a file is doubtful, neither that file nor the one before it may be what is wanted. */
  const isDoubtful = () => files.settlesAt() < Infinity

  /**
   * Makes what waits without the lock. Meanwhile, another process may install a file and apply it, what Docker answers may be from before,
   * and a span that the run leaves out may be wanted again.
   *
   * @param pauses at the beginning of the run.
   * @param leftOut whether the run leaves out what a person or a hook makes a run try.
   */
  const waiter =
    ({ pauses }: Pauses, leftOut: boolean, { idle, queued }: RunEvents) =>
    async (waiting: Promise<unknown>) => {
      const [spec, dockerChange] = [files.spec(), lastDockerChange()]
      const ends = readPauses(Date.now()).pauses.map(({ until }) => Date.parse(until) - Date.now())
      const timer = new AbortController()
      const pauseEnd = sleep(Math.max(0, Math.min(longestTimer, ...ends)), null, { ref: false, signal: timer.signal })
      const over = Promise.race([waiting, pauseEnd.catch(() => null)]).finally(() => timer.abort())
      await idle(lock.wait(over))
      await reload()
      const paused = new Set(readPauses(Date.now()).pauses.map(({ span }) => span))
      const isResumed = pauses.some(({ span }) => !paused.has(span))
      const isOld = files.spec() !== spec || isDoubtful() || lastDockerChange() !== dockerChange
      const isWanted = queued().some((one) => onDemand.has(one))
      if (isOld || isResumed || (leftOut && isWanted)) throw new Overtaken()
    }

  /**
   * @param triggers why it runs.
   * @param obstacle why the run cannot begin; null: it can.
   * @returns whether it has come to its end.
   */
  const runOnce = async (
    triggers: readonly Trigger[],
    pauses: Pauses,
    obstacle: Problem | null,
    events: RunEvents
  ): Promise<boolean> => {
    const [began, beganUptime, wasNewFile] = [performance.now(), uptime(), isNewFile()]
    const trigger = mainOf(triggers)
    const leftAlone = onDemand.has(trigger) ? nothingLeftAlone : degradation.leftAlone(spans(), performance.now())
    const target = makeRunTarget(config, files.spec(), pauses, leftAlone)
    const degrade = (outcome: RunOutcome) => {
      if (target !== null) degradation.update(target, { ...outcome, done: untoldOf(outcome) }, performance.now())
      return degradation.list()
    }
    const onEarlyFailures = (failures: readonly Problem[]) =>
      recorder.degraded(trigger, degrade({ ...nothingDone, failures }))
    const onEarlyChanges: RunOptions['onEarlyChanges'] = (changes, ofPass, milliseconds) => {
      const cause = { trigger: ofPass ?? trigger, milliseconds, isNewFile: wasNewFile }
      recorder.changed(cause, changes)
      recorder.degraded(cause.trigger, degrade({ ...nothingDone, done: changes }))
    }
    const leavePaused = (some: Target) => {
      const { pauses, goingDown } = readPauses(Date.now())
      // What others have undone again and again in this run is left alone, too.
      const { things } = onDemand.has(trigger) ? some.resting : degradation.leftAlone([], performance.now())
      return { ...withoutPaused(some, pauses), goingDown, resting: { ...some.resting, things } }
    }
    const outcome =
      obstacle === null && target !== null
        ? await reconcile(target, {
            ...config,
            signal,
            eager: !wasNewFile || triggers.some((one) => ofKernel.has(one)),
            patience: wasNewFile ? Math.max(0, newSince + dockerPatience - performance.now()) : 0,
            settledPart: (some) => unchangedPart(some, settled),
            mayBeRenamed: cutShort < mostCutShort,
            lastAnswer,
            leavePaused,
            nextWake: events.nextWake,
            wait: waiter(pauses, isSomeLeftAlone(leftAlone), events),
            onEarlyFailures,
            onEarlyChanges
          })
        : { ...nothingDone, failures: obstacle === null ? [] : [obstacle] }
    if (outcome.view !== null && !dryRun) forgetSettled(Date.now(), outcome.view.host.links, beganUptime)
    lock.release()
    // A run that was cut short reports its changes. The next run does the rest.
    const { isCutShort = false } = outcome
    if (isCutShort) cutShort++
    else if (outcome.failures.length === 0) cutShort = 0
    if (isCutShort && outcome.done.length === 0) return false
    if (outcome.view !== null && firstSample === null) {
      const paths = framePathsOf(outcome.view)
      firstSample = await takeSample(paths).catch(() => null)
      // What tools say of themselves may take seconds: no run waits for it.
      void readToolsOf(paths).then((tools) => {
        firstSample = firstSample && { ...firstSample, tools }
      })
    }
    const now = performance.now()
    const milliseconds = now - began
    const at = new Date().toISOString()
    if (statistics.read().last === null) throwMissingRights(outcome)
    for (const diagnostic of outcome.restarts) emit({ type: 'warning', diagnostic })
    const degraded = degrade(outcome)
    const drift = recorder.run({
      trigger,
      milliseconds,
      outcome,
      degraded,
      spans: spans(),
      isNewFile: wasNewFile,
      dryRun,
      now
    })
    const result = resultOf(outcome, dryRun)
    const inSync = degraded.length === 0 && (result === 'unchanged' || result === 'changed')
    statistics.add({ at, trigger, result, milliseconds }, inSync && !isCutShort, drift)
    if (outcome.view === null) return !isCutShort
    settled = files.spec()
    const { docker } = outcome.view.host
    // What the run itself has connected or disconnected, that answer does not know.
    const isStale = outcome.done.some(needsDocker)
    if (docker.state === 'read') lastAnswer = isStale ? null : docker
    followIdleSources(outcome.view)
    followCarriers(outcome.view)
    sensors.follow({ view: outcome.view, changes: outcome.done })
    return true
  }

  return {
    /** The name whose spans it keeps in sync. The files may change it. */
    name,
    state: (): Omit<WatchState, 'failedMonitors'> => ({
      name: name(),
      pid: process.pid,
      since,
      dryRun,
      degraded: degradation.list().map(({ span, reason, diagnostic, until }) => ({ span, reason, diagnostic, until })),
      ...statistics.read(),
      file: { valid: files.diagnostics().length === 0, diagnostics: files.diagnostics() },
      sensors: sensors.list()
    }),
    /** What the files say, as they were accepted last. */
    spec: () => files.spec(),
    /** The files that are in force: as they were accepted last, with why those that are there now are not. */
    filesInForce: () => ({
      paths: config.paths.map((path) => resolve(path)),
      read: files.inForce().map(({ path }) => resolve(path)),
      prune: config.prune,
      files: files.inForce(),
      refusals: files.diagnostics()
    }),
    /** The addresses of the hosts that spans send their frames to. */
    remotes: () => remotesOf(files.spec()).map(({ remote }) => remote),
    /** The absolute paths of the files and folders that it reads. */
    paths: () => [...config.paths, ...files.lastRead().map(({ path }) => path)].map((path) => resolve(path)),
    /**
     * Checks the filters of the first files.
     *
     * @throws SpanplanError with all that tcpdump refuses.
     */
    check: () => checkFirstSpec(files.spec()),
    /** Emits the first events. */
    start: () => {
      emit({ type: 'started', name: name(), dryRun })
      emitFiles()
    },
    reload,
    /**
     * Reads the host, plans, and applies.
     *
     * @param triggers why it runs.
     * @param events what comes while it runs.
     * @returns when the next runs are due.
     */
    run: async (triggers: readonly Trigger[], events: RunEvents): Promise<readonly Deadline[]> => {
      const trigger = mainOf(triggers)
      const isOnDemand = onDemand.has(trigger)
      // Events may come so often that no run is one of the interval.
      if (performance.now() >= allReadAt + interval || !triggers.every((one) => ofEvents.has(one))) {
        allReadAt = performance.now()
        forgetAll()
        forgetNames()
      }
      if (triggers.includes('hangup')) {
        degradation.clear()
        recompile('all')
      } else if (triggers.includes('interval')) recompile('quick')
      await awaitFilters(files.spec())
      try {
        const obstacle = await findObstacle(async () => {
          if (!dryRun) await lock.take()
          // Whoever had the lock may have installed a file.
          await reload()
        })
        // Another spanplan has the lock, or this one is to end.
        const isLocked = obstacle !== null && isHarmless(obstacle.diagnostic)
        const pauses = readPauses(Date.now())
        recorder.pauses(pauses.pauses, spans())
        const isBackedOff = !isOnDemand && degradation.isBackedOff(performance.now())
        const isRun = !isLocked && !isBackedOff && !isDoubtful()
        const isOver = !isRun || (await runOnce(triggers, pauses, obstacle, events))
        const now = performance.now()
        return [
          [now + interval * (1 + jitter * (2 * Math.random() - 1)), 'interval'],
          [files.settlesAt(), 'file'],
          [degradation.next(now), 'retry'],
          [recorder.isUnsettled() && !isBackedOff ? now + warningSettling : Infinity, 'retry'],
          [isLocked ? now + lockPatience.watch : Infinity, 'retry'],
          [isOver ? Infinity : now + cutShortDelay, isOnDemand ? trigger : 'retry'],
          // A pause ends by the wall clock, which may be set: each run computes its deadline again.
          ...pauses.pauses.map(({ until }): Deadline => [monotonicTime(Date.parse(until)), 'resume'])
        ]
      } finally {
        lock.release()
      }
    },
    /**
     * Reads the host and plans all that the files say, paused or not. It changes nothing.
     *
     * @throws SpanplanError if the host cannot be read.
     */
    refresh: async () => {
      const target = makeFileTarget(config, files.spec(), readPauses(Date.now()).goingDown)
      return (await planHost(target, (whole) => whole, noKernelPass)).view
    },
    /** The counters at the first run; null: they could not be read yet. */
    firstSample: () => firstSample,
    /** What was counted in a time until now. */
    history: (request: HistoryRequest): FlowHistory =>
      rates.tell(request, { monotonic: monotonicNow(), wall: Date.now() })
  }
}

/** The trigger that is reported: what somebody has asked for, else the first one. */
function mainOf(triggers: readonly Trigger[]): Trigger {
  return triggers.find((one) => onDemand.has(one)) ?? triggers[0] ?? 'retry'
}

/** The spans that only have another name now. */
function findRenamed(before: Spec, { spans }: Spec): WatchEvent[] {
  return spans.flatMap(({ name, bridge }) => {
    const known = before.spans.find((one) => one.bridge === bridge)
    return known === undefined || known.name === name ? [] : [{ type: 'span_renamed', span: name, before: known.name }]
  })
}

/** Why a run cannot begin; null: it can. */
async function findObstacle(begin: () => Promise<void>): Promise<Problem | null> {
  try {
    await begin()
    return null
  } catch (error) {
    return failureOf(null, error)
  }
}

const nothingDone: RunOutcome = { view: null, needed: [], ...nothingApplied }

function resultOf({ needed, done, leftOut, failures }: RunOutcome, dryRun: boolean): Result {
  if (failures.length + leftOut.length > 0) return 'failed'
  if (dryRun && needed.length > 0) return 'drift'
  return done.length > 0 ? 'changed' : 'unchanged'
}

/** A right that is missing at the first run does not come by waiting: the watch ends. */
function throwMissingRights({ failures }: RunOutcome): void {
  const missing = failures.map(({ diagnostic }) => diagnostic).filter(({ code }) => code === 'RIGHT_MISSING')
  if (missing.length > 0) throw new SpanplanError(missing)
}
