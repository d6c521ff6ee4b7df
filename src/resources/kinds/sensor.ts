import { interfaceOption, label, referTo } from '../../host/docker/docker-names.ts'
import type { EndpointNote } from '../../host/docker/endpoint-note.ts'
import { groupBy, type HostIndex } from '../../host/host-index.ts'
import type { Container, DockerNetwork, Link } from '../../host/snapshot.ts'
import type { NamedSpan } from '../../spec/span-names.ts'
import type { DesiredState } from '../desired-state.ts'
import { writePart } from '../feeds/part-words.ts'
import { type Kind, memoized, type ObservedState } from '../kind.ts'
import { isInScope, leftNotes } from '../ownership.ts'
import { readPortMark } from '../port-role.ts'
import { connectSteps, disconnectSteps, planMoves, type Sensor } from '../sensor-moves.ts'
import { yesNo } from '../settings.ts'
import { findListeners, liveNetworks } from './network.ts'

/** How sensors are desired, observed, connected and disconnected. */
export const sensor: Kind<Sensor> = {
  kind: 'sensor',
  fields: {
    current: { label: 'on this network', words: yesNo, immutable: true },
    present: { label: 'interface present', words: yesNo, immutable: true },
    interfaceName: { label: 'interface', words: (name) => name ?? 'as Docker names it', immutable: true },
    bridged: { label: 'port on the bridge', words: yesNo }
  },
  desire: ({ desired, host }, live) => {
    const liveById = new Map(live.map((one) => [one.id, one]))
    return [...desireListed(desired, host, liveById), ...keepOthers(desired, host, [...liveById.values()])]
  },
  observe: memoized((state) =>
    liveNetworks(state.desired, state.host).flatMap((network) => observeNetwork(state, network))
  ),
  rollbackTarget: rollbackSensors,
  finalize: planMoves,
  evidence: () => ['docker'],
  create: connectSteps,
  // The interface in the container stays as it is, so the sensor need not be restarted.
  update: ({ endpoint: { container, bridge }, port }) => {
    if (port === null) return []
    const argv = ['ip', 'link', 'set', 'dev', port, 'master', bridge, 'up'] as const
    return [{ summary: `put ${container} back on the bridge`, argv }]
  },
  remove: disconnectSteps,
  title: ({ endpoint: { container, network } }) => `${container} → ${network}`,
  summary: ({ sealed, gets, endpoint: { options }, interfaceName }) =>
    [
      sealed ? 'sealed' : 'not sealed',
      ...(gets === null ? [] : [`gets ${gets} by mirrors, once it has a port`]),
      ...(interfaceName === null ? [] : [`interface ${interfaceName}`]),
      ...(options[label.name] === undefined ? ['not connected by spanplan'] : [])
    ].join(', '),
  address: ({ endpoint: { network, container } }) => [network, container],
  replaceNote: (_, { endpoint: { options } }) =>
    options[label.kept] === undefined
      ? 'its interface may be renamed: restart the sensor'
      : 'it hears nothing for a moment; its interface keeps the name',
  disconnects: ({ endpoint: { network, container }, current, present }, host) =>
    current && present ? findListeners(host, network).filter((name) => name === container) : [],
  hangsOn: { kind: 'network', id: ({ endpoint }) => endpoint.network },
  container: ({ endpoint }) => endpoint.container,
  serves: ({ endpoint }) => endpoint.container,
  document: ({ endpoint: { references, ...place }, move: { byNone, noted }, ...rest }, side) => ({
    ...rest,
    ...place,
    reference: references.network,
    containerReference: references.container,
    barred: side === 'after' && byNone,
    backToNone: side === 'before' && byNone,
    noted
  })
}

function desireListed(desired: DesiredState, host: HostIndex, live: ReadonlyMap<string, Sensor>): Sensor[] {
  const notes = leftNotes(desired, host).map(({ place }) => place)
  return desired.spans.flatMap((span) => {
    const { network } = span
    if (network === null) return []
    return span.sensors.map(({ container, interfaceName, item, origin }): Sensor => {
      const fresh = build(container, network.name, span, desired.owner)
      // A container that others connected stays theirs, with their aliases and address, also after a run was killed.
      const now = live.get(fresh.id)
      const left = notes.find((one) => one.network === network.name && one.container === container.name)
      const others = now === undefined ? left : now.owner === 'shared' ? now.endpoint : undefined
      const theirs = others && { aliases: others.aliases, address: others.address }
      const options = {
        ...(others?.options ?? { [label.name]: desired.owner }),
        ...(interfaceName === null ? keepName(container, network.name) : { [interfaceOption.key]: interfaceName })
      }
      const part = span.feeds.find(({ kind, name }) => kind === 'sensor' && name === container.name)?.part ?? null
      const gets = part && writePart(part)
      const own = { ...fresh, sealed: span.sealed, gets, owner: 'ours', item, origin } as const
      return withOptions({ ...own, endpoint: { ...fresh.endpoint, ...theirs } }, options)
    })
  })
}

