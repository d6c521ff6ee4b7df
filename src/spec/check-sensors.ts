import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic } from '../errors.ts'
import { quote } from '../printable.ts'
import type { SensorSpec } from './items/sensor-item.ts'
import type { SpanSpec } from './items/span-item.ts'
import { checkRepeats } from './repeats.ts'
import { writeSelector } from './values/container-selector.ts'

/** Finds sensors that a span has twice: each by itself, or with a share. */
export function checkSensors(span: SpanSpec): Diagnostic[] {
  return [...checkSealed(span), ...checkRepeated(span)]
}

/** Who gets a part has a port that is closed to the bridge in both directions. */
function checkSealed({ name, sealed, sensors }: SpanSpec): Diagnostic[] {
  const part = sealed ? undefined : sensors.find(({ filter, balance }) => filter !== null || balance !== null)
  if (part === undefined) return []
  const message = `sensor ${sensorTitle(part)} needs a sealed span: the bridge of ${quote(name)} takes nothing from who gets a part of its frames`
  return [diagnostic('VALUE_INVALID', message, 'remove "sealed: false" from the span', part.origin)]
}

function checkRepeated(span: SpanSpec): Diagnostic[] {
  return checkRepeats(span.sensors, sensorTitle, (sensor, earlier, place) => {
    const where = isShared(sensor, earlier) ? 'a member of this balance' : `in span ${quote(span.name)}`
    const message = `sensor ${sensorTitle(sensor)} is already ${where} (${place})`
    return diagnostic('SENSOR_TWICE', message, explainRepeat(sensor, earlier), sensor.origin)
  })
}

/** What one tool says of itself is not what another says: a path that is there twice was copied. */
export function checkStats(spans: readonly SpanSpec[]): Diagnostic[] {
  const sensors = spans.flatMap((span) => span.sensors).filter(({ stats }) => stats !== null)
  const containerOf = (sensor: SensorSpec) => writeSelector(sensor).value
  // In several spans, a container has the same tool.
  const first = sensors.filter(
    (sensor, index) =>
      sensors.findIndex(
        (other) => containerOf(other) === containerOf(sensor) && isDeepStrictEqual(other.stats, sensor.stats)
      ) === index
  )
  return checkRepeats(
    first,
    ({ stats }) => JSON.stringify(stats),
    (sensor, earlier, place) => {
      const message = `"stats" of the sensor ${sensorTitle(sensor)} are those of ${sensorTitle(earlier)} (${place})`
      return diagnostic('VALUE_INVALID', message, 'give each container a log folder of its own', sensor.origin)
    }
  )
}

/** A sensor as messages name it. */
export function sensorTitle(sensor: SensorSpec): string {
  const { kind, value } = writeSelector(sensor)
  return `${kind === 'container' ? '' : `${kind} `}${quote(value)}`
}

/** Whether two sensors are members of one balance. */
const isShared = (one: SensorSpec, other: SensorSpec) => one.balance !== null && one.balance.id === other.balance?.id

function explainRepeat(one: SensorSpec, other: SensorSpec): string {
  if (isShared(one, other)) return 'remove one of the two: the members get equal shares'
  if (one.balance !== null && other.balance !== null)
    return 'remove one of the two: a container is a member of one balance of a span'
  if (one.balance === null && other.balance === null) return 'remove one of the two'
  return 'remove one of the two: a container is a member of a balance, or a sensor by itself'
}
