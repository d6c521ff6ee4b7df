import { type Diagnostic, diagnosticOf } from '../../errors.ts'
import { liveSpans } from '../../plan/live-spans.ts'
import { type Facts, type PlanView, planTarget } from '../../plan/plan-view.ts'
import { exceptSpans, matchesSpan } from '../../spec/scope.ts'
import type { FileTarget } from './file-target.ts'

/** One span, or all of them (null), that could not be made true. */
export interface Failure {
  readonly span: string | null
  readonly diagnostic: Diagnostic
  /** It only stands in the way of the plan: to find out whether it still does costs nothing. */
  readonly planned: boolean
}

/** What is wanted less the spans in whose way something stands. */
export interface PartialPlan {
  readonly target: FileTarget
  readonly view: PlanView
  readonly failures: readonly Failure[]
}

/** Plans what nothing stands in the way of. */
export function planPartially(target: FileTarget, facts: Facts): PartialPlan {
  const whole = tryToPlan(target, facts)
  if ('view' in whole) return { target, view: whole.view, failures: loopsIn(whole.view) }
  const kept = new Set<string>()
  const failures: Failure[] = []
  // One after the other, for two of them may stand in each other's way.
  const all = [...new Set([...spansOf(target), ...goingSpans(target, facts)])]
  const leaving = (name: string | null) =>
    leaveAlone(
      target,
      all.filter((span) => !kept.has(span) && span !== name)
    )
  for (const name of all) {
    const tried = tryToPlan(leaving(name), facts)
    if ('view' in tried) kept.add(name)
    else failures.push({ span: name, diagnostic: tried.diagnostic, planned: true })
  }
  const possible = leaving(null)
  const view = planTarget(possible, facts)
  return { target: possible, view, failures: [...failures, ...loopsIn(view)] }
}

/** A source that was left out because it would feed its own span is no mere wait: somebody has to take it out of the file. */
function loopsIn({ plan }: PlanView): Failure[] {
  return plan.waiting
    .filter(({ diagnostic }) => diagnostic.code === 'LOOP')
    .map(({ span, diagnostic }) => ({ span, diagnostic, planned: true }))
}

function tryToPlan(
  target: FileTarget,
  facts: Facts
): { readonly view: PlanView } | { readonly diagnostic: Diagnostic } {
  try {
    return { view: planTarget(target, facts) }
  } catch (error) {
    return { diagnostic: diagnosticOf(error) }
  }
}

function leaveAlone(target: FileTarget, spans: readonly string[]): FileTarget {
  return { ...target, scope: { ...target.scope, spans: exceptSpans(target.scope.spans, spans) } }
}

/** The spans that are live, and go because the file does not know them. */
function goingSpans(target: FileTarget, { host }: Facts): string[] {
  return liveSpans(target, host).filter((name) => matchesSpan(target.scope.spans, name))
}

/** The names of the spans of the file that it is about. */
export function spansOf({ spec, scope }: FileTarget): string[] {
  return spec.spans.map(({ name }) => name).filter((name) => matchesSpan(scope.spans, name))
}
