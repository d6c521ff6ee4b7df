import { setTimeout as sleep } from 'node:timers/promises'
import { refresh } from '../../apply/refresh.ts'
import { interruptedExit, SpanplanError } from '../../errors.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Wait } from '../../plan/resolve.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import { printEvent } from '../output/progress.ts'
import type { Session } from '../session.ts'

/** Milliseconds from one look to the next. */
const pause = 250

/** What is waited for: containers that may come. */
const comes: ReadonlySet<string> = new Set(['SENSOR_MISSING', 'SENSOR_RESTARTING'])

/** A file that has been applied, and may be again. */
export interface Unfinished {
  readonly target: Target
  /** The last look of the apply. */
  readonly view: PlanView
  /** Applies what has come, having waited for the lock so many milliseconds at most, and gives the last look. */
  act(lockTimeout: number): Promise<PlanView>
}

/**
 * Waits until no sensor is missing, or time is up, and applies what comes. Nothing is locked while it waits.
 *
 * @throws SpanplanError if it is interrupted, if applying fails, or if the host could not be read when time was up.
 */
export async function awaitSensors(
  session: Session,
  { target, view, act }: Unfinished,
  milliseconds: number,
  signal: AbortSignal
): Promise<void> {
  const end = Date.now() + milliseconds
  let missing = missingSensors(view)
  if (missing.length === 0) return
  announce(session, missing, new Date(end))
  let failure: SpanplanError | null = null
  while (missing.length > 0 && Date.now() < end) {
    await sleep(Math.min(pause, end - Date.now()), undefined, { signal }).catch(() => undefined)
    if (signal.aborted) throw interrupted(signal)
    const { view: seen, error } = await tryToLook(target)
    failure = error
    if (seen === null) continue
    missing = missingSensors(seen.plan.changes.length > 0 ? await act(Math.max(0, end - Date.now())) : seen)
  }
  if (failure !== null) throw failure
  conclude(session, missing)
}

/** Docker may be restarting, a card being plugged: what is not so now may be so by the next look. */
async function tryToLook(
  target: Target
): Promise<{ readonly view: PlanView | null; readonly error: SpanplanError | null }> {
  try {
    return { view: await refresh(target), error: null }
  } catch (error) {
    if (error instanceof SpanplanError) return { view: null, error }
    throw error
  }
}

function missingSensors({ plan }: PlanView): readonly Wait[] {
  return plan.waiting.filter(({ kind, diagnostic }) => kind === 'sensor' && comes.has(diagnostic.code))
}

function announce(session: Session, missing: readonly Wait[], until: Date): void {
  if (session.json)
    printEvent('wait', { until: until.toISOString(), waiting: missing.map(({ diagnostic }) => diagnostic) })
  else process.stdout.write(`Waits until ${until.toLocaleTimeString('sv-SE')} for ${list(missing)}\n`)
}

function conclude(session: Session, missing: readonly Wait[]): void {
  if (session.json) printEvent('wait_over', { waiting: missing.map(({ diagnostic }) => diagnostic) })
  else process.stdout.write(missing.length === 0 ? 'All sensors are there.\n' : `Still missing: ${list(missing)}\n`)
}

function list(missing: readonly Wait[]): string {
  return missing.map(({ title }) => printable(title)).join(', ')
}

function interrupted(signal: AbortSignal): SpanplanError {
  const message = 'interrupted while it waited for sensors: what was applied stays'
  return new SpanplanError({ code: 'INTERRUPTED', message }, interruptedExit(signal))
}
