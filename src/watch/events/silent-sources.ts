import type { PlanView } from '../../plan/plan-view.ts'
import { makeFlowReport } from '../../status/counters/flow-report.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { findIdle, type IdleSource, isSilent } from '../../status/health.ts'
import { trackTransitions } from './transition-tracker.ts'

/** A source of a span, and how long it has been without a frame. */
export interface SilentSource extends IdleSource {
  readonly span: string
}

/** Listens to whether anything comes. */
export interface Listening {
  /** What is listened to from now on. */
  follow(view: PlanView): void
  close(): void
}

/** Milliseconds from one count to the next: a share of what is expected, so that it is told in time. */
const [shortestPeriod, longestPeriod] = [1000, 5000]
const share = 0.1

/**
 * Counts the frames of sources that are expected to have some every so often. It takes two processes each time, and none
 * where nothing is expected.
 *
 * @param tell gets what has fallen silent, and what is not silent any more.
 */
export function openListening(
  tell: (news: { readonly begun: readonly SilentSource[]; readonly ended: readonly SilentSource[] }) => void
): Listening {
  const silent = trackTransitions<SilentSource>(keyOf)
  let current: PlanView | null = null
  let timer: NodeJS.Timeout | null = null
  let closed = false
  const schedule = () => {
    const period = current === null ? null : periodOf(current)
    timer = period === null || closed ? null : setTimeout(() => void count(), period)
  }
  const hear = (sources: readonly SilentSource[]) => {
    const counted = new Map(sources.map((source) => [keyOf(source), source]))
    // One whose mirror was made anew is counted from then on.
    const { begun, ended } = silent.update(sources.filter(isSilent), (one) => counted.get(keyOf(one))?.heard === false)
    // What the file does not expect any more has not ended.
    return { begun, ended: ended.filter((one) => counted.has(keyOf(one))) }
  }
  const count = async () => {
    // What cannot be counted now is, at the next time.
    const sources = current === null ? null : await countIdle(current).catch(() => null)
    if (sources !== null && !closed) tell(hear(sources))
    schedule()
  }
  return {
    follow: (view) => {
      current = view
      if (timer === null) schedule()
    },
    close: () => {
      closed = true
      if (timer !== null) clearTimeout(timer)
    }
  }
}

function keyOf({ span, device, origin }: SilentSource): string {
  return JSON.stringify([span, device, origin])
}

/** null: nothing is expected. */
function periodOf({ desired }: PlanView): number | null {
  const expected = desired.wanted.spans.flatMap(({ mirrors }) => mirrors.flatMap(({ maxIdle }) => maxIdle ?? []))
  if (expected.length === 0) return null
  return Math.min(longestPeriod, Math.max(shortestPeriod, share * Math.min(...expected)))
}

async function countIdle(view: PlanView): Promise<SilentSource[]> {
  const spans = view.desired.wanted.spans.filter(({ mirrors }) => mirrors.some(({ maxIdle }) => maxIdle !== null))
  // Who listens does not matter, and is costly to ask.
  const chains = framePathsOf(view).map((chain) => ({ ...chain, ports: [] }))
  const sample = await takeSample(chains)
  return spans.flatMap((span) =>
    chains
      .filter((chain) => chain.span === span.name)
      .flatMap((chain) => findIdle(span, makeFlowReport(chain, sample, sample)))
      .map((source) => ({ ...source, span: span.name }))
  )
}
