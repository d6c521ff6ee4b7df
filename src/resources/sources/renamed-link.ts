import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Filter, Link } from '../../host/snapshot.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { namesOf } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import { hashOf, mirrorHandle, readCookie } from '../marks.ts'

interface Known {
  readonly spec: Pick<Spec, 'name' | 'formerly'>
  readonly host: HostIndex
}

/** Whether a filter has the handle that the mirror of a span has on a device of this name. */
function isMadeFor(
  device: string,
  { bridge: name }: Pick<SpanSpec, 'bridge'>,
  { spec }: Known,
  filter: Filter
): boolean {
  const { tcHook, handle } = filter
  return namesOf(spec).some((owner) => handle === mirrorHandle({ owner, name, device, tcHook }))
}

/** The link that somebody has renamed since a mirror of the span was made on it; undefined: there is none that had this name. */
export function findRenamedLink(name: string, span: Pick<SpanSpec, 'bridge'>, known: Known): Link | undefined {
  const { host } = known
  const isMadeThere = (filter: Filter) =>
    filter.device !== name && filter.mirror !== null && isMadeFor(name, span, known, filter)
  return host.linkOf(host.filters.find(isMadeThere)?.device ?? null)
}

/** The links that somebody has renamed since mirrors of the span were made on them, whichever names they had. */
export function findRenamedLinks(span: Pick<SpanSpec, 'bridge'>, known: Known): string[] {
  const { spec, host } = known
  const isOwn = (filter: Filter) =>
    filter.mirror?.target === span.bridge &&
    namesOf(spec).some((owner) => readCookie(filter.mirror?.cookie ?? null)?.owner === hashOf(owner)) &&
    !isMadeFor(filter.device, span, known, filter)
  return host.filters.filter(isOwn).map(({ device }) => device)
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
