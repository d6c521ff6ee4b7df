import { groupBy, type LinkIndex } from '../../host/host-index.ts'
import type { IpLink } from '../../host/snapshot.ts'
import type { OutputSpec } from '../../spec/items/output-item.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import type { Spec } from '../../spec/spec.ts'
import { outputKindOf } from '../outputs/registry.ts'
import { hostKindOf } from './registry.ts'

/** An interface, and the spans of a file that its frames get to, or whose frames leave by it. */
export interface InterfaceSpans {
  /** The name of its device; the name that was asked for where there is no device. */
  readonly device: string
  /** The names of the spans. */
  readonly spans: readonly string[]
}

/**
 * Finds the spans of a file that copy from an interface or have it as an output, and those that copy from the bridges of such spans. The file may call the
 * interface by its name, by an altname, or by its MAC address. Where there is no device, only the name is compared.
 *
 * @param name of a device, or one of its altnames.
 */
export function findInterfaceSpans(spec: Spec, name: string, host: LinkIndex<IpLink>): InterfaceSpans {
  const isOf = (source: SourceSpec) => hostKindOf(source).isDevice(source, name, spec, host)
  const devices = spec.spans.flatMap((span) =>
    span.sources.flatMap((source) =>
      (hostKindOf(source).needs(source, spec).devices ?? []).map((device) => ({ device, bridge: span.bridge }))
    )
  )
  const copiersOf = groupBy(devices, ({ device }) => device)
  const isBy = (output: OutputSpec) => outputKindOf(output).isDevice(output, name, spec, host)
  const isAt = ({ sources, outputs }: SpanSpec) => sources.some(isOf) || outputs.some(isBy)
  const reached = new Set(spec.spans.flatMap((span) => (isAt(span) ? span.bridge : [])))
  // The loop also comes to what is added meanwhile.
  for (const bridge of reached) for (const copier of copiersOf(bridge)) reached.add(copier.bridge)
  const spans = spec.spans.filter((span) => reached.has(span.bridge))
  return { device: host.findLink(name)?.name ?? name, spans: spans.map((span) => span.name) }
}
