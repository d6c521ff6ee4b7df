import { referTo } from '../../host/docker/docker-names.ts'
import type { EndpointNote } from '../../host/docker/endpoint-note.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { DesiredState } from '../desired-state.ts'
import type { Kind, ObservedState, Resource } from '../kind.ts'
import { leftNotes } from '../ownership.ts'
import { connect, dropNote } from '../sensor-moves.ts'
import { yesNo } from '../settings.ts'

/**
 * A note that a killed run has left of a container that it had disconnected. Before a container is disconnected for a moment,
 * a note is made in Docker, as a network of labels alone; it is removed when the container is connected again.
 */
export interface Note extends Resource {
  readonly kind: 'note'
  readonly note: string
  readonly place: EndpointNote
  /** The reference to the container in a call of Docker. */
  readonly reference: string
  /** The container will be connected again; else the note is obsolete. */
  readonly misses: boolean
  readonly back: boolean
}

/** How these containers are observed, and connected again. */
export const note: Kind<Note> = {
  kind: 'note',
  fields: { back: { label: 'left by an earlier run', words: (back) => yesNo(!back) } },
  desire: (_, live) => live.map((one) => ({ ...one, back: true })),
  observe: observeNotes,
  rollbackTarget: rollbackNotes,
  evidence: () => ['docker'],
  update: (_, { misses, note, place, reference }) => [
    ...(misses ? [connect(place, reference)] : []),
    dropNote(note, place.container)
  ],
  remove: ({ note, place }) => [dropNote(note, place.container)],
  title: ({ place }) => `${place.container} → ${place.network}`,
  summary: () => 'a run that was killed had disconnected it',
  removalNote: ({ note }) => `the note on it, the network ${note}, is dropped`,
  remembers: ({ place }) => [{ container: place.container }],
  address: ({ place }) => [place.network, place.container],
  container: ({ place }) => place.container
}

function observeNotes({ desired, host }: ObservedState): Note[] {
  return leftNotes(desired, host).map(({ note, bridge, place }) => ({
    ...({ kind: 'note', id: note, spans: [desired.names.nameOf(bridge)], owner: 'ours', note, place } as const),
    reference: referTo(host.containerOf(place.container) ?? { id: place.container, name: place.container }),
    misses: misses(desired, host, place),
    back: false
  }))
}

/** Whether the container exists, is not on the network, and no other resource will connect it. */
function misses(desired: DesiredState, host: HostIndex, place: EndpointNote): boolean {
  const { network, container } = place
  const endpoints = host.containerOf(container)?.endpoints
  const listed = desired.spans.some(({ sensors }) => sensors.some((one) => one.container.name === container))
  if (endpoints === undefined || listed || endpoints.some((one) => one.network === network)) return false
  return network === 'none' ? endpoints.length === 0 : desired.spanOfNetwork(network) !== undefined
}

/** The containers that this run took off "none" are put back there; the sensor kind puts back the others. Older notes stay. */
function rollbackNotes(notes: readonly Note[], then: ObservedState, now: ObservedState): Note[] {
  const networksOf = ({ host }: ObservedState, container: string) =>
    host.containerOf(container)?.endpoints.map(({ network }) => network)
  const own = observeNotes(now)
    .filter(({ id, place }) => place.network === 'none' && !notes.some((older) => older.id === id))
    .map((one) => {
      const was = networksOf(then, one.place.container)
      const is = networksOf(now, one.place.container)
      return { ...one, back: true, misses: was?.includes('none') === true && is?.length === 0 }
    })
  return [...notes, ...own]
}
