import type { Code } from '../../codes/explained-codes.ts'
import { meaningOf } from '../../codes/meanings.ts'
import { type Diagnostic, diagnostic, diagnosticOf } from '../../errors.ts'
import { type CompiledFilters, longestLimited, longestProgram } from '../../host/parsers/pcap.ts'
import type { Program } from '../../host/snapshot.ts'
import { everyFrame } from '../../host/tc-conventions.ts'
import { explainRefusal } from '../../spec/filter/explain.ts'
import { findInsideTag } from '../../spec/filter/inside-tag.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import type { Spec } from '../../spec/spec.ts'
import { placeWithin } from '../../spec/yaml/tree.ts'

/** What a source's filter compiles to, why that is not known, or what is wrong with the filter. */
export type ResolvedFilter =
  | { readonly program: Program }
  | { readonly wait: Diagnostic }
  | { readonly error: Diagnostic }

/** What has a filter in a span: its sources, and whoever gets a part. */
export function filtersOf({ sources, sensors, outputs, balances }: SpanSpec): readonly Filtered[] {
  return [...sources, ...[...sensors, ...outputs, ...balances].map(({ filter }) => ({ filter, limit: null }))]
}

/** A filter, and the limit of what it copies, which takes room of the same message to the kernel. */
type Filtered = Pick<SourceSpec, 'filter' | 'limit'>

/** Warns of a part of a filter that is looked for where frames need not have it. */
export function warnOfFilter({ name }: SpanSpec, { filter }: Pick<SourceSpec, 'filter'>): Diagnostic[] {
  const found = filter === null ? null : findInsideTag(filter.expression)
  if (filter === null || found === null) return []
  const { at, part, wrapper, where, better } = found
  const message = `span ${name}: what stands right of "${wrapper}" is looked for ${where}: "${part}" matches no frame without that`
  const hint =
    better === null
      ? `write all that is not ${where} to the left of "${wrapper}", or have a span for each`
      : `write: ${better}`
  return [diagnostic('FILTER_INSIDE_TAG', message, hint, placeWithin(filter.written, filter.expression, at))]
}

/** What helps against a filter that is too large. */
export const tooLarge = 'use wider networks, or split it over several spans'

/** All that is wrong with the filters of a spec, as far as they are compiled. */
export function findFilterErrors({ spans }: Spec, filters: CompiledFilters): Diagnostic[] {
  return spans.flatMap((span) =>
    filtersOf(span).flatMap((filtered) => {
      const resolved = resolveFilter(filtered, filters)
      return 'error' in resolved ? inSpan(span, resolved.error) : []
    })
  )
}

/** Those that are a fault of the file, which is not in force with them: that lo is down is none. */
export function findFaultyFilters(spec: Spec, filters: CompiledFilters): Diagnostic[] {
  return findFilterErrors(spec, filters).filter((error) => meaningOf(error).endedBy === 'file')
}

/** The same error, which then says whose filter it is. */
export function inSpan({ name }: SpanSpec, diagnostic: Diagnostic): Diagnostic {
  return { ...diagnostic, message: `span ${name}: ${diagnostic.message}` }
}

/**
 * Looks up what is copied of a source among the compiled filters. What is wrong with the filter in the file is said of that.
 *
 * @param copied as {@link copiedOf} gives it.
 */
export function resolveCopied(source: SourceSpec, copied: string | null, filters: CompiledFilters): ResolvedFilter {
  const own = resolveFilter(source, filters)
  if (!('program' in own) || copied === (source.filter?.expression ?? null)) return own
  const { origin, filter, limit } = source
  const written = filter?.written ?? { source: '', at: origin }
  return resolveFilter({ filter: { expression: copied ?? '', origin, written }, limit }, filters)
}

/** Looks a filter up among the compiled ones. */
export function resolveFilter({ filter, limit }: Filtered, filters: CompiledFilters): ResolvedFilter {
  if (filter === null) return { program: everyFrame }
  const { expression, origin, written } = filter
  const fail = (code: Code, message: string, hint: string, place = origin) => ({
    error: diagnostic(code, message, hint, place)
  })
  const compiled = filters.get(expression)
  switch (compiled?.state) {
    case 'compiled': {
      const { program } = compiled
      const length = Number.parseInt(program, 10)
      const [longest, beside] = limit === null ? [longestProgram, ''] : [longestLimited, ' beside a limit']
      if (length <= longest) return { program }
      const message = `the filter compiles to ${length} instructions; tc accepts at most ${longest}${beside}`
      return fail('FILTER_TOO_LARGE', message, tooLarge)
    }
    case 'endless': {
      const message = `tcpdump did not finish compiling the filter within ${compiled.limit} s, and was stopped`
      return fail('FILTER_TOO_LARGE', message, tooLarge)
    }
    case 'pending':
      return {
        wait: diagnostic('FILTER_PENDING', `waits for tcpdump, which is compiling "${expression}"`, undefined, origin)
      }
    case 'forbidden': {
      const message = `waits for CAP_NET_RAW: only with it can the filter "${expression}" be compiled`
      return { wait: diagnostic('FILTER_FORBIDDEN', message, 'run it as root, with sudo', origin) }
    }
    case 'unavailable': {
      const { message, hint } = diagnosticOf(compiled.error)
      const text = `waits for tcpdump, which cannot compile the filter "${expression}": ${message}`
      return { wait: diagnostic('FILTER_UNCHECKED', text, hint, origin) }
    }
    case 'down':
      return fail('LOOPBACK_DOWN', 'the filter cannot be compiled while the interface lo is down', 'ip link set lo up')
    case 'invalid':
    case undefined: {
      const message = `tcpdump does not understand the filter: ${compiled?.message ?? 'it was not asked'}`
      const { at, hint } = explainRefusal(expression, compiled?.message ?? '')
      return fail('FILTER_INVALID', message, hint, at === null ? origin : placeWithin(written, expression, at))
    }
  }
}
