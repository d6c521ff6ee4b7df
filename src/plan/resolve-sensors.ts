import { type Diagnostic, diagnostic, type Origin } from '../errors.ts'
import { matchesContainer, sharesNetwork } from '../host/docker/container-match.ts'
import { interfaceOption, supportsApi } from '../host/docker/docker-names.ts'
import type { Container, DockerNetwork } from '../host/snapshot.ts'
import type { Code } from '../messages.ts'
import type { DesiredSensor, DesiredSpan } from '../resources/desired-state.ts'
import { type Wait, writeAddress } from '../resources/kind.ts'
import { ownsNetwork } from '../resources/ownership.ts'
import { type Context, joinResolved, nothingResolved, type Resolved } from '../resources/sources/source-kind.ts'
import type { SensorSpec, SpanSpec } from '../spec/spec.ts'
import { type ContainerSelector, writeSelector } from '../spec/values/container-selector.ts'

/**
 * The containers that a span's sensors match now, each once: where several sensors match a container, the first counts. A
 * container that is named is connected whether it runs or not; one that is matched by label or Compose service, if it runs or
 * is on the network already.
 */
export function resolveSensors(span: SpanSpec, context: Context): Resolved<DesiredSensor> {
  const resolved = joinResolved(span.sensors.map((sensor) => resolveSensor(span, sensor, context)))
  const isFirst = ({ container }: DesiredSensor, index: number) =>
    resolved.items.findIndex((other) => other.container.id === container.id) === index
  return { ...resolved, items: resolved.items.filter(isFirst) }
}

function resolveSensor(span: SpanSpec, sensor: SensorSpec, context: Context): Resolved<DesiredSensor> {
  const { origin } = sensor
  const network = span.network?.name ?? span.name
  const wait = (code: Code, message: string, name = describeSelector(sensor)): Wait => ({
    ...{ kind: 'sensor', span: span.name, title: `${name} → ${network}`, container: name },
    diagnostic: {
      ...diagnostic(code, `waits for ${message}`, undefined, origin),
      address: writeAddress(span.name, 'sensor', network, name)
    }
  })
  const { docker } = context.host
  if (docker.state !== 'read') return { ...nothingResolved, waits: [wait('DOCKER_DEFERRED', 'Docker')] }
  if ('container' in sensor && docker.unread.some(({ name }) => name === sensor.container)) {
    const message = `Docker's description of the container ${sensor.container}`
    return { ...nothingResolved, waits: [wait('SENSOR_UNREAD', message)] }
  }
  const matching = docker.containers.filter((container) => matchesContainer(sensor, container))
  const isNamed = 'container' in sensor
  const isOn = ({ endpoints }: Container) => endpoints.some((endpoint) => endpoint.network === network)
  const able = matching.filter((container) => {
    const { networkMode } = container
    if (sharesNetwork(networkMode) || hasLostNetwork(context, networkMode)) return false
    return isOn(container) || networkMode === network || !losesNetwork(context, networkMode)
  })
  const unable = matching
    .filter((container) => !able.includes(container))
    .map((one) => explainMode(span, one, context, origin))
  const restarting = able.filter((container) => container.restarting && !isOn(container))
  const ready = able.filter((one) => !restarting.includes(one) && (isNamed || one.running || isOn(one)))
  const isMissing = ready.length + restarting.length === 0 && !(isNamed && unable.length > 0)
  const name = resolveName(span, sensor, docker.api)
  return {
    items: ready.map((container) => ({ container, interfaceName: name.interfaceName, origin })),
    waits: [
      ...restarting.map((one) =>
        wait(
          'SENSOR_RESTARTING',
          `the container ${one.name}, which keeps restarting: docker logs ${one.name}`,
          one.name
        )
      ),
      ...(isMissing ? [wait('SENSOR_MISSING', describeAwaited(sensor))] : [])
    ],
    // A named container that cannot be connected is an error; of those that a label selects, others can be connected.
    errors: isNamed ? unable : [],
    warnings: [...name.warnings, ...(isNamed ? [] : unable)]
  }
}

function describeSelector(choice: ContainerSelector): string {
  const { kind, value } = writeSelector(choice)
  return kind === 'container' ? value : `${kind} ${value}`
}

function describeAwaited(choice: ContainerSelector): string {
  if ('container' in choice) return `the container ${choice.container}`
  if ('label' in choice) return `a running container with the label ${writeSelector(choice).value}`
  const { project, service } = choice.compose
  return `a running container of the service ${service} of the Compose project ${project}`
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

function explainMode(span: SpanSpec, { name, networkMode }: Container, context: Context, origin: Origin): Diagnostic {
  if (!sharesNetwork(networkMode)) {
    const isThere = losesNetwork(context, networkMode)
    return diagnostic(
      'SENSOR_NETWORK_LOST',
      `span ${span.name}: Docker ${isThere ? 'could' : 'can'} no longer connect the container ${name} to any network: ${networkMode}, on which it was created, ${isThere ? 'would be removed' : 'is gone'}`,
      isThere ? 'keep the name of that network, or recreate the container' : 'recreate the container, or that network',
      origin
    )
  }
  return diagnostic(
    'SENSOR_NETWORK_MODE',
    `span ${span.name}: the container ${name} has no network of its own (network_mode: ${networkMode})`,
    'Docker cannot connect it: recreate it without network_mode',
    origin
  )
}

/** The name for a sensor's interface, where this Docker can set it. */
function resolveName(
  span: SpanSpec,
  { interfaceName, origin }: SensorSpec,
  api: string
): { readonly interfaceName: string | null; readonly warnings: readonly Diagnostic[] } {
  if (interfaceName === null || supportsApi(api, interfaceOption.api)) return { interfaceName, warnings: [] }
  const warning = diagnostic(
    'INTERFACE_NAME_IGNORED',
    `span ${span.name}: interface_name needs Docker 28 (API ${interfaceOption.api}), and this one has API ${api || 'unknown'}, so Docker chooses the name`,
    'upgrade Docker, or remove interface_name',
    origin
  )
  return { interfaceName: null, warnings: [warning] }
}

/** Two spans may share a sensor, but not give two of its interfaces the same name. */
export function findSharedNames(spans: readonly DesiredSpan[]): Diagnostic[] {
  const seen = new Map<string, string>()
  const diagnostics: Diagnostic[] = []
  for (const { name: span, sensors } of spans) {
    for (const { container, interfaceName, origin } of sensors) {
      if (interfaceName === null) continue
      const other = seen.get(`${container.id} ${interfaceName}`)
      if (other !== undefined) {
        const message = `span ${span}: the container ${container.name} already has an interface ${interfaceName}, in span ${other}`
        diagnostics.push(
          diagnostic('INTERFACE_NAME_TWICE', message, 'give one of the two another interface_name', origin)
        )
      } else seen.set(`${container.id} ${interfaceName}`, span)
    }
  }
  return diagnostics
}
