import { label } from '../host/docker/docker-names.ts'
import { type Connection, type EndpointNote, writeNote } from '../host/docker/endpoint-note.ts'
import type { ConnectedPort } from '../host/docker/left-port.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Container } from '../host/snapshot.ts'
import type { Change, Resource, Step } from './kind.ts'
import { hashOf } from './marks.ts'

/**
 * A sensor is moved by calls of Docker: it is connected, disconnected, or both. While it is disconnected for a moment, a note in Docker
 * says where it belongs, so that a run that is killed leaves it nowhere.
 */

/** A container's endpoint on a network of a span, as calls of Docker describe it. */
export interface SensorEndpoint extends EndpointNote {
  /** How a call names both. */
  readonly references: { readonly network: string; readonly container: string }
  /** The host's end of the interface, whatever it is taken for: it goes with the interface. */
  readonly end: ConnectedPort | null
  /** The bridge of the span. */
  readonly bridge: string
  /** The owner of the notes on the endpoint. */
  readonly noteOwner: string
}

/** What the changes of several sensors decide together about the move of one. */
interface Move {
  /** By Docker's network "none", which excludes any other: the container is on it, or goes back to it from its last network. */
  readonly byNone: boolean
  /** While the container is disconnected, a note says where it belongs. */
  readonly noted: boolean
}

/** A container's endpoint on the network of a span. */
export interface Sensor extends Resource {
  readonly kind: 'sensor'
  readonly endpoint: SensorEndpoint
  readonly move: Move
  /** The endpoint is of this network, not of an earlier network of the same name. */
  readonly current: boolean
  /** The interface exists in the container. */
  readonly present: boolean
  /** The name of the interface in the container, where the file gives one. */
  readonly interfaceName: string | null
  /** The host's end of the interface, where it is known, and not taken for something else. */
  readonly port: string | null
  /** The host's end is a port of the span's bridge. */
  readonly bridged: boolean
  /** The port will be sealed as soon as Docker has named it. */
  readonly sealed: boolean
  /** What it gets of the span's frames, in words; null: all, or it is not known. */
  readonly gets: string | null
}

/** Of several spans, the first disconnects a container from "none", and the last connects it again. */
export function planMoves(changes: readonly Change<Sensor>[], host: HostIndex): Change<Sensor>[] {
  const of = (container: Container, actions: readonly Change['action'][]) =>
    changes.filter(
      (change) => actions.includes(change.action) && subjectOf(change).endpoint.container === container.name
    )
  const barred = host.containers.filter(({ endpoints }) => endpoints.some(({ network }) => network === 'none'))
  const emptied = host.containers.filter(
    (container) =>
      container.networkMode === 'none' &&
      container.endpoints.length > 0 &&
      of(container, ['remove']).length === container.endpoints.length
  )
  // While a network is recreated, notes say where foreign containers belong.
  const moved = new Set(changes.filter((change) => change.action === 'replace' && change.before.owner === 'shared'))
  // A container that moves to other networks goes by way of "none": if the run is killed, it is where it came from.
  const fromNone = [...barred, ...emptied]
  const first = new Set(fromNone.flatMap((container) => of(container, ['create', 'replace']).slice(0, 1)))
  const last = new Set(emptied.flatMap((container) => of(container, ['remove']).slice(-1)))
  return changes.map((change) => {
    const noted = moved.has(change)
    const before = 'before' in change && { before: { ...change.before, move: { byNone: last.has(change), noted } } }
    const after = 'after' in change && { after: { ...change.after, move: { byNone: first.has(change), noted } } }
    return { ...change, ...before, ...after }
  })
}

function subjectOf(change: Change<Sensor>): Sensor {
  return change.action === 'remove' ? change.before : change.after
}

/** The steps that connect a container to a network. */
export function connectSteps({ endpoint, move: { byNone, noted } }: Sensor): Step[] {
  const { container, references } = endpoint
  const off = { ...endpoint, ...onNone }
  return [
    ...(byNone ? [leaveNote(off), disconnect(off, 'none')] : []),
    connect(endpoint, references.container),
    ...(byNone ? [dropNote(nameNote(off), container)] : []),
    ...(noted ? [dropNote(nameNote(endpoint), container)] : [])
  ]
}

/** The steps that disconnect a container from a network. */
export function disconnectSteps({ endpoint, move: { byNone, noted } }: Sensor): Step[] {
  const { container, references } = endpoint
  const off = { ...endpoint, ...onNone }
  return [
    ...(noted ? [leaveNote(endpoint)] : []),
    ...(byNone ? [leaveNote(off)] : []),
    disconnect(endpoint, references.network),
    ...(byNone ? [connect(off, references.container), dropNote(nameNote(off), container)] : [])
  ]
}

/** A container's endpoint on Docker's network "none". */
const onNone = { network: 'none', options: {}, aliases: [], address: null, subnet: null, end: null } as const

function leaveNote(endpoint: SensorEndpoint): Step {
  const { container, network, noteOwner, bridge } = endpoint
  const labels = { [label.name]: noteOwner, [label.span]: bridge, ...writeNote(endpoint) }
  return {
    summary: `note that ${container} belongs on ${network}`,
    docker: { call: 'createNote', network: nameNote(endpoint), labels }
  }
}

/** The call that removes the note that tells where a container belongs. */
export function dropNote(network: string, container: string): Step {
  return { summary: `drop the note ${network} on ${container}`, docker: { call: 'dropNote', network } }
}

function nameNote({ network, container }: SensorEndpoint): string {
  return `spanplan-note-${hashOf('note', network, container).toString(16)}`
}

/**
 * The call that connects a container to a network, with the endpoint as it was or will be.
 *
 * @param reference to the container in the call.
 */
export function connect(place: Connection, reference: string): Step {
  const { network, container, options, aliases, address } = place
  return {
    summary: `connect ${container} to ${network}`,
    docker: { call: 'connect', network, container: reference, options, aliases, address }
  }
}

function disconnect({ network, container, references, end }: SensorEndpoint, reference: string): Step {
  return {
    summary: `disconnect ${container} from ${network}`,
    docker: { call: 'disconnect', network: reference, container: references.container, port: end }
  }
}
