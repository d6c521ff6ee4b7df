import type { Diagnostic } from '../../errors.ts'
import { subnetSeed } from '../../host/docker/subnet-seed.ts'
import { makeTarget, type Target } from '../../plan/target.ts'
import type { Pauses } from '../../run-dir/pauses.ts'
import { everySpan, exceptSpans, matchesSpan, noSpan } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'

/** What a watch may remove. */
export interface RemovalPolicy {
  /** Spans of this name that are not in the file are removed. */
  readonly prune: boolean
  /** What disconnects running sensors is done; else it waits for a person. */
  readonly recreate: boolean
  /** Also all spans at once, where the file has none. */
  readonly allowEmpty: boolean
}

/**
 * The target of a run: the file's spans, less those that are paused or backed off.
 *
 * @returns null where all spans are paused.
 */
export function makeRunTarget(
  policy: RemovalPolicy,
  spec: Spec,
  { pauses, goingDown }: Pauses,
  isBackedOff: (span: string) => boolean
): Target | null {
  if (pauses.some(({ span }) => span === null)) return null
  const backedOff = spec.spans.map(({ name }) => name).filter(isBackedOff)
  return withoutPaused(withoutSpans(makeFileTarget(policy, spec, goingDown), backedOff), pauses)
}

/** The same target without the spans that are paused. */
export function withoutPaused(target: Target, pauses: Pauses['pauses']): Target {
  const isAll = pauses.some(({ span }) => span === null)
  return isAll
    ? { ...target, scope: { ...target.scope, spans: noSpan } }
    : withoutSpans(
        target,
        pauses.map(({ span }) => span)
      )
}

/** Milliseconds to wait for tcpdump to compile filters. What takes longer wakes the watch when it is done. */
const filterPatience = 2000

/** All that the file says, paused or not. */
export function makeFileTarget({ prune, recreate }: RemovalPolicy, spec: Spec, goingDown: Pauses['goingDown']): Target {
  const spans = prune ? everySpan : { only: new Set(spec.spans.map(({ name }) => name)) }
  const scope = { name: spec.name, spans }
  const how = { recreate, patient: true, deferDocker: false, filterPatience }
  return makeTarget(spec, { scope, ...how, goingDown, subnetSeed })
}

/** The same target without some spans. null among them is left out: it is no span's name. */
export function withoutSpans(target: Target, spans: readonly (string | null)[]): Target {
  const names = spans.filter((span) => span !== null)
  return { ...target, scope: { ...target.scope, spans: exceptSpans(target.scope.spans, names) } }
}

/** The names of the file's spans that are in the target's scope. */
export function spansOf({ spec, scope }: Target): string[] {
  return spec.spans.map(({ name }) => name).filter((name) => matchesSpan(scope.spans, name))
}

/** Why a valid file is not accepted while a watch runs; null: it is. */
export function checkSpecChange({ prune, allowEmpty }: RemovalPolicy, next: Spec, before: Spec): Diagnostic | null {
  if (next.name !== before.name) {
    return {
      code: 'NAME_CHANGED',
      message: `the name in the file is now ${next.name}, but this watch was started for the name ${before.name}`,
      hint: `restart the watch; to remove the old spans first: spanplan destroy --name ${before.name}`
    }
  }
  if (next.spans.length > 0 || before.spans.length === 0 || !prune || allowEmpty) return null
  return {
    code: 'EMPTY_REFUSED',
    message: 'the file no longer has spans, and applying it would remove all that are live. Nothing was changed.',
    hint: 'if you want that: spanplan destroy, or start the watch with --allow-empty'
  }
}
