import { SpanplanError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import type { Target } from '../plan/target.ts'

/**
 * A file that lost its content, by a slip or half-written, must not take every tap down.
 *
 * @throws SpanplanError EMPTY_REFUSED.
 */
export function checkEmpty(target: Target, { changes }: Plan, allowed: boolean): void {
  if (allowed || target.want === 'nothing' || target.spec.spans.length > 0) return
  const removals = changes.filter(({ action }) => action === 'remove').length
  if (removals === 0) return
  throw new SpanplanError({
    code: 'EMPTY_REFUSED',
    message: `the file has no spans, and this would remove all that is live (${removals}). Nothing was changed.`,
    hint: 'if that is meant: --allow-empty'
  })
}
