import { type Diagnostic, diagnostic, SpanplanError } from '../errors.ts'
import { countEmptyFileRemovals, type PlanView, planTarget } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'

/** What to run so that the host is as the file says; or why that would end with an error. */
export type Advice = { readonly command: string } | { readonly refusal: Diagnostic }

/** What helps against what differs in one span; null: in all of them. */
export type AdviseApply = (span: string | null) => Advice

/** Advice where there is no file that could be applied. */
export const adviseNothing: AdviseApply = () => ({
  refusal: diagnostic('FILE_MISSING', 'there is no valid file to apply', 'repair the file')
})

/**
 * Makes what gives advice on a plan. A plan that waits for what is missing does not tell whether an apply, which does not wait,
 * is refused: so the same facts are planned as an apply plans them.
 *
 * @param write the command that applies the file, or one span of it.
 */
export function adviseApply(target: Target, view: PlanView, write: AdviseCommand): AdviseApply {
  const known = new Map<string | null, Advice>()
  const advise = (span: string | null): Advice => {
    const whole = findRefusal(target, view)
    if (whole === null) return { command: write(null) }
    const { scope } = target
    const part = { ...target, scope: { ...scope, spans: { only: new Set(span === null ? [] : [span]) } } }
    return span !== null && findRefusal(part, view) === null ? { command: write(span) } : { refusal: whole }
  }
  return (span) => {
    const advice = known.get(span) ?? advise(span)
    known.set(span, advice)
    return advice
  }
}

/** Writes the command; null: without selecting a span. */
type AdviseCommand = (span: string | null) => string

function findRefusal(target: Target, view: PlanView): Diagnostic | null {
  const strict = { ...target, patient: false, recreate: true }
  try {
    const { plan } = planTarget(strict, view)
    if (countEmptyFileRemovals(strict, plan) === 0) return null
    return diagnostic('EMPTY_REFUSED', 'the file has no spans', 'if you want that: spanplan destroy')
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return error.diagnostics[0] ?? null
  }
}

/** The advice as a hint. */
export function writeAdvice(advice: Advice): string {
  if ('command' in advice) return `run: ${advice.command}`
  const { message, hint } = advice.refusal
  return `spanplan apply is refused for now: ${message}${hint === undefined ? '' : `; ${hint}`}`
}