/** The sensor with an endpoint of these options. One of them is the interface's name. */
function withOptions(one: Omit<Sensor, 'interfaceName'>, options: EndpointNote['options']): Sensor {
  return { ...one, endpoint: { ...one.endpoint, options }, interfaceName: options[interfaceOption.key] ?? null }
}

/** Containers that others connected stay connected, also when the network is recreated. */
function keepOthers(desired: DesiredState, host: HostIndex, live: readonly Sensor[]): Sensor[] {
  const sensorsOn = groupBy(live, ({ endpoint }) => endpoint.network)
  return desired.spans.flatMap(({ network, sensors }) => {
    if (network === null) return []
    const listed = new Set(sensors.map(({ container }) => container.name))
    return sensorsOn(network.name)
      .filter(({ owner, endpoint }) => owner === 'shared' && !listed.has(endpoint.container))
      .map((other) => {
        const { container, options } = other.endpoint
        return settled(withOptions(other, { ...options, ...keepName(host.containerOf(container), network.name) }))
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

/** A container that is gone cannot be connected again. One that others connected stays, as in keepOthers(). */
function rollbackSensors(sensors: readonly Sensor[], then: ObservedState, now: ObservedState): readonly Sensor[] {
  if (now.host.docker.state !== 'read') return sensors
  const networks = liveNetworks(then.desired, then.host).map(({ name }) => name)
  const known = new Set(sensors.map(({ id }) => id))
  const observed = sensor.observe(now)
  const live = new Map(observed.map((one) => [one.id, one]))
  const others = observed.filter(
    ({ id, owner, endpoint }) => owner === 'shared' && networks.includes(endpoint.network) && !known.has(id)
  )
  // An interface that was missing, or on an earlier network, may have come: nobody wants that undone.
  const back = sensors.map((one) => {
    const { current, present } = live.get(one.id) ?? one
    return { ...one, current: one.current || current, present: one.present || present }
  })
  const isThere = ({ endpoint }: Sensor) => now.host.containerOf(endpoint.container) !== undefined
  return [...back.filter(isThere), ...others.map(settled)]
}

/** The sensor as it will be on the network that exists then. */
function settled(sensor: Sensor): Sensor {
  return { ...sensor, current: true, present: true, bridged: true }
}

function observeNetwork(state: ObservedState, network: DockerNetwork): Sensor[] {
  const { desired, host } = state
  const span = desired.spanOfNetwork(network.name)
  return host.endpointsOn(network.name).map(({ container, endpoint }): Sensor => {
    const bridge = span?.bridge ?? network.labels[label.span] ?? ''
    const end = host.vethTo(endpoint)
    const port = end !== undefined && mayBeSensorPort(state, end, bridge) ? end.name : null
    const fresh = build(
      container,
      network.name,
      { name: desired.names.nameOf(bridge), bridge },
      network.labels[label.name] ?? desired.owner
    )
    const one = {
      ...fresh,
      endpoint: {
        ...fresh.endpoint,
        references: { ...fresh.endpoint.references, network: referTo(network) },
        end: end ? { name: end.name, index: end.index } : null,
        aliases: endpoint.aliases,
        address: endpoint.fixedAddress,
        subnet: network.pools[0]?.subnet ?? null
      },
      sealed: span?.sealed ?? true,
      owner: isInScope(desired, endpoint.driverOptions[label.name], bridge) ? 'ours' : 'shared',
      // A container that does not run knows its network by name: it gets the network of that name when it starts.
      current: endpoint.networkId === '' || endpoint.networkId === network.id,
      // Between two crashes, there is no interface: it comes with the next start.
      present: endpoint.port !== 'absent' || container.restarting,
      port,
      bridged: port === null || end?.master === bridge
    } as const
    return withOptions(one, endpoint.driverOptions)
  })
}

/**
 * Whether the host's end of a sensor's interface is, or was, the port of the span. An interface that a span copies from is none. On
 * another bridge, somebody may need it there, unless its mark says that it was made to connect a container.
 */
export function mayBeSensorPort({ host, marks }: ObservedState, end: Link, bridge: string): boolean {
  const isBridgeOwn = end.master === null || end.master === bridge
  return !marks.interfaces.has(end.name) && (isBridgeOwn || readPortMark(host, end)?.connection === true)
}

function build(container: Container, network: string, { name, bridge }: NamedSpan, noteOwner: string) {
  return {
    kind: 'sensor',
    id: `${network}/${container.name}`,
    spans: [name],
    endpoint: {
      network,
      container: container.name,
      references: { network, container: referTo(container) },
      options: {},
      aliases: [],
      address: null,
      subnet: null,
      end: null,
      bridge,
      noteOwner
    },
    move: { byNone: false, noted: false },
    current: true,
    present: true,
    port: null,
    bridged: true,
    gets: null
  } satisfies Omit<Sensor, 'owner' | 'interfaceName' | 'sealed'>
}
