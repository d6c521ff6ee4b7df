import { type Diagnostic, diagnostic, SpanplanError } from '../errors.ts'
import { countEmptyFileRemovals, ifEmptyIsMeant, type PlanView, planTarget } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { everySpan } from '../spec/scope.ts'

/** What to run so that the host is as the file says; or why that would end with an error, or would not last. */
export type Advice = { readonly command: string } | { readonly refusal: Diagnostic } | { readonly undone: string }

/** A watch keeps the spans as other files say than those of this command, or as these said before. */
export interface OtherFiles {
  /** Which files it keeps, and what that means. */
  readonly diagnostic: Diagnostic
  /** The spans in which it undoes what an apply changes. */
  readonly undone: readonly string[]
  /** Why an apply of these spans does not last, in one clause. */
  readonly clause: string
  /** It keeps what its files said last: as they are now, they are missing or refused. */
  readonly isLost: boolean
}

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
 * @param write gives the command that applies the file, or one span of it.
 * @param other what a watch keeps instead; null: it keeps the same, or none runs.
 */
export function adviseApply(
  target: Target,
  view: PlanView,
  write: (span: string | null) => string,
  other: OtherFiles | null
): AdviseApply {
  const known = new Map<string | null, Advice>()
  const advise = (span: string | null): Advice => {
    if (other?.undone.some((name) => span === null || name === span)) return { undone: other.clause }
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

function findRefusal(target: Target, view: PlanView): Diagnostic | null {
  const strict = { ...target, patient: false, recreate: everySpan }
  try {
    const { plan } = planTarget(strict, view)
    if (countEmptyFileRemovals(strict, plan) === 0) return null
    return diagnostic('EMPTY_REFUSED', 'the file has no spans', ifEmptyIsMeant(target))
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return error.diagnostics[0] ?? null
  }
}

/** The advice as a hint. */
export function writeAdvice(advice: Advice): string {
  if ('command' in advice) return `run: ${advice.command}`
  if ('undone' in advice) return advice.undone
  const { message, hint } = advice.refusal
  return `spanplan apply is refused for now: ${message}${hint === undefined ? '' : `; ${hint}`}`
}
