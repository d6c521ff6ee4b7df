import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic, diagnosticOf, nowhere } from '../../errors.ts'
import type { CompiledFilters } from '../../host/parsers/pcap.ts'
import type { Program } from '../../host/snapshot.ts'
import { everyFrame } from '../../host/tc-conventions.ts'
import { joinPrograms } from '../../resources/programs/join-programs.ts'
import { writeSample } from '../../resources/programs/sample-program.ts'
import { explainRefusal } from '../../spec/filter/explain.ts'
import type { Filtered } from '../../spec/filter/filters-of.ts'
import { findHostName } from '../../spec/filter/host-name.ts'
import { findInsideTag, type InsideTag } from '../../spec/filter/inside-tag.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { placeWithin } from '../../spec/yaml/tree.ts'
import { explainExcess, tooLarge } from './program-size.ts'

/** What a source's filter compiles to, why that is not known, or what is wrong with the filter. */
export type ResolvedFilter =
  | { readonly program: Program }
  | { readonly wait: Diagnostic }
  | { readonly error: Diagnostic }

/** Warns of a part of a filter that is looked for where frames need not have it. */
export function warnOfFilter({ name }: SpanSpec, { filter }: Pick<SourceSpec, 'filter'>): Diagnostic[] {
  const found = filter === null ? null : findInsideTag(filter.expression)
  if (filter === null || found === null) return []
  const { message, hint } = explainInsideTag(found)
  const place = placeWithin(filter.written, filter.expression, found.at)
  return [diagnostic('FILTER_INSIDE_TAG', `span ${name}: ${message}`, hint, place)]
}

function explainInsideTag({ part, wrapper, where, better }: InsideTag) {
  return {
    message: `what stands right of "${wrapper}" is looked for ${where}: "${part}" matches no frame without that`,
    hint:
      better === null
        ? `write all that is not ${where} to the left of "${wrapper}", or have a span for each`
        : `write: ${better}`
  }
}

/** What an expression compiles to that is in no file, checked as one in a file is; with warnings. */
export function resolveExpression(
  expression: string,
  filters: CompiledFilters
): { readonly resolved: ResolvedFilter; readonly warnings: readonly Diagnostic[] } {
  const host = findHostName(expression)
  if (host !== null) {
    return { resolved: { error: diagnostic('FILTER_HOST_NAME', host.message, host.hint) }, warnings: [] }
  }
  const filter = { expression, origin: nowhere, written: { source: '', at: nowhere } }
  const resolved = resolveFilter({ filter, limit: null }, filters)
  const found = findInsideTag(expression)
  const { message, hint } = found === null ? { message: '', hint: '' } : explainInsideTag(found)
  return {
    resolved: withoutPlace(resolved),
    warnings: found === null ? [] : [diagnostic('FILTER_INSIDE_TAG', message, hint)]
  }
}

function withoutPlace(resolved: ResolvedFilter): ResolvedFilter {
  if ('program' in resolved) return resolved
  const strip = ({ origin: _, ...rest }: Diagnostic): Diagnostic => rest
  return 'wait' in resolved ? { wait: strip(resolved.wait) } : { error: strip(resolved.error) }
}

/** The same error, which then says whose filter it is. */
export function inSpan({ name }: SpanSpec, diagnostic: Diagnostic): Diagnostic {
  return { ...diagnostic, message: `span ${name}: ${diagnostic.message}` }
}

/**
 * Looks up what is copied of a source among the compiled filters. What is wrong with the filter in the file is said of that.
 *
 * @param copied as {@link copiedOf} gives it.
 * @returns the program of the filter alone: what is sampled of it is found to be short enough, too.
 */
export function resolveCopied(source: SourceSpec, copied: string | null, filters: CompiledFilters): ResolvedFilter {
  const own = resolveFilter(source, filters)
  if (!('program' in own) || copied === (source.filter?.expression ?? null)) return checkSampled(source, own)
  const { origin, filter, limit } = source
  const written = filter?.written ?? { source: '', at: origin }
  return checkSampled(source, resolveFilter({ filter: { expression: copied ?? '', origin, written }, limit }, filters))
}

/** A sample is a part of the same program. */
function checkSampled({ filter, sample, limit, origin }: SourceSpec, resolved: ResolvedFilter): ResolvedFilter {
  if (!('program' in resolved) || sample === null) return resolved
  const excess = explainExcess({ program: joinPrograms([resolved.program, writeSample(sample)]), limit })
  if (excess === null) return resolved
  const message = `with its sample, the filter compiles to ${excess}`
  return { error: diagnostic('FILTER_TOO_LARGE', message, tooLarge, filter?.origin ?? origin) }
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
      const excess = explainExcess({ program, limit })
      return excess === null ? { program } : fail('FILTER_TOO_LARGE', `the filter compiles to ${excess}`, tooLarge)
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
