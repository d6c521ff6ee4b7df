import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, Exit, SpanplanError, sortByPlace } from '../../errors.ts'
import { compileFilters, peekFilters } from '../../host/compile-filters.ts'
import { subnetSeed } from '../../host/docker/subnet-seed.ts'
import type { CompiledFilters } from '../../host/parsers/pcap.ts'
import { shellLine } from '../../host/quote-command.ts'
import { findFaultyFilters } from '../../plan/resolve/filter-errors.ts'
import { expressionsOf, makeTarget, nothingRests, type Resting, type Target } from '../../plan/target.ts'
import { destroyOf } from '../../resources/ownership.ts'
import type { Pauses } from '../../run-dir/pauses.ts'
import { printSpan } from '../../spec/items/span-item.ts'
import { printSpec } from '../../spec/print.ts'
import { everySpan, exceptSpans, matchesSpan, noSpan, scopeOf } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Refusals } from '../triggers/watched-files.ts'

/** What a watch may remove. */
export interface RemovalPolicy {
  /** Spans of this name that are not in the file are removed. */
  readonly prune: boolean
  /** What disconnects running sensors is done; else it waits for a person. */
  readonly recreate: boolean
  /** Also all spans at once, where the file has none. */
  readonly allowEmpty: boolean
}

/** What a run leaves alone. */
export interface LeftAlone extends Resting {
  /** Spans of which nothing is tried. */
  readonly excluded: readonly string[]
}

/** A run that leaves nothing alone. */
export const nothingLeftAlone: LeftAlone = { ...nothingRests, excluded: [] }

/** Whether there is something that a run leaves alone. */
export function isSomeLeftAlone({ excluded, things, spans }: LeftAlone): boolean {
  return excluded.length + things.size + spans.size > 0
}

/**
 * The target of a run: the file's spans, less what is paused or left alone.
 *
 * @returns null where all spans are paused.
 */
export function makeRunTarget(
  policy: RemovalPolicy,
  spec: Spec,
  { pauses, goingDown }: Pauses,
  { excluded, ...resting }: LeftAlone
): Target | null {
  if (pauses.some(({ span }) => span === null)) return null
  return withoutPaused(withoutSpans({ ...makeFileTarget(policy, spec, goingDown), resting }, excluded), pauses)
}

/** The same target without the spans that are paused. */
export function withoutPaused(target: Target, pauses: Pauses['pauses']): Target {
  const spans = pauses.map(({ span }) => span)
  return withoutSpans(target, spans)
}

/** Milliseconds to wait for tcpdump to compile filters. What takes longer wakes the watch when it is done. */
const filterPatience = 2000

/** All that the file says, paused or not. */
export function makeFileTarget({ prune, recreate }: RemovalPolicy, spec: Spec, goingDown: Pauses['goingDown']): Target {
  const spans = prune ? everySpan : { only: new Set(spec.spans.map(({ name }) => name)) }
  const scope = scopeOf(spec, spans)
  const how = { recreate: recreate ? everySpan : noSpan, patient: true, deferDocker: false, filterPatience }
  return makeTarget(spec, { scope, ...how, goingDown, subnetSeed })
}

/** The same target without some spans; null stands for all spans. */
export function withoutSpans(target: Target, spans: readonly (string | null)[]): Target {
  const names = spans.filter((span) => span !== null)
  const left = names.length < spans.length ? noSpan : exceptSpans(target.scope.spans, names)
  return { ...target, scope: { ...target.scope, spans: left } }
}

/** The part of a target whose spans are the same in an earlier spec. Without an earlier spec, no span is. */
export function unchangedPart(target: Target, before: Spec | null): Target {
  const { spec, scope } = target
  const others = ({ spans: _, ...rest }: Spec) => printSpec({ ...rest, spans: [] })
  const isComparable = before !== null && others(before) === others(spec)
  const known = new Map(isComparable ? before.spans.map((span) => [span.name, span]) : [])
  const same = spec.spans.filter((span) => {
    const was = known.get(span.name)
    return (
      was !== undefined && matchesSpan(scope.spans, span.name) && isDeepStrictEqual(printSpan(was), printSpan(span))
    )
  })
  return { ...target, scope: { ...scope, spans: { only: new Set(same.map(({ name }) => name)) } } }
}

/** The names of the file's spans that are in the target's scope. */
export function spansOf({ spec, scope }: Target): string[] {
  return spec.spans.map(({ name }) => name).filter((name) => matchesSpan(scope.spans, name))
}

/**
 * Why a file whose syntax is valid is not accepted while a watch runs: also for a filter that tcpdump refuses. That tcpdump is
 * missing, lacks a right or fails is no fault of the file.
 */
export function checkNextSpec(policy: RemovalPolicy, next: Spec, before: Spec): Refusals {
  const change = checkSpecChange(policy, next, before)
  if (change !== null) return [change]
  const compiled = peekFilters(expressionsOf(next))
  const errors = findFaultyFilters(next, compiled)
  const isPending = [...compiled.values()].some(({ state }) => state === 'pending')
  return errors.length === 0 && isPending ? 'pending' : errors
}

/**
 * Checks the filters of the first file: there is no good one before it. What tcpdump takes long for is judged later.
 *
 * @throws SpanplanError with all filters that tcpdump refuses.
 */
export async function checkFirstSpec(spec: Spec): Promise<void> {
  const errors = findFaultyFilters(spec, await awaitFilters(spec))
  if (errors.length > 0) throw new SpanplanError(sortByPlace(errors, spec.files), Exit.invalidFile)
}

/** Waits for tcpdump to compile the filters, and not longer than for a run. */
export function awaitFilters(spec: Spec): Promise<CompiledFilters> {
  return compileFilters(expressionsOf(spec), filterPatience)
}

function checkSpecChange({ prune, allowEmpty }: RemovalPolicy, next: Spec, before: Spec): Diagnostic | null {
  if (next.name !== before.name && !next.formerly.includes(before.name)) {
    return {
      code: 'NAME_CHANGED',
      message: `the name in the file is now ${next.name}, but this watch was started for the name ${before.name}`,
      hint: `write "formerly: ${before.name}" beside "name": then the spans get the new name, and the watch goes on; else end the watch, and remove the old spans: ${shellLine(destroyOf(before.name))}`
    }
  }
  if (next.spans.length > 0 || before.spans.length === 0 || !prune || allowEmpty) return null
  return {
    code: 'EMPTY_REFUSED',
    message: 'the file no longer has spans, and applying it would remove all that are live',
    hint: `if you want that, end the watch, and then: ${shellLine(destroyOf(before.name))}; or start the watch with --allow-empty`
  }
}
