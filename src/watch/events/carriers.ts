import { setTimeout as sleep } from 'node:timers/promises'
import type { PlanView } from '../../plan/plan-view.ts'
import type { CopyPoint } from '../../resources/desired-state.ts'
import { causeOfNoCarrier } from '../../status/counters/flow-report.ts'
import { findUnderlay } from '../../status/counters/frame-path.ts'
import { explainCarrier } from '../../status/health.ts'
import type { EmitEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/** Milliseconds: an interface that has just been set up gets its carrier a moment later, and one that is renamed loses it for one. */
const settlingTime = 3000

interface Source {
  readonly span: string
  readonly point: CopyPoint
}

/**
 * Emits an event when the interface of a source has no carrier from now on, and when it has one again. The kernel reports both, and
 * each such report brings a run with its plan.
 *
 * @param signal ends it.
 * @returns a function that takes the plan of each run.
 */
export function trackCarriers(emit: EmitEvent, signal: AbortSignal): (view: PlanView) => void {
  const record = openCarrierRecorder(emit)
  /** The plan of the last run while what it shows settles. */
  let settling: PlanView | null = null
  const settle = async () => {
    await sleep(settlingTime, undefined, { signal, ref: false })
    const view = settling
    settling = null
    if (view !== null) record(view)
  }
  return (view) => {
    const isFirst = settling === null
    settling = view
    if (isFirst) settle().catch(() => undefined)
  }
}

/** Makes what emits the events of a plan. */
export function openCarrierRecorder(emit: EmitEvent) {
  const lost = trackTransitions<Source>(({ span, point }) => JSON.stringify([span, point.device.name]))
  return ({ desired, host }: Pick<PlanView, 'desired' | 'host'>): void => {
    // One that is missing or down is in the plan.
    const isUp = ({ point }: Source) => host.linkOf(point.device.name)?.up === true
    const isLinked = ({ point }: Source) => host.linkOf(point.device.name)?.carrier === true
    const hasUnderlay = ({ point }: Source) => {
      const underlay = findUnderlay(point, host)
      return underlay === undefined || (underlay.up && underlay.carrier)
    }
    const hasCarrier = (one: Source) => isLinked(one) && hasUnderlay(one)
    const sources = desired.spans.flatMap(({ name: span, mirrors }) => {
      const points = new Map(mirrors.map((point) => [point.device.name, point]))
      return [...points.values()].map((point) => ({ span, point }))
    })
    // A span that is paused or waits is not in the plan.
    const isPlanned = ({ span }: Source) => desired.spanOf(span) !== undefined
    const { started, ended } = lost.update(
      sources.filter((one) => isUp(one) && !hasCarrier(one)),
      (one) => !isPlanned(one)
    )
    const diagnosticOf = (one: Source) => {
      const { point } = one
      const cause = isLinked(one) && !hasUnderlay(one) ? 'underlay_down' : causeOfNoCarrier(point)
      return explainCarrier({ point, underlay: findUnderlay(point, host) ?? null }, cause)
    }
    for (const one of started) emit({ type: 'carrier_lost', ...one, diagnostic: diagnosticOf(one) })
    for (const one of ended) if (hasCarrier(one)) emit({ type: 'carrier_back', ...one, diagnostic: diagnosticOf(one) })
  }
}
