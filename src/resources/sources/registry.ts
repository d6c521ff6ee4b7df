import type { SourceSpec, SpanSpec } from '../../spec/spec.ts'
import { interfaceSource } from './interface.ts'
import type { Context, ResolvedSource } from './source-kind.ts'

/** Resolves a source, as its kind does. */
export function resolveSource(source: SourceSpec, span: SpanSpec, context: Context): ResolvedSource {
  return interfaceSource.resolve(source, span, context)
}
