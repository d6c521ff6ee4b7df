import type { SourceOf, SourceSpec, SpanSpec } from '../../spec/spec.ts'
import type { ContainerSelector } from '../../spec/values/container-selector.ts'
import { containerSource } from './container.ts'
import type { Context, HostSourceKind, ResolvedSource } from './host-source-kind.ts'
import { interfaceSource } from './interface.ts'

const kinds: { readonly [Kind in SourceSpec['kind']]: HostSourceKind<SourceOf<Kind>> } = {
  interface: interfaceSource,
  container: containerSource
}

/** Resolves a source, as its kind does. */
export function resolveSource<Kind extends SourceSpec['kind']>(
  source: SourceOf<Kind>,
  span: SpanSpec,
  context: Context
): ResolvedSource {
  return kinds[source.kind].resolve(source, span, context)
}

/** The containers that have to be read to resolve a source. */
export function sourceContainers<Kind extends SourceSpec['kind']>(
  source: SourceOf<Kind>
): readonly ContainerSelector[] {
  return kinds[source.kind].containers(source)
}
