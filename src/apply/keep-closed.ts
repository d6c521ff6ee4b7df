import { setTimeout as sleep } from 'node:timers/promises'
import { type PlanView, planTarget } from '../plan/plan-view.ts'
import { nothingRests, type Target } from '../plan/target.ts'
import { applyPlan } from './executor.ts'
import { readFactsFor } from './refresh.ts'

/** Milliseconds between two looks; longer where a look takes long. */
const interval = 1000

/** Does the work while nobody else changes the host. */
export type Exclusively = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Closes what comes while an apply waits for confirmation, for a watch leaves the host alone meanwhile: a sensor that restarts has
 * a new port and a new network stack. Nothing else is changed. What fails is tried again, and left to whoever ends the window.
 *
 * @param end no change is begun after it.
 * @returns what waits for the change under way.
 */
export function keepClosed(target: Target, exclusively: Exclusively, end: AbortSignal): () => Promise<unknown> {
  const patient = { ...target, adopt: false, recreate: false, patient: true }
  const spans = new Set(target.spec.spans.map(({ name }) => name))
  const options = { allowEmpty: true, goesOn: true }
  let change: Promise<unknown> = Promise.resolve()
  const look = async (): Promise<PlanView> => {
    const view = planTarget(patient, await readFactsFor(patient))
    const changes = view.plan.changes.filter(({ closes, kind }) => closes || kind === 'stack')
    return { ...view, plan: { ...view.plan, changes } }
  }
  const close = async () => applyPlan({ ...patient, resting: { ...nothingRests, spans } }, await look(), options)
  const run = async () => {
    while (!end.aborted) {
      const began = performance.now()
      // Where it cannot be read now, the next look may succeed.
      const view = await look().catch(() => null)
      if (view !== null && view.plan.changes.length > 0 && !end.aborted) {
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
