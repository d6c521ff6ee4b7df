import { composeLabel } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Container, Link } from '../../host/snapshot.ts'
import type { Absence, DesiredFeed, DesiredSpan, SpanReceiver } from '../../resources/desired-state.ts'
import { outputKindOf } from '../../resources/outputs/registry.ts'
import { isAttached } from '../../resources/port-role.ts'
import type { BalanceRef } from '../../spec/items/balance.ts'
import type { FilterSpec } from '../../spec/items/filter-key.ts'
import type { SensorSpec } from '../../spec/items/sensor-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import type { Spec } from '../../spec/spec.ts'
import { isShut } from './resolve-sensors.ts'

/** A sensor or an output that mirrors of its own may feed. */
export interface Receiver extends Pick<DesiredFeed, 'kind' | 'name' | 'target' | 'absence' | 'item' | 'origin'> {
  /** Its place in a balance. Of several receivers in one place, one gets the share. */
  readonly place: string
  /** An interface that this plan attaches, and that no frames go to before. */
  readonly isToAttach?: boolean
  readonly filter: FilterSpec | null
  readonly balance: BalanceRef | null
  /** What its health check says against it, where it could take frames; null: nothing, or it has none. */
  readonly ailment: Ailment | null
}

type Ailment = Extract<Absence, 'starting' | 'unhealthy'>

/** The sensors and outputs of a span that may be fed by mirrors of their own, each with the link that takes frames now. */
export function findReceivers(span: DesiredSpan, spec: SpanSpec, host: HostIndex): Receiver[] {
  return [...findSensors(span, spec, host), ...findOutputs(span, spec, host)]
}

/** The sensors and outputs of all spans of the file, as far as the file names them, or the host has what they select. */
export function listReceivers(spec: Spec, host: HostIndex): SpanReceiver[] {
  return spec.spans.flatMap(({ bridge, sensors, outputs }) => {
    const named = sensors.flatMap((sensor) => ('container' in sensor ? sensor.container : []))
    const selected = sensors.flatMap((sensor) => host.matchContainers(sensor).map(({ name }) => name))
    const containers = [...new Set([...named, ...selected])]
    return [
      ...containers.map((name): SpanReceiver => ({ bridge, feed: { kind: 'sensor', name } })),
      ...outputs.flatMap((output) =>
        outputKindOf(output)
          .devices(output, spec)
          .map((name): SpanReceiver => ({ bridge, feed: { kind: 'tunnel' in output ? 'tunnel' : 'output', name } }))
      )
    ]
  })
}

/** The containers that the sensors of a span match, whether they run or not. A container belongs to the first sensor that matches it. */
function findSensors(span: DesiredSpan, { sensors }: SpanSpec, host: HostIndex): Receiver[] {
  const seen = new Set<string>()
  return sensors.flatMap((sensor) => {
    const matched = host.matchContainers(sensor)
    // What can be on no network never gets a share.
    const matching = matched.filter(({ name, networkMode }) => !seen.has(name) && !isShut(networkMode, { host }))
    for (const { name } of matching) seen.add(name)
    const { filter, balance, id: item, origin } = sensor
    const found = matching.map((container): Receiver => {
      const found = findPort(span, container, host)
      const place = placeOf(sensor, container)
      return { kind: 'sensor', name: container.name, ...found, place, filter, balance, item, origin }
    })
    if (matched.length > 0 || !('container' in sensor)) return found.sort(byPlace)
    const { container: name } = sensor
    const absence = host.docker.state === 'read' ? 'missing' : 'unread'
    return [{ kind: 'sensor', name, target: null, absence, place: name, filter, balance, ailment: null, item, origin }]
  })
}

/**
 * The container's name. Of one of Compose, the name that Compose gives by default: the number in it stays when the container is recreated.
 */
function placeOf(sensor: SensorSpec, { name, labels }: Container): string {
  if (!('compose' in sensor)) return name
  const { project, service } = sensor.compose
  const number = labels[composeLabel.number]
  return number !== undefined && /^\d{1,5}$/.test(number) ? `${project}-${service}-${number}` : name
}

/** In the order of their numbers: 2 comes before 10. */
function byPlace(one: Receiver, other: Receiver): number {
  const [first, second] = [one, other].map(({ place }) => place.replace(/\d+/g, (digits) => digits.padStart(10, '0')))
  return (first ?? '') < (second ?? '') ? -1 : Number(first !== second)
}

/** The port of a container, or why it takes no frames now. */
function findPort(
  { bridge, network }: DesiredSpan,
  container: Container,
  host: HostIndex
): Pick<Receiver, 'target' | 'absence' | 'ailment'> {
  const none = (absence: Absence) => ({ target: null, absence, ailment: null })
  const ailment = container.health === undefined || container.health === 'healthy' ? null : container.health
  if (!container.running) return none('stopped')
  if (container.paused) return none('paused')
  const endpoint = container.endpoints.find((one) => one.network === network?.name)
  if (endpoint === undefined || endpoint.port === 'absent') return none('disconnected')
  if (endpoint.port === 'unknown') return none(hasSeveralPorts(bridge, container, host) ? 'ambiguous' : 'disconnected')
  const link = host.vethTo(endpoint)
  return link?.master === bridge && link.carrier ? { target: link.name, absence: null, ailment } : none('no_carrier')
}

/** Whether a container has several ports on a bridge, as one with CAP_NET_ADMIN can make them. */
function hasSeveralPorts(bridge: string, { name }: Container, host: HostIndex): boolean {
  return host.portsOf(bridge).filter((link) => host.attachmentOf(link)?.container.name === name).length > 1
}

/** The outputs of a span, each with its device, or why it takes no frames now. */
function findOutputs({ bridge, outputs }: DesiredSpan, { outputs: specs }: SpanSpec, host: HostIndex): Receiver[] {
  return specs.map(({ id, filter, balance, origin }): Receiver => {
    const found = outputs.find(({ item }) => item === id)
    const link = found?.isPort ? host.linkOf(found.device) : undefined
    // A tunnel has a carrier as soon as this plan has made it.
    // One that is no member stays as it is: a route or a carrier may come again, and nobody else would get its frames.
    const cut = balance === null ? undefined : found?.cut
    const isToAttach = link !== undefined && !isTaking(link, bridge, host)
    const absence = found === undefined ? 'missing' : (cut ?? (link?.carrier === false ? 'no_carrier' : null))
    const target = absence === null ? (found?.device ?? null) : null
    const kind = found?.isPort === false ? 'tunnel' : 'output'
    return {
      kind,
      name: found?.device ?? id,
      target,
      absence,
      isToAttach,
      place: found?.device ?? id,
      filter,
      balance,
      ailment: null,
      item: id,
      origin
    }
  })
}

/** Whether an interface is attached, or frames go to it already, as where somebody has taken it off its bridge. */
function isTaking(link: Link, bridge: string, host: HostIndex): boolean {
  return isAttached(host, link, bridge) || host.filtersInto(link.name).length > 0
}
