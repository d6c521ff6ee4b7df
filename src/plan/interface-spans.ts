import type { HostIndex } from '../host/host-index.ts'
import { findInterface, matchOf } from '../resources/sources/interface.ts'
import type { Spec } from '../spec/spec.ts'

/** What an interface has to do with the spans of a file. */
export interface InterfaceSpans {
  /** The name that its device has; the name that was asked for where there is no device. */
  readonly card: string
  /** The spans that copy from it, by name. */
  readonly spans: readonly string[]
}

/**
 * The spans of the file that copy from an interface, however the file calls that: by its name, by an altname, or by its MAC
 * address. One that is not there is known by the name alone.
 *
 * @param name a device's, or one of its altnames.
 */
export function findInterfaceSpans(spec: Spec, name: string, host: HostIndex): InterfaceSpans {
  const card = host.findLink(name)
  const concerns = (source: string) => {
    const match = matchOf(spec, source)
    if (card === undefined) return 'name' in match && match.name === name
    const found = findInterface(match, host)
    return !('code' in found) && found.index === card.index
  }
  const spans = spec.spans.filter(({ sources }) =>
    sources.some((source) => 'interface' in source && concerns(source.interface))
  )
  return { card: card?.name ?? name, spans: spans.map((span) => span.name) }
}
