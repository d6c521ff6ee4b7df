import { followFilters } from '../host/compile-filters.ts'
import { serveRequests } from '../run-dir/socket.ts'
import type { Trigger } from '../status/watch-state.ts'
import type { WatchEvent } from './events/event.ts'
import { openRunQueue } from './loop/run-queue.ts'
import { openNextWake } from './loop/scheduler.ts'
import { openReconciler, type Rules } from './reconciler.ts'
import { type WatchAnswers, watchSocket } from './serve/ask-watch.ts'
import { claimName } from './serve/claim-name.ts'
import type { ListenAddress } from './serve/http-listener.ts'
import { servePages } from './serve/pages.ts'
import { openSupervisor } from './serve/service-manager.ts'
import { debounce } from './triggers/debounce.ts'
import { openMonitors } from './triggers/failed-monitors.ts'
import { watchFiles } from './triggers/file-events.ts'
import { followHost } from './triggers/host-events.ts'

/** What a watch is to do. */
export interface Orders extends Rules {
  /** Where metrics and health are served; null: nowhere. */
  readonly listen: ListenAddress | null
}

/** A watch that goes on. */
export interface Watch {
  wake(trigger: Trigger): void
  /** Rejects where it cannot go on. */
  readonly failed: Promise<never>
  /** Finishes the run under way, and leaves all as it is. */
  close(): Promise<void>
}

/** After these the files are read again: first for what came before they were followed, at last for what nobody has told. */
const rereading: ReadonlySet<Trigger> = new Set(['start', 'file', 'hangup', 'interval'])

/** After these the service manager is told that it is ready. */
const readying: ReadonlySet<Trigger> = new Set(['start', 'hangup'])

/**
 * Begins to keep the host as the files say: whatever tells of a change wakes it, and one run after the other makes it so.
 *
 * @param tell gets what happens, as it happens.
 * @throws SpanplanError if the files are broken, a watch of this name runs already, a right is missing, or
 * nothing can be served at the address.
 */
export async function openWatch(orders: Orders, tell: (told: WatchEvent) => void): Promise<Watch> {
  const stop = new AbortController()
  const reconciler = openReconciler(orders, tell, stop.signal)
  const { name } = reconciler
  const monitors = openMonitors(tell)
  const state = () => ({ ...reconciler.state(), failedMonitors: monitors.failed() })
  const claim = await claimName(name, orders.command)
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // Who awaits it learns of it all the same.
  failed.catch(() => undefined)

  const run = async (triggers: readonly Trigger[]) => {
    if (triggers.includes('hangup')) await supervisor.reloading()
    if (triggers.some((one) => rereading.has(one))) {
      reconciler.reload()
      sources.follow(reconciler.paths())
    }
    nextWake.set(await reconciler.run(triggers, runQueue.news))
    if (triggers.some((one) => readying.has(one))) await supervisor.ready()
  }
  const runQueue = openRunQueue(run, fail)
  const { wake } = runQueue
  const nextWake = openNextWake(wake)
  const supervisor = openSupervisor(
    runQueue.busySince,
    (diagnostic) => tell({ type: 'warning', diagnostic }),
    stop.signal
  )
  const wakeFor = (trigger: Trigger) => () => {
    wake(trigger)
    return true as const
  }
  const answers: WatchAnswers = {
    ...{ state, hook: wakeFor('hook'), resume: wakeFor('resume') },
    'first-sample': () => ({ sample: reconciler.firstSample() })
  }
  const control = await serveRequests(watchSocket(name), answers)
  const idle = () => performance.now() - runQueue.lastEnd()
  const watched = { interval: orders.interval, state, idle, look: reconciler.look }
  const listener = await servePages(orders.listen, watched, tell).catch((error) => {
    stop.abort()
    control.close()
    claim.release()
    throw error
  })
  reconciler.begin()
  const onFile = debounce(() => wake('file'))
  const sources = watchFiles(onFile)
  sources.follow(reconciler.paths())
  wake('start')
  followHost({ wake, ...monitors }, stop.signal)
  followFilters(() => wake('retry'), stop.signal)
  return {
    wake,
    failed,
    close: async () => {
      stop.abort()
      control.close()
      sources.close()
      onFile.close()
      listener?.close()
      await Promise.all([supervisor.stopping(), runQueue.close()])
      nextWake.close()
      reconciler.close()
      claim.release()
      tell({ type: 'stopped' })
    }
  }
}
