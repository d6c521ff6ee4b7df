import { resolve } from 'node:path'
import { type Holds, readHolds } from '../apply/holds.ts'
import { type Lock, takeLock } from '../apply/lock.ts'
import { type Notice, noticeOf, SpanplanError } from '../errors.ts'
import type { Sample } from '../host/sample.ts'
import type { SourceFile } from '../spec/spec.ts'
import { describeSilence } from '../status/health.ts'
import { chainsOf, takeSample } from '../status/sample.ts'
import { aimAt, aimAtAll, type FileAim, objectTo } from './aim.ts'
import { type Appointment, openAlarm } from './alarm.ts'
import { openBook } from './book.ts'
import { claimName, openControl } from './control.ts'
import { followHost } from './events.ts'
import { openFile } from './file.ts'
import { watchFiles } from './file-events.ts'
import { gather } from './gather.ts'
import { openLatch } from './latch.ts'
import type { ListenAddress } from './listen.ts'
import { openNarrator } from './narrator.ts'
import { servePages } from './pages.ts'
import { spansOf } from './possible.ts'
import { lookAtPossible, type Outcome, reconcile } from './reconcile.ts'
import { explainContest } from './rival.ts'
import { openRivalry } from './rivalry.ts'
import { openListening, type SilentSource } from './silence.ts'
import type { Result, Trigger, WatchState } from './state.ts'
import { openSupervisor } from './supervisor.ts'
import type { Told } from './told.ts'
import { openTroubles } from './troubles.ts'

