import { label } from '../host/docker/docker-names.ts'
import { type EndpointNote, parseNote } from '../host/docker/endpoint-note.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Link } from '../host/snapshot.ts'
import { matchesSpan } from '../spec/scope.ts'
import { readSubnet, subnetsOverlap } from '../spec/values/subnet.ts'
import type { DesiredSpans, DesiredState } from './desired-state.ts'
import { bridgeMac, readMark } from './marks.ts'

/** Whether a thing of this owner and span may be touched. */
export function isInScope({ scope }: Pick<DesiredSpans, 'scope'>, owner: string | undefined, span: string): boolean {
  return owner !== undefined && (scope.name === null || owner === scope.name) && matchesSpan(scope.spans, span)
}

/** Whether a bridge is a span's of this owner, by its alias or, until it has one, its address. */
export function ownsBridge(desired: DesiredSpans, link: Link): boolean {
  const owner = desired.scope.name ?? desired.owner
  const mark = readMark(link)
  if (mark !== null) return isInScope(desired, mark.owner, link.name)
  return link.kind === 'bridge' && link.mac === bridgeMac(owner, link.name) && isInScope(desired, owner, link.name)
}

/** What a run that was killed has left: where a container belongs that it had taken off a network. */
export interface LeftNote {
  /** The name of the network that is the note. */
  readonly note: string
  readonly span: string
  readonly place: EndpointNote
}

/** The notes in scope. An address that the network will not have any more is left out of them. */
export function leftNotes(wanted: Pick<DesiredState, 'scope' | 'spans'>, host: HostIndex): LeftNote[] {
  return host.networks.flatMap(({ name, labels }): LeftNote[] => {
    const place = parseNote(labels)
    const span = labels[label.span] ?? ''
    if (place === null || !isInScope(wanted, labels[label.name], span)) return []
    const asked = wanted.spans.find(({ network }) => network?.name === place.network)?.network?.subnet
    const subnet = readSubnet(asked ?? host.networkOf(place.network)?.pools[0]?.subnet ?? place.subnet ?? '')
    const one = readSubnet(`${place.address}/32`)
    const fits = one !== undefined && subnet !== undefined && subnetsOverlap(one, subnet)
    return [{ note: name, span, place: fits ? place : { ...place, address: null } }]
  })
}
