import { type Diagnostic, diagnosticOf } from '../../errors.ts'
import { liveSpans } from '../../plan/live-spans.ts'
import { type Facts, type PlanView, planTarget } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { matchesSpan } from '../../spec/scope.ts'
import { spansOf, withoutSpans } from './targets.ts'

/** Why a span could not be brought in sync. */
export interface Failure {
  /** null: all spans. */
  readonly span: string | null
  readonly diagnostic: Diagnostic
  /** Whether the span is left alone until its backoff is over. Else each run tries it, as that costs nothing. */
  readonly backsOff: boolean
}

/** A plan without the spans that cannot be planned. */
export interface PartialPlan {
  readonly target: Target
  readonly view: PlanView
  readonly failures: readonly Failure[]
}

/** Plans as many spans as can be planned together. */
export function makePartialPlan(target: Target, facts: Facts): PartialPlan {
  const complete = tryToPlan(target, facts)
  if ('view' in complete) return { target, view: complete.view, failures: loopsIn(complete.view) }
  const planned = new Set<string>()
  const failures: Failure[] = []
  const spans = [...new Set([...spansOf(target), ...spansToRemove(target, facts)])]
  const withAlso = (name: string | null) => {
    const others = spans.filter((span) => !planned.has(span) && span !== name)
    return withoutSpans(target, others)
  }
  // Each span is tried with those before it: two spans may conflict with each other.
  for (const span of spans) {
    const attempt = tryToPlan(withAlso(span), facts)
    if ('view' in attempt) planned.add(span)
    else failures.push({ span, diagnostic: attempt.diagnostic, backsOff: false })
  }
  const partial = withAlso(null)
  const view = planTarget(partial, facts)
  return { target: partial, view, failures: [...failures, ...loopsIn(view)] }
}

/** A source that would feed its own span waits for a change of the file, not of the host. So it is a failure too. */
function loopsIn({ plan }: PlanView): Failure[] {
  return plan.waiting
    .filter(({ diagnostic }) => diagnostic.code === 'LOOP')
    .map(({ span, diagnostic }) => ({ span, diagnostic, backsOff: false }))
}

function tryToPlan(target: Target, facts: Facts): { readonly view: PlanView } | { readonly diagnostic: Diagnostic } {
  try {
    return { view: planTarget(target, facts) }
  } catch (error) {
    return { diagnostic: diagnosticOf(error) }
  }
}

/** The live spans that are not in the file, and in the target's scope. */
function spansToRemove(target: Target, { host }: Facts): string[] {
  return liveSpans(target, host).filter((name) => matchesSpan(target.scope.spans, name))
}
