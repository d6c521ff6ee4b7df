import type { Diagnostic, Origin } from '../errors.ts'
import { matchesContainer } from '../host/docker/container-match.ts'
import { interfaceOption, supportsApi } from '../host/docker/docker-names.ts'
import type { Container, Snapshot } from '../host/snapshot.ts'
import { writeAddress } from '../resources/kind.ts'
import { type DesiredSensor, type DesiredSpan, diagnostic } from '../resources/mark-inventory.ts'
import type { SensorSpec, SpanSpec } from '../spec/spec.ts'
import type { ContainerSelector } from '../spec/values/container-selector.ts'
import { writeSelector } from '../spec/values/container-selector.ts'
import type { Findings } from './resolve.ts'

/**
 * The containers that a span's sensors are now, each once: where several items choose one, the first does. One that is named
 * is connected whether it runs or not; of those that are chosen otherwise, those that run, or are on the network already.
 */
export function resolveSensors(span: SpanSpec, host: Snapshot, findings: Findings): DesiredSensor[] {
  const sensors = new Map<string, DesiredSensor>()
  for (const sensor of span.sensors) {
    const interfaceName = resolveName(span, sensor, host, findings)
    for (const container of resolveSensor(span, sensor, host, findings)) {
      if (!sensors.has(container.id)) sensors.set(container.id, { container, interfaceName, origin: sensor.origin })
    }
  }
  return [...sensors.values()]
}

function resolveSensor(
  span: SpanSpec,
  sensor: SensorSpec,
  host: Snapshot,
  { errors, waiting, warnings }: Findings
): readonly Container[] {
  const { origin } = sensor
  const network = span.network?.name ?? span.name
  const wait = (code: string, message: string, name = describeSelector(sensor)) =>
    waiting.push({
      ...{ kind: 'sensor', span: span.name, title: `${name} → ${network}` },
      diagnostic: {
        ...diagnostic(code, `waits for ${message}`, undefined, origin),
        address: writeAddress(span.name, 'sensor', network, name)
      }
    })
  if (host.docker.state !== 'read') {
    wait('DOCKER_DEFERRED', 'Docker')
    return []
  }
  const { containers, unread } = host.docker
  if ('container' in sensor && unread.some(({ name }) => name === sensor.container)) {
    wait('SENSOR_UNREAD', `what Docker has to say of the container ${sensor.container}`)
    return []
  }
  const chosen = containers.filter((container) => matchesContainer(sensor, container))
  const able = chosen.filter(({ networkMode }) => !sharesNetwork(networkMode))
  const named = 'container' in sensor
  const isOn = ({ endpoints }: Container) => endpoints.some((endpoint) => endpoint.network === network)
  const alone = chosen.filter((container) => !able.includes(container)).map((one) => tellMode(span, one, origin))
  // That one of a name cannot be connected is wrong; of those of a label, others can.
  const told = named ? errors : warnings
  told.push(...alone)
  const restarting = able.filter((container) => container.restarting && !isOn(container))
  for (const { name } of restarting) {
    wait('SENSOR_RESTARTING', `the container ${name}, which ends as soon as it starts: docker logs ${name}`, name)
  }
  const ready = able.filter((one) => !restarting.includes(one) && (named || one.running || isOn(one)))
  const none = ready.length + restarting.length === 0
  if (none && !(named && alone.length > 0)) wait('SENSOR_MISSING', awaited(sensor))
  return ready
}

/** As a plan calls it. */
function describeSelector(choice: ContainerSelector): string {
  const { kind, value } = writeSelector(choice)
  return kind === 'container' ? value : `${kind} ${value}`
}

function awaited(choice: ContainerSelector): string {
  if ('container' in choice) return `the container ${choice.container}`
  if ('label' in choice) return `a running container with the label ${writeSelector(choice).value}`
  const { project, service } = choice.compose
  return `a running container of the service ${service} of the Compose project ${project}`
}

/** It has no network of its own, so that Docker can connect it to none. */
function sharesNetwork(networkMode: string): boolean {
  return networkMode === 'host' || networkMode.startsWith('container:')
}

function tellMode(span: SpanSpec, { name, networkMode }: Container, origin: Origin): Diagnostic {
  return diagnostic(
    'SENSOR_NETWORK_MODE',
    `span ${span.name}: the container ${name} has no network of its own (network_mode: ${networkMode})`,
    'Docker cannot connect it: recreate it without network_mode',
    origin
  )
}

/** What an interface is to be called, as far as Docker can. */
function resolveName(
  span: SpanSpec,
  { interfaceName, origin }: SensorSpec,
  { docker }: Snapshot,
  { warnings }: Findings
): string | null {
  if (interfaceName === null || docker.state !== 'read' || supportsApi(docker.api, interfaceOption.api))
    return interfaceName
  warnings.push(
    diagnostic(
      'INTERFACE_NAME_IGNORED',
      `span ${span.name}: interface_name needs Docker 28 (API ${interfaceOption.api}), and this one has API ${docker.api || 'unknown'}: Docker chooses the name`,
      'upgrade Docker, or take interface_name out',
      origin
    )
  )
  return null
}

/** Two spans may have one sensor, but not call its interfaces by one name. */
export function findSharedNames(spans: readonly DesiredSpan[]): Diagnostic[] {
  const seen = new Map<string, string>()
  const diagnostics: Diagnostic[] = []
  for (const { name: span, sensors } of spans) {
    for (const { container, interfaceName, origin } of sensors) {
      if (interfaceName === null) continue
      const other = seen.get(`${container.id} ${interfaceName}`)
      if (other !== undefined) {
        const message = `span ${span}: the container ${container.name} has an interface ${interfaceName} in span ${other} already`
        diagnostics.push(
          diagnostic('INTERFACE_NAME_TWICE', message, 'give one of the two another interface_name', origin)
        )
      } else seen.set(`${container.id} ${interfaceName}`, span)
    }
  }
  return diagnostics
}