/** What a watch is to do. */
export interface Orders {
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

/** Milliseconds to wait for another spanplan that is at work, and then again to the next try. */
const patience = 2000

/** The share of the interval by which it is longer or shorter, at random: many hosts are not to wake as one. */
const jitter = 0.1

/** What says that another spanplan is at work, or that this one is to end. */
const untilFree: ReadonlySet<string> = new Set(['LOCKED', 'INTERRUPTED'])

/** After these the files are read again: first for what came before they were followed, at last for what nobody has told. */
const rereading: ReadonlySet<Trigger> = new Set(['start', 'file', 'hangup', 'interval'])

/**
 * Begins to keep the host as the files say.
 *
 * @param tell gets what happens, as it happens.
 * @throws SpanplanError if the files are broken, a watch of this name runs already, a right is missing, or
 * nothing can be served at the address.
 */
export async function openWatch(orders: Orders, tell: (told: Told) => void): Promise<Watch> {
  const file = openFile(orders.read, (wanted, before) => objectTo(orders, wanted, before))
  const { name } = file.spec
  const claim = await claimName(name, orders.command)
  const since = new Date().toISOString()
  const [book, troubles, rivalry, narrator] = [openBook(), openTroubles(), openRivalry(), openNarrator(tell)]
  const stop = new AbortController()
  let fresh = true
  let retryLock: number | null = null
  let sample: Sample | null = null
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // Who awaits it learns of it all the same.
  failed.catch(() => undefined)

  const state = (): WatchState => ({
    ...{ name, pid: process.pid, since, dryRun: orders.dryRun, degraded: troubles.list(), ...book.read() },
    file: { valid: file.notices.length === 0, notices: file.notices }
  })

  const reload = () => {
    const news = file.reload(Date.now())
    sources.follow(followed())
    if (news === 'refused') tell({ type: 'file_refused', notices: file.notices, files: file.files })
    if (news !== 'accepted') return
    fresh = true
    troubles.clear()
    rivalry.clear()
    tellFile()
  }
  const tellFile = () => {
    const { files, spans } = file.spec
    tell({ type: 'file', files, spans: spans.map((span) => span.name) })
  }
  const followed = () => [...orders.paths, ...file.files.map(({ path }) => path)].map((path) => resolve(path))

  const run = async (triggers: readonly Trigger[]) => {
    const [trigger = 'retry'] = triggers
    const told = triggers.includes('hangup')
    if (told) await supervisor.reloading()
    if (triggers.some((one) => rereading.has(one))) reload()
    const { lock, notice } = await lockUnlessDry()
    try {
      const held = notice !== null && untilFree.has(notice.code)
      retryLock = held ? Date.now() + patience : null
      const holds = readHolds(Date.now())
      narrator.pauses(holds.pauses)
      if (!held && !troubles.rests(null, Date.now())) await look(trigger, holds, notice)
      schedule(holds)
    } finally {
      lock?.release()
    }
    if (told || triggers.includes('start')) await supervisor.ready()
  }

  const lockUnlessDry = async (): Promise<{ readonly lock: Lock | null; readonly notice: Notice | null }> => {
    if (orders.dryRun) return { lock: null, notice: null }
    try {
      const { command } = orders
      // What goes on is finished, and what waits is not begun.
      return { lock: await takeLock({ command, timeout: patience, signal: stop.signal }), notice: null }
    } catch (error) {
      return { lock: null, notice: noticeOf(error) }
    }
  }

  /** @param notice why it cannot begin. */
  const look = async (trigger: Trigger, holds: Holds, notice: Notice | null) => {
    const began = performance.now()
    const aim = aimAt(orders, file.spec, holds, (span) => troubles.rests(span, Date.now()))
    const outcome = await reconcileIf(aim, notice)
    if (outcome.view !== null) sample ??= await takeSample(chainsOf(outcome.view)).catch(() => null)
    const milliseconds = performance.now() - began
    const at = new Date()
    if (book.read().last === null) refuseWithoutRight(outcome)
    if (aim !== null) noteTroubles(aim, outcome, at.getTime())
    const degraded = troubles.list()
    const spans = file.spec.spans.map((span) => span.name)
    const drift = narrator.run({ trigger, milliseconds, outcome, degraded, spans, fresh, dryRun: orders.dryRun })
    const result = resultOf(outcome, orders.dryRun)
    const whole = degraded.length === 0 && (result === 'unchanged' || result === 'changed')
    book.enter({ at: at.toISOString(), trigger, result, milliseconds }, whole, drift)
    if (outcome.view === null) return
    fresh = false
    listening.follow(outcome.view)
  }

  const reconcileIf = async (aim: FileAim | null, notice: Notice | null): Promise<Outcome> => {
    if (notice !== null) return { ...idle, failures: [{ span: null, notice, planned: false }] }
    return aim === null ? idle : reconcile(aim, { ...orders, news: fresh ? null : latch.news })
  }

  const noteTroubles = (aim: FileAim, { view, done, failures }: Outcome, now: number) => {
    const contested = view === null || fresh ? [] : rivalry.note(done, now)
    const all = [
      ...failures.map(({ span, notice, planned }) => ({ span, reason: 'failed' as const, notice, rests: !planned })),
      ...contested.flatMap((change) =>
        view === null
          ? []
          : [{ span: change.span, reason: 'contested' as const, notice: explainContest(change, view), rests: true }]
      )
    ]
    const troubled = new Map(all.reverse().map((trouble) => [trouble.span, trouble]))
    // Where nothing could be read, nothing was tried.
    for (const span of view === null ? [] : [null, ...spansOf(aim)]) {
      if (troubled.has(span)) continue
      const until = rivalry.suspectedUntil(span, now)
      if (until === null) troubles.end(span)
      else troubles.watch(span, until)
    }
    for (const trouble of troubled.values()) troubles.add(trouble, now)
  }

  const schedule = ({ pauses }: Holds) => {
    const wait = orders.interval * (1 + jitter * (2 * Math.random() - 1))
    alarm.set([
      [Date.now() + wait, 'interval'],
      [file.settles, 'file'],
      [troubles.next(), 'retry'],
      [retryLock, 'retry'],
      ...pauses.map(({ until }): Appointment => [Date.parse(until), 'resume'])
    ])
  }

  const listening = openListening(({ begun, ended }) => {
    for (const one of begun) tell({ type: 'quiet', ...silenceOf(one) })
    for (const one of ended) tell({ type: 'quiet_over', ...silenceOf(one) })
  })
  const latch = openLatch(run, fail)
  const alarm = openAlarm(latch.wake)
  const supervisor = openSupervisor(latch.busySince, (notice) => tell({ type: 'warning', notice }), stop.signal)
  const control = await openControl(name, { look: latch.wake, state, firstSample: () => ({ sample }) })
  const watched = {
    ...{ interval: orders.interval, state, idle: () => performance.now() - latch.lastEnd() },
    look: () => lookAtPossible(aimAtAll(orders, file.spec, readHolds(Date.now())))
  }
  const listener = await servePages(orders.listen, watched, tell).catch((error) => {
    stop.abort()
    control.close()
    claim.release()
    throw error
  })
  tell({ type: 'started', name, dryRun: orders.dryRun })
  tellFile()
  const onFile = gather(() => latch.wake('file'))
  const sources = watchFiles(onFile)
  sources.follow(followed())
  latch.wake('start')
  followHost(latch.wake, stop.signal)
  return {
    wake: latch.wake,
    failed,
    close: async () => {
      stop.abort()
      control.close()
      sources.close()
      onFile.close()
      listener?.close()
      await Promise.all([supervisor.stopping(), latch.close()])
      alarm.close()
      listening.close()
      claim.release()
      tell({ type: 'stopped' })
    }
  }
}

function silenceOf(source: SilentSource) {
  const { span, device } = source
  return { span, device, notice: describeSilence(span, source) }
}

const idle: Outcome = { view: null, found: [], done: [], failures: [] }

function resultOf({ found, done, failures }: Outcome, dryRun: boolean): Result {
  if (failures.length > 0) return 'failed'
  if (dryRun && found.length > 0) return 'drift'
  return done.length > 0 ? 'changed' : 'unchanged'
}

/** What a service lacks from the beginning, waiting does not bring. */
function refuseWithoutRight({ failures }: Outcome): void {
  const missing = failures.map(({ notice }) => notice).filter(({ code }) => code === 'RIGHT_MISSING')
  if (missing.length > 0) throw new SpanplanError(missing)
}
