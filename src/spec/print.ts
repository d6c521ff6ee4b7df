import { stringify } from 'yaml'
import { printSource } from './sources/registry.ts'
import type { NetworkSpec, SensorSpec, SourceSpec, SpanSpec, Spec } from './spec.ts'
import { writeSelector } from './values/container-selector.ts'
import { writeDirections } from './values/direction.ts'
import { writeDuration } from './values/duration.ts'

/** Prints a spec as one spans.yaml with every default written out. Loaded again, it is the same spec with other places. */
export function printSpec(spec: Spec): string {
  const file = new Map<string, unknown>([
    ['version', 1],
    ['name', spec.name]
  ])
  if (spec.interfaces.length > 0)
    file.set('interfaces', new Map(spec.interfaces.map(({ key, match, dedicated }) => [key, { match, dedicated }])))
  file.set('spans', new Map(spec.spans.map((span) => [span.name, printSpan(span)])))
  // Long filters stay on one line. What YAML 1.1 would read differently (yes, 0o7) is quoted, for other tools.
  return stringify(file, { lineWidth: 0, compat: 'yaml-1.1', aliasDuplicateObjects: false })
}

const printItem = (source: SourceSpec) => ({
  ...printSource(source),
  direction: writeDirections(source.directions),
  ...(source.filter && { filter: source.filter.expression }),
  ...(source.maxIdle !== null && { max_idle: writeDuration(source.maxIdle) })
})

const printNetwork = ({ name, subnet }: NetworkSpec) => (subnet === null ? name : { name, subnet })

function printSensor(sensor: SensorSpec) {
  const { interfaceName } = sensor
  if (interfaceName === null && 'container' in sensor) return sensor.container
  const { kind, value } = writeSelector(sensor)
  return { [kind]: value, ...(interfaceName !== null && { interface_name: interfaceName }) }
}

const printSpan = (span: SpanSpec) => ({
  ...(span.description !== null && { description: span.description }),
  sources: span.sources.map(printItem),
  ...(span.network && { network: printNetwork(span.network) }),
  sensors: span.sensors.map(printSensor),
  mtu: span.mtu,
  wire: span.wire,
  sealed: span.sealed
})
