import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic, type ItemId } from '../../errors.ts'
import { matchesContainer, sharesNetwork } from '../../host/docker/container-match.ts'
import { canNameInterfaces, interfaceOption } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Container, DockerNetwork } from '../../host/snapshot.ts'
import type { DesiredSensor, DesiredSpan } from '../../resources/desired-state.ts'
import { type Wait, waitFor } from '../../resources/kind.ts'
import { ownsNetwork } from '../../resources/ownership.ts'
import {
  type Context,
  joinResolved,
  nothingResolved,
  type Resolved,
  suggestSelector
} from '../../resources/sources/host-source-kind.ts'
import { explainUnmatched } from '../../resources/unread.ts'
import type { SensorSpec } from '../../spec/items/sensor-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { type ContainerSelector, writeSelector } from '../../spec/values/container-selector.ts'

/**
 * The containers that a span's sensors match now, each once: where several sensors match a container, the first counts. A
 * container that is named is connected whether it runs or not; one that is matched by label or Compose service, if it runs or
 * is on the network already.
 */
export function resolveSensors(span: SpanSpec, context: Context): Resolved<DesiredSensor> {
  const resolved = joinResolved(span.sensors.map((sensor) => resolveSensor(span, sensor, context)))
  const isFirst = ({ container }: DesiredSensor, index: number) =>
    resolved.items.findIndex((other) => other.container.id === container.id) === index
  // Only who names a container can say where its tool tells its losses, and that may be a later item.
  const statsOf = ({ container }: DesiredSensor) =>
    resolved.items.find((other) => other.container.id === container.id && other.stats !== null)?.stats ?? null
  return { ...resolved, items: resolved.items.filter(isFirst).map((one) => ({ ...one, stats: statsOf(one) })) }
}

function resolveSensor(span: SpanSpec, sensor: SensorSpec, context: Context): Resolved<DesiredSensor> {
  const { origin, stats } = sensor
  const network = span.network?.name ?? span.bridge
  const waitWith = (found: Diagnostic, name: string) => waitForSensor(span.name, network, name, sensor.id, found)
  const wait = (code: Code, message: string, name = selectorName(sensor)): Wait =>
    waitWith(diagnostic(code, `waits for ${message}`, undefined, origin), name)
  const unmatched = explainUnmatched(sensor, context.host, 'SENSOR_UNREAD')
  if (unmatched !== null) {
    return { ...nothingResolved, waits: [waitWith({ ...unmatched, origin }, selectorName(sensor))] }
  }
  const matching = context.host.matchContainers(sensor)
  const isNamed = 'container' in sensor
  const isOn = ({ endpoints }: Container) => endpoints.some((endpoint) => endpoint.network === network)
  const able = matching.filter((container) => {
    const { networkMode } = container
    if (isShut(networkMode, context)) return false
    // What is on the network already needs no connection, and is not taken off for that.
    if (isOn(container)) return true
    return networkMode === network || !(hasLostNetwork(context, networkMode) || losesNetwork(context, networkMode))
  })
  const unable = matching.filter((container) => !able.includes(container))
  const isLosing = ({ networkMode }: Container) => !isShut(networkMode, context) && losesNetwork(context, networkMode)
  // That the file takes the network away from a container is the file's own error: nothing has happened yet.
  const refused = isNamed && !context.patient ? unable.filter(isLosing) : []
  const waiting = isNamed ? unable.filter((one) => !refused.includes(one)) : []
  const explain = (one: Container, what: string): Diagnostic => {
    const { code, message, hint } = explainMode(one, context)
    return diagnostic(code, `${what}: the container ${one.name} ${message}`, hint, origin)
  }
  const inSpan = (one: Container) => explain(one, `span ${span.name}`)
  const restarting = able.filter((container) => container.restarting && !isOn(container))
  const ready = able.filter((one) => !restarting.includes(one) && (isNamed || one.running || isOn(one)))
  const isMissing = ready.length + restarting.length === 0 && !(isNamed && unable.length > 0)
  const name = resolveName(span, sensor, context.host)
  return {
    items: ready.map((container) => {
      const { interfaceName } = name
      return { container, interfaceName, stats, item: sensor.id, origin }
    }),
    waits: [
      ...restarting.map((one) =>
        wait(
          'SENSOR_RESTARTING',
          `the container ${one.name}, which keeps restarting: ${context.host.engine} logs ${one.name}`,
          one.name
        )
      ),
      ...(isMissing ? [wait('SENSOR_MISSING', awaitedContainer(sensor, context))] : []),
      ...waiting.map((one) => waitWith(explain(one, 'cannot be connected'), one.name))
    ],
    errors: refused.map(inSpan),
    // Of those that a label selects, others can be connected.
    warnings: [...name.warnings, ...(isNamed ? [] : unable.map(inSpan))]
  }
}

function waitForSensor(span: string, network: string, container: string, item: ItemId, found: Diagnostic): Wait {
  const subject = { span, kind: 'sensor', id: [network, container], item }
  return { ...waitFor(subject, `${container} → ${network}`, found), container }
}

function selectorName(choice: ContainerSelector): string {
  const { kind, value } = writeSelector(choice)
  return kind === 'container' ? value : `${kind} ${value}`
}

