import { applyPlan } from '../../apply/executor.ts'
import { refusedParts } from '../../apply/sensors/await-sensors.ts'
import { asForeseen, Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { subnetSeed } from '../../host/docker/subnet-seed.ts'
import { indexLinks } from '../../host/host-index.ts'
import { closeInherited } from '../../host/process/inherited-descriptors.ts'
import { readIpLinks } from '../../host/read-snapshot.ts'
import type { IpLink } from '../../host/snapshot.ts'
import { localTime } from '../../local-time.ts'
import { refreshSettled } from '../../look/refresh.ts'
import { renderChange } from '../../plan/output/plan-text.ts'
import { makeTarget, type Target } from '../../plan/target.ts'
import { plain, printable } from '../../printable.ts'
import { findInterfaceSpans, type InterfaceSpans } from '../../resources/sources/interface-spans.ts'
import { recordHook } from '../../run-dir/hook-records.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { lastPause, type Pause, readPauses } from '../../run-dir/pauses.ts'
import { readWindowTime } from '../../run-dir/window-time.ts'
import { noSpan, scopeOf } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import { askWatch } from '../../watch/serve/ask-watch.ts'
import {
  everyInterface,
  type HookEvent,
  type HookSelection,
  hookInterface,
  readHookEvent
} from '../input/hook-event.ts'
import { descriptorOf } from '../input/open-input.ts'
import { type FileSelection, loadFiles } from '../input/spec-files.ts'
import { awaitingLock, during, readingHost } from '../output/activity.ts'
import { openProgress } from '../output/progress.ts'
import { renderDiagnostic } from '../output/render-diagnostic.ts'
import type { Session } from '../session.ts'
import { catchSignals, rollingBack } from '../signals.ts'

interface HookOptions extends FileSelection, HookSelection {
  /** Milliseconds. */
  readonly lockTimeout: number
  /** An error fails the command. */
  readonly strict: boolean
}

/** Prints lines to stderr, after the name of the interface. */
type Say = (text: string) => void

/**
 * `spanplan hook`: repairs the spans of an interface that came up, and lets an interface go down. An error is printed, and
 * fails the command only with `strict`: ifupdown takes an interface whose hook fails as not configured.
 */
export async function hookCommand(session: Session, options: HookOptions): Promise<ExitCode> {
  const name = hookInterface(options)
  const say: Say = (text) => {
    const prefix = ['spanplan hook', ...(name === '' ? [] : [printable(name)])].join(': ')
    for (const line of text.split('\n')) process.stderr.write(`${prefix}: ${line}\n`)
  }
  try {
    const event = readHookEvent(options)
    if (event !== null) await runHook(session, event, options, say)
    return Exit.done
  } catch (error) {
    const { diagnostics, exit } = asForeseen(error)
    for (const diagnostic of diagnostics) say(renderDiagnostic('error', diagnostic, [], plain))
    return options.strict ? exit : Exit.done
  }
}

async function runHook(
  session: Session,
  { name, direction, file }: HookEvent,
  options: HookOptions,
  say: Say
): Promise<void> {
  const load = () => loadFiles({ ...options, file })
  const early = await load()
  // Only now: a file may be an inherited descriptor.
  closeInherited()
  const links = name === everyInterface ? [] : (await readIpLinks()).links
  const { device, spans } = findSpansOf(early, name, links)
  if (spans.length === 0) return
  const signal = catchSignals(rollingBack)
  const record = () => {
    if (name !== everyInterface) recordHook(Date.now(), device, direction, links)
  }
  const locking = during(session, awaitingLock, takeLock({ timeout: options.lockTimeout, signal }))
  const lock = await locking.catch((error: unknown) => leaveToWindow(error, record, say))
  if (lock === null) return
  try {
    record()
    const { pauses, goingDown } = readPauses(Date.now())
    // Whoever had the lock may have installed a file. A descriptor is closed by now, and leads to what it led to.
    const spec = file.some((path) => descriptorOf(path) !== null) ? early : await load()
    if (await wakeWatch(spec)) return
    const active = leavePaused(findSpansOf(spec, name, links).spans, pauses, say)
    const scope = scopeOf(spec, { only: new Set(active) })
    const how = { deferDocker: true, recreate: noSpan, patient: true }
    const target = makeTarget(spec, { scope, ...how, goingDown, subnetSeed })
    if (active.length > 0) await repair(session, target, signal, say)
  } finally {
    lock.release()
  }
}

/**
 * Leaves the spans to an apply that waits for confirmation: nobody else changes the host meanwhile.
 *
 * @param error of taking the lock.
 * @throws the error, if no apply waits.
 */
async function leaveToWindow(error: unknown, record: () => void, say: Say): Promise<null> {
  const window = readWindowTime()
  if (window === null) throw error
  say(`an apply waits for confirmation until ${localTime(window.until)}: its spans are left unchanged`)
  // An apply that waits at a terminal has this lock, too.
  const lock = await takeLock({ timeout: 0, duringWindow: true }).catch(() => null)
  if (lock === null) return null
  try {
    record()
  } finally {
    lock.release()
  }
  return null
}

/** The spans of the interface; for all interfaces, every span. */
function findSpansOf(spec: Spec, name: string, links: readonly IpLink[]): InterfaceSpans {
  if (name === everyInterface) return { device: name, spans: spec.spans.map((span) => span.name) }
  return findInterfaceSpans(spec, name, indexLinks(links))
}

/** Asks the watch of this name, which knows Docker too, for a run. A watch that changes nothing is not asked. */
async function wakeWatch({ name }: Spec): Promise<boolean> {
  const watch = await askWatch(name, 'state')
  if (watch === null || watch.dryRun) return false
  return (await askWatch(name, 'hook')) !== null
}

/** The spans that are not paused. */
function leavePaused(spans: readonly string[], pauses: readonly Pause[], say: Say): readonly string[] {
  return spans.filter((name) => {
    const pause = lastPause(name, pauses)
    if (pause) say(`${name} is paused until ${localTime(pause.until)}: it is left unchanged`)
    return pause === undefined
  })
}

async function repair(session: Session, target: Target, signal: AbortSignal, say: Say): Promise<void> {
  const view = await during(session, readingHost, refreshSettled(target))
  for (const { diagnostic } of view.plan.waiting) {
    if (diagnostic.code === 'LOOP') say(renderDiagnostic('error', diagnostic, [], plain))
  }
  const progress = openProgress(session, view.plan)
  const { done, leftOut, ...result } = await applyPlan(target, view, { progress, signal }).finally(progress.close)
  for (const change of done) say(renderChange(change))
  const failed = [...leftOut.map(({ diagnostic }) => diagnostic), ...refusedParts(result)]
  if (failed.length > 0) throw new SpanplanError(failed, Exit.partial)
}
