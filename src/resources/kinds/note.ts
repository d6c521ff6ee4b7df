import { referTo } from '../../host/docker/docker-names.ts'
import type { EndpointNote } from '../../host/docker/endpoint-note.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Container } from '../../host/snapshot.ts'
import type { DesiredState } from '../desired-state.ts'
import { type Kind, type ObservedState, type Resource, type Step, type Transition, yesNo } from '../kind.ts'
import { leftNotes } from '../ownership.ts'
import { connect } from './sensor.ts'

/**
 * A container that a run, which was killed just then, had taken off a network for a moment. A note is left in Docker before
 * a container is taken off, and dropped when it is back: a network of labels alone.
 */
export interface Note extends Resource {
  readonly kind: 'note'
  readonly note: string
  readonly place: EndpointNote
  /** What the container is called in a request. */
  readonly reference: string
  /** It is to be connected again; else the note is of no account any more. */
  readonly misses: boolean
  readonly back: boolean
}

/** How such containers are found, and put back. */
export const note: Kind<Note> = {
  kind: 'note',
  fields: { back: { label: 'put back', words: yesNo } },
  desire: (wanted, host) => observeNotes(wanted, host).map((one) => ({ ...one, back: true })),
  observe: observeNotes,
  rollbackTarget: rollbackNotes,
  evidence: () => ['docker'],
  steps: noteSteps,
  title: ({ place }) => `${place.container} → ${place.network}`,
  summary: () => 'a run that was killed had taken it off',
  removalNote: ({ note }) => `the note on it, the network ${note}, is dropped`,
  remembers: ({ place }) => [{ container: place.container }],
  address: ({ place }) => [place.network, place.container]
}

function observeNotes(wanted: DesiredState, host: HostIndex): Note[] {
  return leftNotes(wanted, host).map(({ note, span, place }) => ({
    ...({ kind: 'note', id: note, spans: [span], owner: 'ours', note, place } as const),
    reference: referTo(findContainer(host, place) ?? { id: place.container, name: place.container }),
    misses: misses(wanted, host, place),
    back: false
  }))
}

function findContainer(host: HostIndex, { container }: EndpointNote): Container | undefined {
  return host.containers.find(({ name }) => name === container)
}

/** It is there, it is not on the network by now, and nothing else will put it there or elsewhere. */
function misses(wanted: DesiredState, host: HostIndex, place: EndpointNote): boolean {
  const { network, container } = place
  const endpoints = findContainer(host, place)?.endpoints
  const listed = wanted.spans.some(({ sensors }) => sensors.some((one) => one.container.name === container))
  if (endpoints === undefined || listed || endpoints.some((one) => one.network === network)) return false
  return network === 'none' ? endpoints.length === 0 : wanted.spans.some((span) => span.network?.name === network)
}

/** Whom this run has taken off "none" is put back there; onto other networks, sensors are put back as such. Older notes stay. */
function rollbackNotes(notes: readonly Note[], then: ObservedState, now: ObservedState): Note[] {
  const networksOf = ({ host }: ObservedState, container: string) =>
    host.containers.find(({ name }) => name === container)?.endpoints.map(({ network }) => network)
  const own = observeNotes(now.wanted, now.host)
    .filter(({ id, place }) => place.network === 'none' && !notes.some((older) => older.id === id))
    .map((one) => {
      const was = networksOf(then, one.place.container)
      const is = networksOf(now, one.place.container)
      return { ...one, back: true, misses: was?.includes('none') === true && is?.length === 0 }
    })
  return [...notes, ...own]
}

function noteSteps(transition: Transition<Note>): Step[] {
  switch (transition.action) {
    case 'create':
      return []
    case 'update':
      return [
        ...(transition.after.misses ? [connect(transition.after.place, transition.after.reference)] : []),
        dropNote(transition.before)
      ]
    case 'remove':
      return [dropNote(transition.before)]
  }
}

function dropNote({ note, place }: Note): Step {
  return { summary: `drop the note ${note} on ${place.container}`, docker: { call: 'dropNote', network: note } }
}
