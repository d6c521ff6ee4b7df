import { diagnostic, diagnosticOf, SpanplanError } from '../../errors.ts'
import { checkFilters } from '../../host/compile-filters.ts'
import { findFilterErrors } from '../../plan/resolve/filter-errors.ts'
import { warnOfFilter } from '../../plan/resolve/resolve-filter.ts'
import { expressionsOf } from '../../plan/target.ts'
import { filtersOf } from '../../spec/filter/filters-of.ts'
import type { Spec } from '../../spec/spec.ts'

/** Checks the filters of a spec with tcpdump; where it cannot be run, a warning says why. */
export async function checkFiltersOf(spec: Spec) {
  const warnings = spec.spans.flatMap((span) => filtersOf(span).flatMap((filtered) => warnOfFilter(span, filtered)))
  try {
    const compiled = await checkFilters(expressionsOf(spec))
    return { errors: findFilterErrors(spec, compiled), warnings }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const { message, hint } = diagnosticOf(error)
    const unchecked = diagnostic('FILTER_UNCHECKED', `the filters were not checked: ${message}`, hint)
    return { errors: [], warnings: [...warnings, unchecked] }
  }
}
