import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Filter, Link } from '../../host/snapshot.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import type { Spec } from '../../spec/spec.ts'
import { mirrorHandle } from '../marks.ts'

/** The link that somebody has renamed since a mirror of the span was made on it; undefined: there is none that had this name. */
export function findRenamedLink(
  name: string,
  span: Pick<SpanSpec, 'name'>,
  { spec, host }: { readonly spec: Spec; readonly host: HostIndex }
): Link | undefined {
  const isMadeThere = ({ device, tcHook, mirror, handle }: Filter) =>
    device !== name &&
    mirror !== null &&
    handle === mirrorHandle({ owner: spec.name, span: span.name, device: name, tcHook })
  return host.linkOf(host.filters.find(isMadeThere)?.device ?? null)
}

/** What is wrong with a link that should have a name, and what to do. */
export function sayRenamed(link: Pick<Link, 'name'>, name: string): string {
  return `somebody has renamed it, to ${link.name}: ${giveNameBack(link, name)}`
}

/** What gives a link the name back by which it is known. */
export function giveNameBack(link: Pick<Link, 'name'>, name: string): string {
  const command = shellLine(['ip', 'link', 'set', 'dev', link.name, 'name', name])
  return `give it its name back (before Linux 6.2, set it down first): ${command}`
}
