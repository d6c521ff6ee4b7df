import { liveSpans } from '../../plan/live-spans.ts'
import { type Facts, type PlanView, planTarget } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { matchesSpan } from '../../spec/scope.ts'
import { failureOf, type Problem } from '../degraded/backoff.ts'
import { spansOf, withoutSpans } from './targets.ts'

/** A plan without the spans that cannot be planned. */
export interface PartialPlan {
  readonly target: Target
  readonly view: PlanView
  readonly failures: readonly Problem[]
}

/** Plans as many spans as can be planned together. */
export function makePartialPlan(target: Target, facts: Facts): PartialPlan {
  try {
    return planAll(target, facts)
  } catch {
    // Some of the spans cannot be planned.
  }
  const planned = new Set<string>()
  const failures: Problem[] = []
  const live = liveSpans(target, facts.host).filter((name) => matchesSpan(target.scope.spans, name))
  const spans = [...new Set([...spansOf(target), ...live])]
  const withPlanned = (also: string | null) =>
    withoutSpans(
      target,
      spans.filter((span) => !planned.has(span) && span !== also)
    )
  // Each span is tried with those before it: two spans may conflict with each other.
  for (const span of spans) {
    try {
      planTarget(withPlanned(span), facts)
      planned.add(span)
    } catch (error) {
      failures.push(failureOf(span, error, false))
    }
  }
  const partial = planAll(withPlanned(null), facts)
  return { ...partial, failures: [...failures, ...partial.failures] }
}

/** A source that would feed its own span waits for a change of the file, not of the host. So it is a failure too. */
function planAll(target: Target, facts: Facts): PartialPlan {
  const view = planTarget(target, facts)
  const loops = view.plan.waiting.filter(({ diagnostic }) => diagnostic.code === 'LOOP')
  const failures = loops.map(
    ({ span, diagnostic }): Problem => ({ span, reason: 'failed', diagnostic, backsOff: false })
  )
  return { target, view, failures }
}
