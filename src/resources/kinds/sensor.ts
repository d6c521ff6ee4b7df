import { interfaceOption, label, referTo } from '../../host/docker/docker-names.ts'
import { type EndpointNote, writeNote } from '../../host/docker/endpoint-note.ts'
import type { ConnectedPort } from '../../host/docker/left-port.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Container, DockerNetwork, Endpoint, Link } from '../../host/snapshot.ts'
import type { DesiredState } from '../desired-state.ts'
import type { Change, Kind, ObservedState, Resource, Step } from '../kind.ts'
import { hashOf } from '../marks.ts'
import { isInScope, leftNotes } from '../ownership.ts'
import { yesNo } from '../settings.ts'
import { findListeners, liveNetworks } from './network.ts'

/** A container's endpoint on the network of a span. */
export interface Sensor extends Resource {
  readonly kind: 'sensor'
  readonly network: string
  /** The reference to the network in a call of Docker. */
  readonly reference: string
  readonly container: string
  /** The reference to the container in a call of Docker. */
  readonly containerReference: string
  /** The endpoint is of this network, not of an earlier network of the same name. */
  readonly current: boolean
  /** The interface exists in the container. */
  readonly present: boolean
  /** The name of the interface in the container, where the file gives one. */
  readonly interfaceName: string | null
  /** The host's end of the interface, where it is known, and not taken for something else. */
  readonly port: string | null
  /** The host's end of the interface, whatever it is taken for: it goes with the interface. */
  readonly end: ConnectedPort | null
  /** The host's end is a port of the span's bridge. */
  readonly bridged: boolean
  readonly options: Readonly<Record<string, string>>
  readonly aliases: readonly string[]
  readonly address: string | null
  /** The container is on Docker's network "none", which excludes any other. */
  readonly barred: boolean
  /** This is the container's last network: without it, the container goes back to "none". */
  readonly backToNone: boolean
  /** While the container is disconnected, a note says where it belongs. */
  readonly noted: boolean
  /** The owner of the note. */
  readonly noteOwner: string
  /** The subnet of the network, for the note. */
  readonly subnet: string | null
  readonly bridge: string
  /** The port will be sealed as soon as Docker has named it. */
  readonly sealed: boolean
}

/** How sensors are desired, observed, connected and disconnected. */
export const sensor: Kind<Sensor> = {
  kind: 'sensor',
  fields: {
    current: { label: 'on this network', words: yesNo, immutable: true },
    present: { label: 'interface present', words: yesNo, immutable: true },
    interfaceName: { label: 'interface', words: (name) => name ?? 'as Docker names it', immutable: true },
    bridged: { label: 'port on the bridge', words: yesNo }
  },
  desire: (desired, host) => [...desireListed(desired, host), ...keepOthers(desired, host)],
  observe: observeSensors,
  rollbackTarget: rollbackSensors,
  finalize: finalizeSensors,
  evidence: () => ['docker'],
  create: createSteps,
  // The interface in the container stays as it is, so the sensor need not be restarted.
  update: ({ container, port, bridge }) => {
    if (port === null) return []
    const argv = ['ip', 'link', 'set', 'dev', port, 'master', bridge, 'up'] as const
    return [{ summary: `put ${container} back on the bridge`, argv }]
  },
  remove: removeSteps,
  title: ({ container, network }) => `${container} → ${network}`,
  summary: ({ sealed, options, interfaceName }) =>
    [
      sealed ? 'sealed' : 'not sealed',
      ...(interfaceName === null ? [] : [`interface ${interfaceName}`]),
      ...(options[label.name] === undefined ? ['not connected by spanplan'] : [])
    ].join(', '),
  address: ({ network, container }) => [network, container],
  replaceNote: (_, { options }) =>
    options[label.kept] === undefined
      ? 'its interface may be renamed: restart the sensor'
      : 'it hears nothing for a moment; its interface keeps the name',
  disconnects: ({ network, container, current, present }, host) =>
    current && present ? findListeners(host, network).filter((name) => name === container) : [],
  hangsOn: { kind: 'network', id: ({ network }) => network },
  container: ({ container }) => container,
  serves: ({ container }) => container
}

