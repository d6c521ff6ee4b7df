import { setTimeout as sleep } from 'node:timers/promises'
import { attempt } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { readHostFor } from '../../look/read-host.ts'
import { viewLive } from '../../plan/live-view.ts'
import { makePlan, type PlannedChange } from '../../plan/plan.ts'
import { type HostReading, type PlanView, planTarget } from '../../plan/plan-view.ts'
import { nothingRests, type Target } from '../../plan/target.ts'
import { readPauses } from '../../run-dir/pauses.ts'
import { matchesSpan, noSpan } from '../../spec/scope.ts'
import { applyPlan } from '../executor.ts'
import { runSteps, silent } from '../run-steps.ts'

/** Milliseconds between two looks; longer where a look takes long. */
const interval = 1000

/** Does the work while nobody else changes the host. */
export type Exclusively = <T>(work: () => Promise<T>) => Promise<T>

/** What closes a sensor that has come: its port, the port's XDP program, and the sensor's network stack. */
const ofSensor: ReadonlySet<PlannedChange['kind']> = new Set(['port', 'xdp', 'stack'])

/** What is to be closed of the target, and nothing else; null: it cannot be planned now. */
function planOwn(target: Target, reading: HostReading): PlanView | null {
  const view = attempt(() => planTarget(target, reading))
  const changes = view?.plan.changes.filter(({ closes, kind }) => closes || ofSensor.has(kind)) ?? []
  return view && { ...view, plan: { ...view.plan, changes } }
}

/** What is to be closed in the sealed spans that the target does not have, of whichever owner. No file is asked: what is live says that a span is sealed. */
function planOthers(target: Target, host: HostIndex): readonly PlannedChange[] {
  const { desired, marks } = viewLive(host, target.names)
  const own = new Set(target.spec.spans.map(({ name }) => name).filter((name) => matchesSpan(target.scope.spans, name)))
  const { pauses } = readPauses(Date.now())
  const isPaused = (name: string) => pauses.some(({ span }) => span === null || span === name)
  const isOther = (name: string) => !own.has(name) && !isPaused(name) && desired.spanOf(name)?.sealed === true
  const plan = makePlan({ desired, marks, host, waits: [], warnings: [] }, target)
  const changes = 'changes' in plan ? plan.changes : []
  return changes.filter(
    ({ kind, action, span }) => ofSensor.has(kind) && action === 'update' && span !== null && isOther(span)
  )
}

/**
 * Closes what comes while an apply waits for confirmation, for each watch leaves the host alone meanwhile: a sensor that restarts has
 * a new port and a new network stack. Nothing else is changed. What fails is tried again, and left to whoever ends the window.
 *
 * @param end no change is begun after it.
 * @returns what waits for the change under way.
 */
export function keepClosed(target: Target, exclusively: Exclusively, end: AbortSignal): () => Promise<unknown> {
  const patient = { ...target, adopt: false, recreate: noSpan, patient: true }
  const spans = new Set(target.spec.spans.map(({ name }) => name))
  const options = { allowEmpty: true, goesOn: true }
  let change: Promise<unknown> = Promise.resolve()
  const look = async () => {
    const reading = await readHostFor(patient)
    return { view: planOwn(patient, reading), others: planOthers(patient, reading.host) }
  }
  const close = async () => {
    const { view, others } = await look()
    // One that fails keeps no other from being made.
    for (const one of others) await runSteps([one], { done: [], begun: false }, silent)
    if (view !== null) await applyPlan({ ...patient, resting: { ...nothingRests, spans } }, view, options)
  }
  const run = async () => {
    while (!end.aborted) {
      const began = performance.now()
      // Where it cannot be read now, the next look may succeed.
      const found = await look().catch(() => null)
      const count = (found?.view?.plan.changes.length ?? 0) + (found?.others.length ?? 0)
      if (count > 0 && !end.aborted) {
        change = exclusively(close).catch(() => undefined)
        await change
      }
      const pause = Math.max(interval, 7 * (performance.now() - began))
      await sleep(pause, undefined, { signal: end }).catch(() => undefined)
    }
  }
  void run()
  return () => change
}
