import { meaningOf } from '../../codes/meanings.ts'
import { SpanplanError } from '../../errors.ts'
import { liveSpans } from '../../plan/live-spans.ts'
import { type HostReading, type PlanView, planTarget } from '../../plan/plan-view.ts'
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

/** Plans as many spans as can be planned together: of two that conflict with each other, the one that comes first. */
export function makePartialPlan(target: Target, reading: HostReading): PartialPlan {
  try {
    return planAll(target, reading)
  } catch (error) {
    const live = liveSpans(target, reading.host).filter((name) => matchesSpan(target.scope.spans, name))
    const spans = [...new Set([...spansOf(target), ...live])]
    const only = (chosen: ReadonlySet<string>) =>
      withoutSpans(
        target,
        spans.filter((span) => !chosen.has(span))
      )
    const { planned, failures } = sortOut(spans, namedIn(error), (chosen) => planTarget(only(chosen), reading))
    const partial = planAll(only(planned), reading)
    return { ...partial, failures: [...failures, ...partial.failures] }
  }
}

/**
 * Tells the spans that can be planned together from those that cannot. One plan decides on many spans, so that a conflict of a few
 * costs a few plans, however many spans there are.
 *
 * @param suspects the spans that are likely to fail. They come last, so that all others are decided on at once.
 * @param plan throws if these spans cannot be planned together.
 */
export function sortOut(
  spans: readonly string[],
  suspects: ReadonlySet<string>,
  plan: (spans: ReadonlySet<string>) => void
): { readonly planned: ReadonlySet<string>; readonly failures: readonly Problem[] } {
  let planned: ReadonlySet<string> = new Set()
  const failures: Problem[] = []
  const add = (some: readonly string[]) => {
    const [first] = some
    if (first === undefined) return
    const together = new Set([...planned, ...some])
    try {
      plan(together)
      planned = together
    } catch (error) {
      if (some.length === 1) failures.push(failureOf(first, error, false))
      else {
        const middle = Math.ceil(some.length / 2)
        add(some.slice(0, middle))
        add(some.slice(middle))
      }
    }
  }
  add(spans.filter((span) => !suspects.has(span)))
  add(spans.filter((span) => suspects.has(span)))
  return { planned, failures }
}

/** The spans whose resources an error names. */
function namedIn(error: unknown): ReadonlySet<string> {
  const diagnostics = error instanceof SpanplanError ? error.diagnostics : []
  return new Set(diagnostics.flatMap(({ subject }) => subject?.span ?? []))
}

/** What waits for a change of the file, not of the host, is a failure: a source that would feed its own span, or a filter that nobody understands. */
function planAll(target: Target, reading: HostReading): PartialPlan {
  const view = planTarget(target, reading)
  const failures = view.plan.waiting
    .filter(({ diagnostic }) => meaningOf(diagnostic).endedBy === 'file')
    .map(({ span, diagnostic }): Problem => ({ span, reason: 'failed', diagnostic, backsOff: false }))
  return { target, view, failures }
}
