import { randomBytes } from 'node:crypto'
import { SpanplanError } from '../errors.ts'
import { findMissingRights } from '../host/process/process-rights.ts'
import { type Exchanged, exchangeFrames, markSize, mostEars } from '../host/traffic/exchange-frames.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Report } from '../status/report.ts'
import { canTake, makeExchange, type ProbePlan, type ProbeScope, planProbe } from './probe-plan.ts'
import { judgeProbe, notLive, type SpanProbe, type WriteCommand, writePlain } from './probe-result.ts'

/** Which spans are probed, and how far. */
export interface ProbeRequest extends Pick<ProbeScope, 'mirrors'> {
  readonly view: PlanView
  /** How these spans are. */
  readonly spans: Report['spans']
  /** Writes the commands of hints. By default, they name no file. */
  readonly write?: WriteCommand
}

/**
 * Sends marked frames through spans, one after the other, and tells which ports got them. It changes nothing, and takes no lock.
 *
 * @throws SpanplanError RIGHT_MISSING, PROGRAM_MISSING, or that perl has failed.
 */
export async function probeSpans(
  { view, spans, mirrors, write = writePlain }: ProbeRequest,
  cancel?: AbortSignal
): Promise<SpanProbe[]> {
  const missing = findMissingRights('listening')
  if (missing !== null) throw new SpanplanError(missing)
  const results: SpanProbe[] = []
  for (const report of spans) {
    const span = view.desired.spanOf(report.name)
    const mark = randomBytes(markSize)
    const plan = span === undefined ? null : planProbe(span, view, report, { mirrors, mark })
    results.push(
      plan === null ? notLive(report, write) : judgeProbe(plan, await exchangeAll(plan, mark, cancel), report, write)
    )
  }
  return results
}

/** A process looks at so many links: where there are more, the frames are sent again for the next ones. */
async function exchangeAll(plan: ProbePlan, mark: Buffer, cancel?: AbortSignal): Promise<Exchanged> {
  const reachable = plan.receivers.filter(canTake)
  const parts: Exchanged[] = []
  for (let start = 0; start < reachable.length; start += mostEars) {
    const some = new Set(reachable.slice(start, start + mostEars))
    parts.push(await exchangeFrames(makeExchange(plan, mark, some), cancel))
  }
  return {
    sightings: parts.flatMap(({ sightings }) => sightings),
    unsent: new Map(parts.flatMap(({ unsent }) => [...unsent])),
    deaf: new Map(parts.flatMap(({ deaf }) => [...deaf]))
  }
}
