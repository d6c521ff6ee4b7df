import { type Diagnostic, diagnostic } from '../../errors.ts'
import { matchesContainer } from '../../host/docker/container-match.ts'
import { groupsOf } from '../../host/host-index.ts'
import { quote } from '../../printable.ts'
import type { DesiredSensor } from '../../resources/desired-state.ts'
import { sensorTitle } from '../../spec/check-sensors.ts'
import type { SensorSpec } from '../../spec/items/sensor-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { placeFrom } from '../../spec/repeats.ts'
import { listFew } from '../../text-lines.ts'

/** A container that two sensors of the file select, which give it different parts. */
interface Overlap {
  readonly container: string
  readonly first: SensorSpec
  readonly other: SensorSpec
}

/** So many containers of two sensors a message names. */
const mostNames = 3

/**
 * Warns of containers that two sensors of a span select and give different parts. The first one holds, and the file does not say that
 * anybody meant so. Two that give the same are harmless.
 *
 * @param connected the containers that the span's sensors match now.
 */
export function warnOfOverlaps(span: SpanSpec, connected: readonly DesiredSensor[]): Diagnostic[] {
  const overlaps = connected.flatMap(({ container }): Overlap[] => {
    const [first, ...others] = span.sensors.filter((sensor) => matchesContainer(sensor, container))
    if (first === undefined) return []
    return others.flatMap((other) => (isSamePart(first, other) ? [] : { container: container.name, first, other }))
  })
  const pairs = groupsOf(overlaps, ({ first, other }) => `${first.id}\n${other.id}`)
  return [...pairs.values()].map((pair) => explainOverlap(span, pair))
}

function isSamePart(one: SensorSpec, other: SensorSpec): boolean {
  return one.balance?.id === other.balance?.id && one.filter?.expression === other.filter?.expression
}

function explainOverlap({ name: span }: SpanSpec, overlaps: readonly [Overlap, ...Overlap[]]): Diagnostic {
  const [{ first, other }] = overlaps
  const names = listFew(
    overlaps.map(({ container }) => container),
    mostNames
  )
  const earlier = `${sensorTitle(first)} (${placeFrom(first.origin, other.origin)})`
  const message = `span ${span}: the sensor ${sensorTitle(other)} gives ${names} ${partOf(other)}, and the earlier ${earlier} gives ${partOf(first, other)}: the earlier one holds`
  const hint = `let only one of the two select ${names}: take one out, or choose by another label or name`
  return { ...diagnostic('SENSOR_OVERLAPS', message, hint, other.origin), subject: { span, kind: 'sensor', id: [] } }
}

/** What a sensor gives, beside what another one does. */
function partOf({ filter, balance }: SensorSpec, beside?: SensorSpec): string {
  if (balance !== null) return `a share of ${beside === undefined || beside.balance === null ? 'a' : 'another'} balance`
  return filter === null ? 'every frame' : `what ${quote(filter.expression)} lets through`
}
