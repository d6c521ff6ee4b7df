import { label, networkOption } from '../host/docker/docker-names.ts'
import { type EndpointNote, parseNote } from '../host/docker/endpoint-note.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { DockerNetwork, Link } from '../host/snapshot.ts'
import { matchesSpan } from '../spec/scope.ts'
import { readSubnet, subnetsOverlap } from '../spec/values/subnet.ts'
import { markOf } from './copied-mark.ts'
import type { DesiredSpans, DesiredState } from './desired-state.ts'
import { bridgeMac } from './marks.ts'

/** Whether a thing with the mark of this owner and span may be changed. */
export function isInScope({ scope }: Pick<DesiredSpans, 'scope'>, owner: string | undefined, span: string): boolean {
  return owner !== undefined && (scope.name === null || owner === scope.name) && matchesSpan(scope.spans, span)
}

/** The command that removes spans of a name; without spans, all of them. It works whatever the file is. */
export const destroyOf = (owner: string, ...spans: readonly string[]) =>
  ['spanplan', 'destroy', '--name', owner, ...spans.flatMap((span) => ['--span', span])] as const

/** Whether a bridge belongs to a span of this owner: by its alias or, until it has an alias, by its MAC address. */
export function ownsBridge(desired: Pick<DesiredSpans, 'owner' | 'scope'>, host: HostIndex, link: Link): boolean {
  const owner = desired.scope.name ?? desired.owner
  const mark = markOf(host, link)
  if (mark !== null) return isInScope(desired, mark.owner, link.name)
  return link.kind === 'bridge' && link.mac === bridgeMac(owner, link.name) && isInScope(desired, owner, link.name)
}

/** Whether a Docker network belongs to a span in scope: by its labels. */
export function ownsNetwork(desired: Pick<DesiredSpans, 'scope'>, { labels }: DockerNetwork): boolean {
  return isInScope(desired, labels[label.name], labels[label.span] ?? '')
}

/** Whether a Docker network is ours, or in the place of one of ours. */
export function isLiveNetwork(desired: DesiredState, network: DockerNetwork): boolean {
  const bridge = network.options[networkOption.bridge] ?? ''
  const isPlace = desired.spanOfNetwork(network.name) !== undefined || desired.spanOf(bridge)?.network != null
  const isNote = network.labels[label.note] !== undefined
  return !isNote && (isPlace || ownsNetwork(desired, network))
}

/** A note that a killed run has left: the place of a container that the run had disconnected from a network. */
export interface LeftNote {
  /** The name of the Docker network that bears the note as its labels. */
  readonly note: string
  readonly span: string
  readonly place: EndpointNote
}

/** The notes in scope. An address outside the network's future subnet is left out. */
export function leftNotes(desired: Pick<DesiredState, 'scope' | 'spans'>, host: HostIndex): LeftNote[] {
  return host.networks.flatMap(({ name, labels }): LeftNote[] => {
    const place = parseNote(labels)
    const span = labels[label.span] ?? ''
    if (place === null || !isInScope(desired, labels[label.name], span)) return []
    const asked = desired.spans.find(({ network }) => network?.name === place.network)?.network?.subnet
    const subnet = readSubnet(asked ?? host.networkOf(place.network)?.pools[0]?.subnet ?? place.subnet ?? '')
    const one = readSubnet(`${place.address}/32`)
    const fits = one !== undefined && subnet !== undefined && subnetsOverlap(one, subnet)
    return [{ note: name, span, place: fits ? place : { ...place, address: null } }]
  })
}