function awaitedContainer(choice: ContainerSelector, context: Context): string {
  // Where it matches one that does not run, nothing is misspelt.
  const slip = context.host.matchContainers(choice).length === 0 ? suggestSelector(choice, context) : ''
  if ('container' in choice) return `the container ${choice.container}${slip}`
  if ('label' in choice) return `a running container with the label ${writeSelector(choice).value}${slip}`
  const { project, service } = choice.compose
  return `a running container of the service ${service} of the Compose project ${project}${slip}`
}

/** The networks of the file: each is created before containers are connected. */
const madeNetworks = ({ spec }: Context) => spec.spans.flatMap(({ network }) => network?.name ?? [])

/** This plan removes the network that it was created on, before the container is connected to another one. */
function losesNetwork(context: Context, networkMode: string): boolean {
  const isGoing = (network: DockerNetwork) =>
    (network.name === networkMode || network.id === networkMode) && ownsNetwork(context, network)
  return !madeNetworks(context).includes(networkMode) && context.host.networks.some(isGoing)
}

/** The network that it was created on is gone: Docker then connects the container to none. */
function hasLostNetwork(context: Context, networkMode: string): boolean {
  const { host } = context
  const isKnown = ['none', 'default', 'bridge', ...madeNetworks(context)].includes(networkMode)
  return !isKnown && !host.networks.some(({ id, name }) => name === networkMode || id === networkMode)
}

/** Whether a container can be on no network. Podman connects only what was created on one: nothing of the mode `none`, `pasta`, `ns:`. */
export function isShut(networkMode: string, { host: { engine } }: Pick<Context, 'host'>): boolean {
  return sharesNetwork(networkMode) || (engine === 'podman' && networkMode !== 'bridge')
}

/** Why Docker cannot connect a container. The message begins after the container's name. */
function explainMode({ networkMode }: Container, context: Context): Diagnostic {
  if (isShut(networkMode, context)) {
    const message = `has no network of its own (network_mode: ${networkMode})`
    const hint = sharesNetwork(networkMode)
      ? 'Docker cannot connect it: recreate it without network_mode'
      : 'Podman cannot connect it: recreate it with --network bridge'
    return diagnostic('SENSOR_NETWORK_MODE', message, hint)
  }
  const [fate, hint] = losesNetwork(context, networkMode)
    ? ['would be removed', 'keep the name of that network, or recreate the container']
    : ['is gone', 'recreate the container, or that network']
  const message = `was created on the network ${networkMode}, which ${fate}: without that, Docker connects it to none`
  return diagnostic('SENSOR_NETWORK_LOST', message, hint)
}

/** The containers that a span names as sensors and that were created on a network: without it, Docker connects them to none. */
export function findCreatedOn(
  { sensors }: SpanSpec,
  { id, name }: DockerNetwork,
  { containers }: HostIndex
): readonly Container[] {
  return containers.filter(
    (container) =>
      [id, name].includes(container.networkMode) &&
      sensors.some((sensor) => 'container' in sensor && matchesContainer(sensor, container))
  )
}

/** The name for a sensor's interface, where this Docker can set it. */
function resolveName(span: SpanSpec, { interfaceName, origin }: SensorSpec, { docker }: HostIndex) {
  if (interfaceName === null || docker.state !== 'read' || canNameInterfaces(docker))
    return { interfaceName, warnings: [] }
  const warning = diagnostic(
    'INTERFACE_NAME_IGNORED',
    `span ${span.name}: interface_name needs Docker 28 (API ${interfaceOption.api}), and this one has API ${docker.api || 'unknown'}, so Docker chooses the name`,
    'upgrade Docker, or remove interface_name',
    origin
  )
  return { interfaceName: null, warnings: [warning] }
}

/** A sensor whose interface has a name that its container has in another span. */
interface SharedName {
  readonly sensor: DesiredSensor
  readonly diagnostic: Diagnostic
  readonly wait: Wait
}

/** Two spans may share a sensor, but not give two of its interfaces the same name. */
export function findSharedNames(spans: readonly DesiredSpan[]): SharedName[] {
  const seen = new Map<string, string>()
  const shared: SharedName[] = []
  for (const { name: span, bridge, network, sensors } of spans) {
    for (const sensor of sensors) {
      const { container, interfaceName, item, origin } = sensor
      if (interfaceName === null) continue
      const other = seen.get(`${container.id} ${interfaceName}`)
      if (other !== undefined) {
        const message = `the container ${container.name} already has an interface ${interfaceName}, in span ${other}`
        const hint = 'give one of the two another interface_name'
        const found = diagnostic('INTERFACE_NAME_TWICE', message, hint, origin)
        const wait = waitForSensor(span, network?.name ?? bridge, container.name, item, found)
        shared.push({ sensor, diagnostic: { ...found, message: `span ${span}: ${message}` }, wait })
      } else seen.set(`${container.id} ${interfaceName}`, span)
    }
  }
  return shared
}

/** The spans with the sensors' interfaces named as they are, or as Docker chooses, where the wanted name is another's. */
export function leaveNames(spans: readonly DesiredSpan[], shared: readonly SharedName[]): readonly DesiredSpan[] {
  const others = new Set(shared.map(({ sensor }) => sensor))
  const leave = (sensor: DesiredSensor) => (others.has(sensor) ? { ...sensor, interfaceName: null } : sensor)
  return spans.map((span) => ({ ...span, sensors: span.sensors.map(leave) }))
}