function desireListed(desired: DesiredState, host: HostIndex): Sensor[] {
  const notes = leftNotes(desired, host).map(({ place }) => place)
  return desired.spans.flatMap((span) => {
    const { network } = span
    if (network === null) return []
    const live = host.networkOf(network.name)
    const connected = live ? observeNetwork(desired, host, live) : []
    return span.sensors.map(({ container, interfaceName, origin }): Sensor => {
      const sensor = build(container, network.name, span.name, desired.owner)
      const own = { ...sensor, sealed: span.sealed, owner: 'ours', origin } as const
      // A container that others connected stays theirs, with their aliases and address, also after a run was killed.
      const now = connected.find((one) => one.container === container.name)
      const left = notes.find((one) => one.network === network.name && one.container === container.name)
      const others = now === undefined ? left : now.owner === 'shared' ? now : undefined
      const theirs = others && { aliases: others.aliases, address: others.address }
      const options = {
        ...(others?.options ?? { [label.name]: desired.owner }),
        ...(interfaceName === null ? keepName(container, network.name) : { [interfaceOption.key]: interfaceName })
      }
      return { ...own, ...theirs, options, interfaceName: options[interfaceOption.key] ?? null }
    })
  })
}

/** Containers that others connected stay connected, also when the network is recreated. */
function keepOthers(desired: DesiredState, host: HostIndex): Sensor[] {
  return desired.spans.flatMap((span) => {
    const { network } = span
    const live = network && host.networkOf(network.name)
    if (!live) return []
    const listed = new Set(span.sensors.map(({ container }) => container.name))
    return observeNetwork(desired, host, live)
      .filter((other) => other.owner === 'shared' && !listed.has(other.container))
      .map((other) => {
        const name = keepName(host.containerOf(other.container), network.name)
        const options = { ...other.options, ...name }
        return settled({ ...other, options, interfaceName: options[interfaceOption.key] ?? null })
      })
  })
}

/** The options that keep the name of an interface: one that is kept now, or was kept when the interface was made. */
function keepName(container: Container | undefined, network: string): Readonly<Record<string, string>> {
  const endpoint = container?.endpoints.find((one) => one.network === network)
  const before = endpoint?.driverOptions ?? {}
  const name = endpoint?.keptName ?? (before[label.kept] === undefined ? undefined : before[interfaceOption.key])
  return name === undefined ? {} : { [interfaceOption.key]: name, [label.kept]: 'kept' }
}

function observeSensors(desired: DesiredState, host: HostIndex): Sensor[] {
  return liveNetworks(desired, host).flatMap((network) => observeNetwork(desired, host, network))
}

/** A container that is gone cannot be connected again. One that others connected stays, as in keepOthers(). */
function rollbackSensors(sensors: readonly Sensor[], then: ObservedState, now: ObservedState): readonly Sensor[] {
  if (now.host.docker.state !== 'read') return sensors
  const networks = liveNetworks(then.desired, then.host).map(({ name }) => name)
  const others = observeSensors(now.desired, now.host).filter(
    ({ id, owner, network }) =>
      owner === 'shared' && networks.includes(network) && !sensors.some((known) => known.id === id)
  )
  const live = new Map(observeSensors(now.desired, now.host).map((one) => [one.id, one]))
  // An interface that was missing, or on an earlier network, may have come: nobody wants that undone.
  const back = sensors.map((sensor) => {
    const { current, present } = live.get(sensor.id) ?? sensor
    return { ...sensor, current: sensor.current || current, present: sensor.present || present }
  })
  return [...back.filter(({ container }) => now.host.containerOf(container) !== undefined), ...others.map(settled)]
}

/** The sensor as it will be on the network that exists then. */
function settled(sensor: Sensor): Sensor {
  return { ...sensor, current: true, present: true, bridged: true }
}

/** Of several spans, the first disconnects a container from "none", and the last connects it again. */
function finalizeSensors(changes: readonly Change<Sensor>[], host: HostIndex): Change<Sensor>[] {
  const of = (container: Container, actions: readonly Change['action'][]) =>
    changes.filter((change) => actions.includes(change.action) && subjectOf(change).container === container.name)
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
    const before = 'before' in change ? { before: { ...change.before, noted, backToNone: last.has(change) } } : {}
    const after = 'after' in change ? { after: { ...change.after, noted, barred: first.has(change) } } : {}
    return { ...change, ...before, ...after }
  })
}

function subjectOf(change: Change<Sensor>): Sensor {
  return change.action === 'remove' ? change.before : change.after
}

