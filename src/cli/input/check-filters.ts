import { type Diagnostic, diagnosticOf, SpanplanError } from '../../errors.ts'
import { checkFilters } from '../../host/compile-filters.ts'
import { findFilterErrors, warnOfFilter } from '../../plan/resolve-filter.ts'
import { expressionsOf } from '../../plan/target.ts'
import type { Spec } from '../../spec/spec.ts'

/** What is wrong with the filters, or why they were not checked. */
interface FilterFindings {
  readonly errors: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

/** Checks the filters of a spec with tcpdump, where it can be run. */
export async function checkFiltersOf(spec: Spec): Promise<FilterFindings> {
  const warnings = spec.spans.flatMap((span) => span.sources.flatMap((source) => warnOfFilter(span, source)))
  try {
    const compiled = await checkFilters(expressionsOf(spec))
    return { errors: findFilterErrors(spec, compiled), warnings }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const { message, hint } = diagnosticOf(error)
    const text = `the filters were not checked: ${message}`
    return { errors: [], warnings: [...warnings, { code: 'FILTER_UNCHECKED', message: text, ...(hint && { hint }) }] }
  }
}
