import type { Sample } from '../../host/read-counters.ts'
import type { Cause } from './causes.ts'
import { type FlowReport, type Hop, makeFlowReport } from './flow-report.ts'
import type { FramePath } from './frame-path.ts'

/** What can be lost at each place. */
export const causesAt: Readonly<Record<Hop['kind'], readonly Cause[]>> = {
  interface: ['ring_overrun', 'damaged', 'no_mirror', 'unexplained'],
  mirror: ['target_gone', 'no_sensor', 'target_down', 'action_dropped'],
  bridge: ['unexplained'],
  port: ['port_dropped', 'port_down', 'too_large', 'unexplained'],
  sensor: ['socket_full']
}

/** What was lost at one place since it was first looked at. */
export interface Toll {
  readonly hop: Hop
  /** Frames, by what can be lost there. */
  readonly lost: ReadonlyMap<Cause, number>
}

/** What was lost along the way of one span. */
interface Account {
  /** Since this one, nothing was lost or made anew. */
  readonly calm: Sample
  readonly last: Sample
  readonly tolls: readonly Toll[]
}

/** What was lost along the way of each span, by its name. The places are those of the last sample. */
export type LossTotals = ReadonlyMap<string, Account>

/** Adds what was lost since the last sample; of a span that comes, from now on. */
export function addLosses(before: LossTotals, paths: readonly FramePath[], sample: Sample): LossTotals {
  return new Map(
    paths.map((path) => {
      const account = before.get(path.span) ?? { calm: sample, last: sample, tolls: [] }
      return [path.span, bookSpan(account, path, sample)]
    })
  )
}

/**
 * From one sample to the next, what may have been on its way hides losses that are small. While nothing else happens, they
 * come to light over a longer time.
 */
function bookSpan({ calm, last, tolls }: Account, path: FramePath, sample: Sample): Account {
  const recent = makeFlowReport(path, last, sample)
  const flowReport = isCalm(recent) ? makeFlowReport(path, calm, sample) : recent
  return {
    calm: isCalm(flowReport) ? calm : sample,
    last: sample,
    tolls: flowReport.hops.map((hop) => ({ hop, lost: addUp(hop, tolls.find((toll) => isSame(toll.hop, hop))?.lost) }))
  }
}

function isCalm({ hops }: FlowReport): boolean {
  return hops.every(({ frames, reset, losses }) => frames !== null && !reset && losses.length === 0)
}

function isSame(one: Hop, other: Hop): boolean {
  return one.kind === other.kind && one.device === other.device && detailOf(one) === detailOf(other)
}

/** What tells places of one kind at one device apart. */
function detailOf(hop: Hop): string | null {
  if (hop.kind === 'mirror') return hop.tcHook
  return hop.kind === 'sensor' ? hop.container : null
}

function addUp({ kind, losses }: Hop, before: Toll['lost'] = new Map()): Toll['lost'] {
  return new Map(
    causesAt[kind].map((cause) => {
      const now = losses.reduce((sum, loss) => sum + (loss.cause === cause ? (loss.frames ?? 0) : 0), 0)
      return [cause, (before.get(cause) ?? 0) + now]
    })
  )
}
