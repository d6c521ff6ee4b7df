import { meaningOf } from '../../codes/meanings.ts'
import { type Diagnostic, diagnostic, type Origin } from '../../errors.ts'
import type { CompiledFilters } from '../../host/parsers/pcap.ts'
import type { Program } from '../../host/snapshot.ts'
import { joinPrograms } from '../../resources/programs/join-programs.ts'
import { writeSample } from '../../resources/programs/sample-program.ts'
import { writeShare } from '../../resources/programs/share-program.ts'
import { sensorTitle } from '../../spec/check-sensors.ts'
import { filtersOf } from '../../spec/filter/filters-of.ts'
import type { FilterSpec } from '../../spec/items/filter-key.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { copiedOf } from '../../spec/outputs/left-out-packets.ts'
import { outputSummary } from '../../spec/outputs/registry.ts'
import type { Spec } from '../../spec/spec.ts'
import { findExcess, tooLarge } from './program-size.ts'
import { inSpan, resolveCopied, resolveFilter } from './resolve-filter.ts'

/** All that is wrong with the filters of a spec, as far as they are compiled: each by itself, and with what it is joined to. */
export function findFilterErrors(spec: Spec, filters: CompiledFilters): Diagnostic[] {
  return spec.spans.flatMap((span) => {
    const own = filtersOf({ ...span, sources: [] }).map((filtered) => resolveFilter(filtered, filters))
    const copied = span.sources.map((source) => resolveCopied(source, copiedOf(source, span, spec), filters))
    const errors = [...copied, ...own].flatMap((resolved) => ('error' in resolved ? resolved.error : []))
    return [...errors, ...findLongParts(span, spec, filters)].map((error) => inSpan(span, error))
  })
}

/** Those that are a fault of the file, which is not in force with them: that lo is down is none. */
export function findFaultyFilters(spec: Spec, filters: CompiledFilters): Diagnostic[] {
  return findFilterErrors(spec, filters).filter((error) => meaningOf(error).endedBy === 'file')
}

/** A receiver of a part, or all members of a balance, of which each has a program of the same length. */
interface PartOfFile {
  readonly title: string
  readonly filter: FilterSpec | null
  readonly share: readonly Program[]
  readonly origin: Origin
}

function partsOf({ sensors, outputs, balances }: SpanSpec): PartOfFile[] {
  const alone = [
    ...sensors.map((sensor) => ({ ...sensor, title: sensorTitle(sensor) })),
    ...outputs.map((output) => ({ ...output, title: outputSummary(output, () => undefined).title }))
  ].filter(({ filter, balance }) => balance === null && filter !== null)
  return [
    ...alone.map(({ title, filter, origin }) => ({ title, filter, share: [], origin })),
    ...balances.map(({ hash, filter, origin }) => ({
      title: 'a member of the balance',
      filter,
      share: [writeShare({ hash, buckets: new Set(), rest: false })],
      origin
    }))
  ]
}

/** What a source's filter, its sample, a part's filter and a share are together is one program. */
function findLongParts(span: SpanSpec, spec: Spec, filters: CompiledFilters): Diagnostic[] {
  return partsOf(span).flatMap(({ title, filter, share, origin }) => {
    const own = resolveFilter({ filter, limit: null }, filters)
    const mirrors = span.sources.flatMap((source) => {
      const copied = resolveCopied(source, copiedOf(source, span, spec), filters)
      if (!('program' in own && 'program' in copied)) return []
      const sample = source.sample === null ? [] : [writeSample(source.sample)]
      return { program: joinPrograms([copied.program, own.program, ...sample, ...share]), limit: source.limit }
    })
    const excess = findExcess(mirrors)
    return excess === null ? [] : explainLongPart(title, excess, origin)
  })
}

/** @param title of who takes the part. */
export function explainLongPart(title: string, excess: string, origin: Origin): Diagnostic {
  const message = `with the filter of a source, what ${title} takes compiles to ${excess}`
  return diagnostic('FILTER_TOO_LARGE', message, tooLarge, origin)
}