function observeNetwork(desired: DesiredState, host: HostIndex, network: DockerNetwork): Sensor[] {
  const span = desired.spanOfNetwork(network.name)
  return host.endpointsOn(network.name).map(({ container, endpoint }): Sensor => {
    const bridge = span?.name ?? network.labels[label.span] ?? ''
    const link = findPort(desired, host, endpoint, bridge)
    return {
      ...build(container, network.name, bridge, network.labels[label.name] ?? desired.owner),
      reference: referTo(network),
      sealed: span?.sealed ?? true,
      owner: isInScope(desired, endpoint.driverOptions[label.name], bridge) ? 'ours' : 'shared',
      current: isCurrent(endpoint, network),
      // Between two crashes, there is no interface: it comes with the next start.
      present: endpoint.port !== 'absent' || container.restarting,
      interfaceName: endpoint.driverOptions[interfaceOption.key] ?? null,
      port: link?.name ?? null,
      end: findEnd(host, endpoint),
      bridged: link === undefined || link.master === bridge,
      options: endpoint.driverOptions,
      aliases: endpoint.aliases,
      address: endpoint.fixedAddress,
      subnet: network.pools[0]?.subnet ?? null
    }
  })
}

/** The veth of an endpoint, unless it is a port of another bridge, or an interface that a span copies from. */
function findPort(desired: DesiredState, host: HostIndex, endpoint: Endpoint, bridge: string): Link | undefined {
  const link = host.vethTo(endpoint)
  const isSource = desired.marks.interfaces.has(link?.name ?? '')
  return (link?.master ?? bridge) === bridge && !isSource ? link : undefined
}

/** The host's end of an endpoint's interface, which goes with the interface. */
function findEnd(host: HostIndex, endpoint: Endpoint): ConnectedPort | null {
  const link = host.vethTo(endpoint)
  return link === undefined ? null : { name: link.name, index: link.index }
}

/** A container that does not run knows its network by name: it gets the network of that name when it starts. */
function isCurrent(endpoint: Endpoint, network: DockerNetwork): boolean {
  return endpoint.networkId === '' || endpoint.networkId === network.id
}

function build(
  container: Container,
  network: string,
  bridge: string,
  noteOwner: string
): Omit<Sensor, 'owner' | 'options' | 'interfaceName' | 'sealed'> {
  return {
    kind: 'sensor',
    id: `${network}/${container.name}`,
    spans: [bridge],
    network,
    reference: network,
    container: container.name,
    containerReference: referTo(container),
    current: true,
    present: true,
    port: null,
    end: null,
    bridged: true,
    aliases: [],
    address: null,
    barred: false,
    backToNone: false,
    noted: false,
    noteOwner,
    subnet: null,
    bridge
  }
}

function createSteps(after: Sensor): Step[] {
  const { containerReference, barred, noted } = after
  const off = { ...after, ...onNone }
  return [
    ...(barred ? [leaveNote(off), disconnect('none', off)] : []),
    connect(after, containerReference),
    ...(barred ? [dropNote(nameNote(off), off.container)] : []),
    ...(noted ? [dropNote(nameNote(after), after.container)] : [])
  ]
}

function removeSteps(before: Sensor): Step[] {
  const { reference, containerReference, backToNone, noted } = before
  const off = { ...before, ...onNone }
  return [
    ...(noted ? [leaveNote(before)] : []),
    ...(backToNone ? [leaveNote(off)] : []),
    disconnect(reference, before),
    ...(backToNone ? [connect(off, containerReference), dropNote(nameNote(off), off.container)] : [])
  ]
}

/** A container's endpoint on Docker's network "none". */
const onNone = { network: 'none', options: {}, aliases: [], address: null, subnet: null, end: null } as const

function leaveNote(off: Sensor): Step {
  const { container, network, noteOwner, bridge } = off
  const labels = { [label.name]: noteOwner, [label.span]: bridge, ...writeNote(off) }
  return {
    summary: `note that ${container} belongs on ${network}`,
    docker: { call: 'createNote', network: nameNote(off), labels }
  }
}

/** The call that removes the note that tells where a container belongs. */
export function dropNote(network: string, container: string): Step {
  return { summary: `drop the note ${network} on ${container}`, docker: { call: 'dropNote', network } }
}

function nameNote({ network, container }: Sensor): string {
  return `spanplan-note-${hashOf('note', network, container).toString(16)}`
}

/**
 * The call that connects a container to a network, with the endpoint as it was or will be.
 *
 * @param reference to the container in the call.
 */
export function connect(place: Omit<EndpointNote, 'subnet'>, reference: string): Step {
  const { network, container, options, aliases, address } = place
  return {
    summary: `connect ${container} to ${network}`,
    docker: { call: 'connect', network, container: reference, options, aliases, address }
  }
}

/** The call that disconnects a container from a network, by the references to both. */
function disconnect(reference: string, { network, container, containerReference, end }: Sensor): Step {
  return {
    summary: `disconnect ${container} from ${network}`,
    docker: { call: 'disconnect', network: reference, container: containerReference, port: end }
  }
}
