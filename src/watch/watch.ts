import { followFilters } from '../host/compile-filters.ts'
import { endPrograms, keepPrograms } from '../host/process/program-pool.ts'
import { rememberUntold } from '../host/process/remembered.ts'
import { openKeptLock } from '../run-dir/kept-lock.ts'
import type { Lock } from '../run-dir/lock.ts'
import { serveRequests } from '../run-dir/socket.ts'
import type { SourceFile } from '../spec/spec.ts'
import type { HistoryRequest } from '../status/history/flow-history.ts'
import type { ProbeState, Trigger, WatchState } from '../status/watch-state.ts'
import type { EmitEvent } from './events/event.ts'
import type { KeptEvents } from './events/event-history.ts'
import { openRunQueue } from './loop/run-queue.ts'
import { openProbing } from './probing.ts'
import { openReconciler, type ReconcilerConfig } from './reconciler.ts'
import { type WatchAnswers, watchSocket } from './serve/ask-watch.ts'
import { claimName } from './serve/claim-name.ts'
import type { ListenAddress } from './serve/http-listener.ts'
import { openServiceManager } from './serve/service-manager.ts'
import { servePages } from './serve/watch-pages.ts'
import { debounce } from './triggers/debounce.ts'
import { watchFiles } from './triggers/file-events.ts'
import { followHost, trackFailedMonitors } from './triggers/host-events.ts'
import { takeHookEvent } from './triggers/take-hook-event.ts'

/** What a watch does. */
export interface WatchConfig extends ReconcilerConfig {
  /** Where metrics and probes are served; null: nowhere. */
  readonly listen: ListenAddress | null
  /** Milliseconds from one probe of the spans to the next; null: there is none. */
  readonly probeInterval: number | null
  /** Gives the events since a time, in milliseconds since 1970. */
  readonly history: (start: number) => KeptEvents
}

/**
 * The files are read again after these triggers: after `start` for changes before they were followed, after `interval` for
 * changes without an event.
 */
const reloading: ReadonlySet<Trigger> = new Set(['start', 'file', 'hangup', 'interval'])

/** After runs with these triggers, the watch reports to the service manager that it is ready. */
const readyAfter: ReadonlySet<Trigger> = new Set(['start', 'hangup'])

/**
 * Starts to keep the host in sync with files: events wake it, and it does one run after the other.
 *
 * @param emit gets each event as it happens.
 * @throws SpanplanError if the files are invalid, a watch of this name runs already, a right is missing, or the address of
 * the metrics cannot be used.
 */
export async function openWatch(config: WatchConfig, emit: EmitEvent) {
  const stop = new AbortController()
  keepPrograms()
  rememberUntold()
  const lock = openKeptLock()
  const reconciler = openReconciler(config, emit, lock, stop.signal)
  await reconciler.check()
  const monitors = trackFailedMonitors(emit)
  let probes: (() => ProbeState) | null = null
  const state = (): WatchState => ({
    ...reconciler.state(),
    failedMonitors: monitors.failed(),
    ...(probes && { probes: probes() })
  })
  const claim = await claimName(reconciler.name())
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // No unhandled rejection before the caller awaits it.
  failed.catch(() => undefined)

  /** The files may have another name now: whoever asks for the watch of that finds this one, and no other takes it. */
  const followName = async () => {
    const name = reconciler.name()
    if (name === served.name) return
    const next = await serve(name, await claimName(name))
    unserve()
    served = next
  }
  const run = async (triggers: readonly Trigger[]) => {
    if (triggers.includes('hangup')) await serviceManager.reloading()
    if (triggers.some((trigger) => reloading.has(trigger))) {
      await reconciler.reload()
      await followName()
      files.follow(reconciler.paths())
    }
    const deadlines = await reconciler.run(triggers, runQueue)
    if (triggers.some((trigger) => readyAfter.has(trigger))) await serviceManager.ready()
    return deadlines
  }
  const runQueue = openRunQueue(run, fail)
  const { wake } = runQueue
  const serviceManager = openServiceManager(runQueue.busySince, emit, stop.signal)
  const wakeFor = (trigger: Trigger) => () => {
    wake(trigger)
    return true as const
  }
  const answers: WatchAnswers = {
    state,
    events: (milliseconds) => config.history(Date.now() - Number(milliseconds)),
    hook: wakeFor('hook'),
    resume: wakeFor('resume'),
    interface: async (event) => {
      const taken = config.dryRun ? null : takeHookEvent(event, reconciler, lock, stop.signal)
      const needsRun = await taken?.catch(() => null)
      if (!needsRun) return false
      // After the answer: to look, and to run, begins by starting programs, and the hook waits.
      setImmediate(async () => {
        if (await needsRun().catch(() => true)) wake('hook')
      })
      // What is wrong with the files, the hook says itself.
      return state().file.valid && !stop.signal.aborted
    },
    rates: (request) => reconciler.history(readRequest(request)),
    'first-sample': () => ({ sample: reconciler.firstSample() }),
    'files-in-force': () => {
      const { files, ...others } = reconciler.filesInForce()
      const encode = ({ bytes, ...file }: SourceFile) => ({ ...file, content: Buffer.from(bytes).toString('base64') })
      return { ...others, files: files.map(encode) }
    }
  }
  const serve = async (name: string, claim: Lock) => ({
    name,
    claim,
    socket: await serveRequests(watchSocket(name), answers)
  })
  let served = await serve(reconciler.name(), claim)
  const unserve = () => {
    served.socket.close()
    served.claim.release()
  }
  const idle = () => performance.now() - runQueue.lastEnd()
  const watched = { interval: config.interval, state, idle, refresh: reconciler.refresh }
  const listener = await servePages(config.listen, watched, emit).catch((error) => {
    stop.abort()
    unserve()
    throw error
  })
  reconciler.start()
  const onFileEvent = debounce(() => wake('file'))
  const files = watchFiles(onFileEvent)
  files.follow(reconciler.paths())
  wake('start')
  followHost(wake, monitors, reconciler.remotes, stop.signal)
  followFilters(() => wake('retry'), stop.signal)
  if (config.probeInterval !== null) {
    const probed = { ...watched, busySince: runQueue.busySince, lastEnd: runQueue.lastEnd }
    probes = openProbing(config.probeInterval, probed, emit, fail, stop.signal).state
  }
  return {
    wake,
    /** Rejects when the watch cannot go on. */
    failed,
    /** Finishes the run under way, and leaves the host as it is. */
    close: async () => {
      stop.abort()
      served.socket.close()
      files.close()
      onFileEvent.close()
      listener?.close()
      await Promise.all([serviceManager.stopping(), runQueue.close()])
      lock.close()
      served.claim.release()
      endPrograms()
      emit({ type: 'stopped' })
    }
  }
}

/** A request of {@link WatchAnswers} for rates. */
function readRequest(request: string): HistoryRequest {
  const [since, hops] = request.split(' ')
  return { since: Number(since), everyHop: hops === 'every' }
}
