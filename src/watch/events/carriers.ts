import { setTimeout as sleep } from 'node:timers/promises'
import type { PlanView } from '../../plan/plan-view.ts'
import { writeSourceName } from '../../resources/sources/host-source-kind.ts'
import type { CarrierCause } from '../../status/counters/causes.ts'
import { causeOfNoCarrier } from '../../status/counters/flow-report.ts'
import { findUnderlay } from '../../status/counters/frame-path.ts'
import { explainCarrier } from '../../status/health.ts'
import type { EmitEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/** Milliseconds: an interface that has just been set up gets its carrier a moment later, and one that is renamed loses it for one. */
const settlingTime = 3000

/** The interface of a source or of an output. */
interface Line {
  readonly span: string
  readonly device: string
  readonly name: string
  readonly cause: CarrierCause
  /** The name of the interface that the packets of a tunnel come on or leave by; null: it is no tunnel, or not known. */
  readonly underlay: string | null
}

/**
 * Emits an event when the interface of a source or of an output has no carrier from now on, and when it has one again. The kernel reports both, and
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
  const lost = trackTransitions<Line>(({ span, device }) => JSON.stringify([span, device]))
  return ({ desired, host }: Pick<PlanView, 'desired' | 'host'>): void => {
    // One that is missing or down is in the plan.
    const isUp = ({ device }: Line) => host.linkOf(device)?.up === true
    const isLinked = ({ device }: Pick<Line, 'device'>) => host.linkOf(device)?.carrier === true
    const hasUnderlay = ({ underlay }: Line) => {
      const link = host.linkOf(underlay)
      return link === undefined || (link.up && link.carrier)
    }
    const hasCarrier = (line: Line) => isLinked(line) && hasUnderlay(line)
    const lines = desired.spans.flatMap(({ name: span, mirrors, outputs }) => {
      const points = new Map(mirrors.map((point) => [point.device.name, point]))
      return [
        ...[...points].map(
          ([device, point]): Line => ({
            ...{ span, device, name: writeSourceName(point.source) },
            cause: causeOfNoCarrier(point),
            underlay: findUnderlay(point, host)?.name ?? null
          })
        ),
        ...outputs.map(
          ({ device, name, below }): Line => ({
            ...{ span, device, name, underlay: below?.device ?? null },
            cause: below === undefined ? 'output_no_carrier' : 'output_underlay_down'
          })
        )
      ]
    })
    // A span that is paused or waits is not in the plan.
    const isPlanned = ({ span }: Line) => desired.spanOf(span) !== undefined
    const { started, ended } = lost.update(
      lines.filter((one) => isUp(one) && !hasCarrier(one)),
      (one) => !isPlanned(one)
    )
    const eventOf = ({ span, device, name, cause, underlay }: Line) => {
      const isSource = cause !== 'output_underlay_down'
      const found = isSource && isLinked({ device }) && underlay !== null ? 'underlay_down' : cause
      return { span, device, name, diagnostic: explainCarrier(name, found, underlay) }
    }
    for (const one of started) emit({ type: 'carrier_lost', ...eventOf(one) })
    for (const one of ended) if (hasCarrier(one)) emit({ type: 'carrier_back', ...eventOf(one) })
  }
}
