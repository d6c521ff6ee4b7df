import type { Diagnostic } from '../../errors.ts'
import type { SpecTarget } from '../../plan/target.ts'
import type { Pauses } from '../../run-dir/pauses.ts'
import { everySpan, exceptSpans } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'

/** What a watch aims at: what a file wants. */
export type FileTarget = SpecTarget

/** How far a watch may go. */
interface Limits {
  /** Spans of this name that the file does not know go. */
  readonly prune: boolean
  /** Also where the file has none at all. */
  readonly allowEmpty: boolean
}

/** What is to be true now: less what is paused, and what is left alone for a while; null: nothing is to be touched at all. */
export function currentTarget(
  limits: Pick<Limits, 'prune'>,
  spec: Spec,
  holds: Pauses,
  rests: (span: string) => boolean
): FileTarget | null {
  const { pauses } = holds
  if (pauses.some(({ span }) => span === null)) return null
  const target = wholeTarget(limits, spec, holds)
  const left = [...pauses.flatMap(({ span }) => span ?? []), ...spec.spans.map(({ name }) => name).filter(rests)]
  return { ...target, scope: { ...target.scope, spans: exceptSpans(target.scope.spans, left) } }
}

/** Milliseconds for which a watch waits for tcpdump; it is woken once what takes longer is there. */
const filterPatience = 2000

/** All that the file wants, whether it is to be touched now or not. */
export function wholeTarget({ prune }: Pick<Limits, 'prune'>, spec: Spec, { goingDown }: Pauses): FileTarget {
  const spans = prune ? everySpan : { only: new Set(spec.spans.map(({ name }) => name)) }
  const scope = { name: spec.name, spans }
  const order = { spec, scope, adopt: false, patient: true, goingDown }
  return { ...order, want: 'spec', deferDocker: false, filterPatience }
}

/** What a valid file may not turn to while a watch runs. */
export function refuseChange({ prune, allowEmpty }: Limits, wanted: Spec, before: Spec): Diagnostic | null {
  if (wanted.name !== before.name) {
    return {
      code: 'NAME_CHANGED',
      message: `the name is ${wanted.name} by now, and this watch keeps the spans of the name ${before.name}`,
      hint: `restart the watch; before that, if they are to go: spanplan destroy --name ${before.name}`
    }
  }
  if (wanted.spans.length > 0 || before.spans.length === 0 || !prune || allowEmpty) return null
  return {
    code: 'EMPTY_REFUSED',
    message: 'the file has no spans by now, and this would remove all of them. Nothing was changed.',
    hint: 'if that is meant: spanplan destroy, or a watch with --allow-empty'
  }
}
