import type { Sample } from '../../host/read-counters.ts'
import { type Cause, isCarrierCause } from './causes.ts'
import { type FlowReport, type Hop, hopTitle, type Loss, makeFlowReport, type Traffic } from './flow-report.ts'
import type { FramePath } from './frame-path.ts'

/** The causes that lose a number of frames at each kind of hop. */
export const causesAt: Readonly<Record<Hop['kind'], readonly Cause[]>> = {
  interface: ['ring_overrun', 'damaged', 'malformed', 'refused', 'no_mirror', 'unexplained'],
  mirror: ['receiver_gone', 'target_gone', 'no_sensor', 'target_down', 'action_dropped'],
  bridge: ['unexplained'],
  port: ['port_dropped', 'port_down', 'too_large', 'unexplained'],
  sensor: ['socket_full'],
  output: ['output_dropped', 'output_no_carrier', 'output_underlay_down', 'too_large', 'unexplained']
}

/** The losses of one span since its first sample. */
interface SpanLosses {
  /** Since this sample, nothing was lost and no hop was recreated. */
  readonly base: Sample
  readonly last: Sample
  /** The hops of the last sample, with their losses, and what was over their limits, since the first one. */
  readonly hops: readonly Hop[]
}

/** The losses of each span since its first sample, by the span's name. */
export type LossTotals = ReadonlyMap<string, SpanLosses>

/** Adds what was lost since the last sample. A span that is new here is counted from this sample on. */
export function addLosses(totals: LossTotals, paths: readonly FramePath[], sample: Sample): LossTotals {
  return new Map(
    paths.map((path) => {
      const before = totals.get(path.span) ?? { base: sample, last: sample, hops: [] }
      return [path.span, addSpanLosses(before, path, sample)]
    })
  )
}

/** The same report, with the losses since the first sample instead of those since the last one. */
export function withTotals(report: FlowReport, totals: LossTotals): FlowReport {
  const counted = totals.get(report.span)?.hops ?? []
  return { ...report, hops: report.hops.map((hop) => ({ ...hop, losses: withCarrier(lossesAt(counted, hop), hop) })) }
}

/** The losses since the first sample, with the carrier as it is now. */
function withCarrier(total: readonly Loss[], { losses }: Hop): Loss[] {
  const ofCarrier = total.filter(({ cause }) => isCarrierCause(cause))
  const now = losses.filter(({ cause }) => isCarrierCause(cause))
  const before = ofCarrier.length > 0 && now.length === 0 ? [{ cause: 'carrier_flap', frames: null } as const] : []
  return [...now, ...before, ...total.filter((loss) => !ofCarrier.includes(loss))]
}

/**
 * The frames between two hops while a sample is taken hide small losses. As long as nothing else happens, the samples are
 * therefore compared with an older one, until the losses show.
 */
function addSpanLosses({ base, last, hops }: SpanLosses, path: FramePath, sample: Sample): SpanLosses {
  const recent = makeFlowReport(path, last, sample)
  const report = isLossless(recent) ? makeFlowReport(path, base, sample) : recent
  return {
    base: isLossless(report) ? base : sample,
    last: sample,
    hops: report.hops.map((hop) => {
      const losses = sumLosses([...lossesAt(hops, hop), ...hop.losses])
      const overLimit = addOverLimit(findSame(hops, hop), findSame(recent.hops, hop))
      return hop.kind === 'mirror' ? { ...hop, losses, overLimit } : { ...hop, losses }
    })
  }
}

/** Frames over a limit do not hide: the last sample but this one is old enough. */
function addOverLimit(total: Hop | undefined, recent: Hop | undefined): Traffic | null {
  const [before, more] = [total, recent].map((hop) => (hop?.kind === 'mirror' ? hop.overLimit : null))
  if (!more) return null
  return { frames: (before?.frames ?? 0) + more.frames, bytes: (before?.bytes ?? 0) + more.bytes }
}

function isLossless({ hops }: FlowReport): boolean {
  return hops.every(({ frames, reset, losses }) => frames !== null && !reset && losses.length === 0)
}

function lossesAt(hops: readonly Hop[], hop: Hop): readonly Loss[] {
  return findSame(hops, hop)?.losses ?? []
}

function findSame(hops: readonly Hop[], hop: Hop): Hop | undefined {
  return hops.find((one) => isSameHop(one, hop))
}

function isSameHop(one: Hop, other: Hop): boolean {
  if (one.kind !== other.kind || one.device !== other.device) return false
  // Whose port it is may be known of one of them only.
  return one.kind === 'port' || hopTitle(one) === hopTitle(other)
}

/** One loss for each cause. Its number is unknown only where all numbers are. */
function sumLosses(losses: readonly Loss[]): Loss[] {
  const sums = new Map<Cause, number | null>()
  for (const { cause, frames } of losses) {
    const sum = sums.get(cause) ?? null
    sums.set(cause, frames === null ? sum : frames + (sum ?? 0))
  }
  return [...sums].map(([cause, frames]) => ({ cause, frames }))
}
