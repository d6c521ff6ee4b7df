import type { SourceSpec } from '../items/source-item.ts'
import type { SpanSpec } from '../items/span-item.ts'

/** A filter, and the limit of what it copies, which takes room of the same message to the kernel. */
export type Filtered = Pick<SourceSpec, 'filter' | 'limit'>

/** What has a filter in a span: its sources, and whoever gets a part. */
export function filtersOf({ sources, sensors, outputs, balances }: SpanSpec): readonly Filtered[] {
  return [...sources, ...[...sensors, ...outputs, ...balances].map(({ filter }) => ({ filter, limit: null }))]
}

/** Whether anything of a span has a filter. */
export function hasFilters(span: SpanSpec): boolean {
  return filtersOf(span).some(({ filter }) => filter !== null)
}
