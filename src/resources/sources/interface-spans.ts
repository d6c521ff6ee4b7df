import type { LinkIndex } from '../../host/host-index.ts'
import type { IpLink } from '../../host/snapshot.ts'
import type { Spec } from '../../spec/spec.ts'
import { hostKindOf } from './registry.ts'

/** An interface, and the spans of a file that copy from it. */
export interface InterfaceSpans {
  /** The name of its device; the name that was asked for where there is no device. */
  readonly device: string
  /** The names of the spans. */
  readonly spans: readonly string[]
}

/**
 * Finds the spans of a file that copy from an interface. The file may call it by its name, by an altname, or by its MAC
 * address. Where there is no device, only the name is compared.
 *
 * @param name of a device, or one of its altnames.
 */
export function findInterfaceSpans(spec: Spec, name: string, host: LinkIndex<IpLink>): InterfaceSpans {
  const link = host.findLink(name)
  const spans = spec.spans.filter(({ sources }) =>
    sources.some((source) => hostKindOf(source).isDevice(source, name, link, { spec, host }))
  )
  return { device: link?.name ?? name, spans: spans.map((span) => span.name) }
}
