import { setTimeout as sleep } from 'node:timers/promises'
import { isEndedByContainer, meaningOf } from '../../codes/meanings.ts'
import { type Diagnostic, ifForeseen, interruptedExit, SpanplanError } from '../../errors.ts'
import { defaultLimits } from '../../host/docker/call-limits.ts'
import { refresh } from '../../look/refresh.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import type { Wait } from '../../resources/kind.ts'
import type { ApplyResult } from '../executor.ts'

/** Milliseconds between two refreshes. */
const interval = 250

/**
 * What an apply has left out: what its last plan cannot have as it is (each sensor, source and port costs itself alone), and what no
 * plan had shown.
 */
export function refusedParts({
  last: { plan },
  deferred
}: Pick<ApplyResult, 'last' | 'deferred'>): readonly Diagnostic[] {
  const refused = plan.waiting.filter(({ diagnostic }) => meaningOf(diagnostic).endedBy === 'repair')
  const all = [...refused, ...deferred].map(({ kind, span, title, diagnostic }): Diagnostic => {
    const subject = kind === 'sensor' ? `the sensor ${printable(title)}` : `span ${span}:`
    return { ...diagnostic, message: `${subject} ${diagnostic.message}. Everything else was done` }
  })
  // A source has a wait for each direction.
  return [...new Map(all.map((one) => [one.message, one])).values()]
}

/** The sensors that a plan waits for: no person has to do anything but have their containers run. */
export function missingSensors({ plan }: PlanView): readonly Wait[] {
  return plan.waiting.filter(({ kind, diagnostic }) => kind === 'sensor' && isEndedByContainer(diagnostic))
}

/**
 * Applies whatever comes, until no sensor is missing or time is up. No lock is held while it waits.
 *
 * @param apply applies what has come. It gets the milliseconds left, and gives the plan view after it.
 * @param end milliseconds since 1970.
 * @returns the sensors that are still missing.
 * @throws SpanplanError if it is interrupted, if applying fails, or if the host could not be read when time was up.
 */
export async function awaitSensors(
  target: Target,
  view: PlanView,
  apply: (left: number) => Promise<PlanView>,
  end: number,
  signal: AbortSignal
): Promise<readonly Wait[]> {
  let missing = missingSensors(view)
  let failure: SpanplanError | null = null
  while (missing.length > 0 && Date.now() < end) {
    await sleep(Math.min(interval, end - Date.now()), undefined, { signal }).catch(() => undefined)
    if (signal.aborted) throw interrupted(signal)
    // Docker may be restarting, or an interface be plugged in: the next refresh may succeed.
    const now = await refresh(target, { ...defaultLimits, signal }).catch(ifForeseen)
    if (signal.aborted) throw interrupted(signal)
    failure = now instanceof SpanplanError ? now : null
    if (now instanceof SpanplanError) continue
    missing = missingSensors(now.plan.changes.length > 0 ? await apply(Math.max(0, end - Date.now())) : now)
  }
  if (failure !== null) throw failure
  return missing
}

function interrupted(signal: AbortSignal): SpanplanError {
  const message = 'interrupted while it waited for sensors: what was applied stays'
  return new SpanplanError({ code: 'INTERRUPTED', message }, interruptedExit(signal))
}
