import { oneLine } from '../printable.ts'
import { indexInterfaces } from '../spec/interfaces.ts'
import type { OutputSpec } from '../spec/items/output-item.ts'
import type { SensorSpec } from '../spec/items/sensor-item.ts'
import type { SourceSpec } from '../spec/items/source-item.ts'
import type { SpanSpec } from '../spec/items/span-item.ts'
import { outputSummary } from '../spec/outputs/registry.ts'
import { endOf, printSource, type SourceEnd, sourceSummary } from '../spec/sources/registry.ts'
import type { Spec } from '../spec/spec.ts'
import { writeSelector } from '../spec/values/container-selector.ts'
import { type Direction, writeDirection } from '../spec/values/direction.ts'
import { writeCount } from '../text-lines.ts'

/** How a part of a graph stands, from good to bad. */
export const standings = ['ok', 'waits', 'paused', 'broken'] as const

/** How a part of a graph stands. `ok`: as the file says, or the host was not read. */
export type Standing = (typeof standings)[number]

/** What is to be said of a part that does not stand well. */
export interface Remark {
  readonly standing: Exclude<Standing, 'ok'>
  readonly text: string
}

/** A part of a graph. Its texts have one line each, and are safe to print. */
export interface Part {
  readonly title: string
  readonly details: readonly string[]
  /** What it gets of the frames; nothing: every frame, or it is no receiver. */
  readonly gets: readonly string[]
  readonly remarks: readonly Remark[]
  /** Frames a second that it was seen to take; null: they were not counted. */
  readonly rate: number | null
}

/** What is at an end of a span, and may be at that of others: of a receiver, a sensor or another port of the bridge. */
export interface End extends Part {
  /** The same in each span that it is an end of. */
  readonly id: string
  readonly kind: SourceEnd
}

/** Where frames are copied from, and the mirror that copies them. */
export interface GraphSource extends End {
  /** Its title says the directions, its detail the filter. */
  readonly mirror: Part
}

/** One span, from its sources to its receivers. */
export interface GraphSpan extends Part {
  readonly description: string | null
  readonly sources: readonly GraphSource[]
  readonly receivers: readonly End[]
}

/** The spans as a picture shows them. */
export interface Graph {
  /** The files alone were read, and not the host. */
  readonly fileOnly: boolean
  readonly spans: readonly GraphSpan[]
  /** What is wrong with the host, and belongs to none of the spans. */
  readonly remarks: readonly Remark[]
}

/** The graph of the spans of a file, as the file alone tells. */
export function drawFile(spec: Spec, spans: readonly SpanSpec[] = spec.spans): Graph {
  return {
    fileOnly: true,
    spans: spans.map((span) => ({
      ...drawSpan(span),
      sources: span.sources.map((source) => ({
        ...drawSource(spec, source),
        mirror: drawMirror(source, source.directions)
      })),
      receivers: [
        ...span.sensors.map((sensor) => drawSensor(sensor, writeWanted(span, sensor))),
        ...span.outputs.map((output) => drawOutput(spec, output, writeWanted(span, output)))
      ]
    })),
    remarks: []
  }
}

/** A span without what is at its ends. */
export function drawSpan({
  name,
  bridge,
  description,
  network,
  mtu,
  sealed
}: Pick<SpanSpec, 'name' | 'bridge' | 'description' | 'network' | 'mtu' | 'sealed'>) {
  return {
    ...drawPart(name, [
      ...(bridge === name ? [] : [`bridge ${bridge}`]),
      ...(network === null ? [] : [`network ${network.name}`]),
      ...(mtu === 'auto' ? [] : [`mtu ${mtu}`]),
      sealed ? 'sealed' : 'not sealed'
    ]),
    description: description === null ? null : oneLine(description)
  }
}

/**
 * A source as the file names it.
 *
 * @param name the device on the host; without it, the name in the file is drawn.
 */
export function drawSource(spec: Spec, source: SourceSpec, name?: string): End {
  const [[key, value] = ['', '']] = Object.entries(printSource(source)).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, writeValue(value)] as const]
  )
  const { device } = sourceSummary(source, indexInterfaces(spec.interfaces))
  return drawEnd(endOf(source), [key, value], name ?? device ?? undefined)
}

/** What the file says of a source: `web`, or `id 42, port 4789`. */
function writeValue(value: string | object): string {
  if (typeof value === 'string') return value
  return Object.entries(value)
    .map(([key, one]) => `${key} ${one}`)
    .join(', ')
}

/** A mirror as the file wants it. @param directions that are copied at this end of the source. */
export function drawMirror(
  { filter, sample }: Pick<SourceSpec, 'filter' | 'sample'>,
  directions: readonly Direction[]
): Part {
  return drawPart(directions.map(writeDirection).join(' + '), [
    filter?.expression ?? 'every frame',
    ...(sample === null ? [] : [`${sample.take} of ${sample.of} ${sample.kind}`])
  ])
}

/** What a sensor or an output gets of a span, as the file wants it; nothing: every frame. */
export function writeWanted({ balances }: SpanSpec, item: Pick<SensorSpec, 'filter' | 'balance'>): string[] {
  const balance = balances.find(({ id }) => id === item.balance?.id)
  const filter = balance?.filter ?? item.filter
  const hash = balance === undefined || balance.hash === 'addresses' ? '' : ` by ${balance.hash}`
  return [
    ...(balance === undefined ? [] : [`a share${hash}`]),
    ...(filter === null ? [] : [`filter ${filter.expression}`])
  ]
}

/**
 * A sensor as the file names it.
 *
 * @param gets what it gets of the frames; nothing: every frame.
 * @param name of the container; without it, the selector in the file is drawn.
 */
export function drawSensor(sensor: SensorSpec, gets: readonly string[], name?: string): End {
  const { kind, value } = writeSelector(sensor)
  return { ...drawEnd('container', [kind, value], name), gets: gets.map(oneLine) }
}

/**
 * An output as the file names it.
 *
 * @param gets what it gets of the frames; nothing: every frame.
 * @param name of the device on the host; without it, the name in the file is drawn.
 */
export function drawOutput(spec: Spec, output: OutputSpec, gets: readonly string[], name?: string): End {
  const { device, identity } = outputSummary(output, indexInterfaces(spec.interfaces))
  const written = 'interface' in output ? output.interface : identity
  return { ...drawEnd('interface', ['output', written], name ?? device ?? undefined), gets: gets.map(oneLine) }
}

/** A part with nothing to remark. */
export function drawPart(title: string, details: readonly string[] = []): Part {
  return { title: oneLine(title), details: details.map(oneLine), gets: [], remarks: [], rate: null }
}

/** An end with the name that it has on the host; without one, as the file writes it. */
function drawEnd(kind: SourceEnd, [key, value]: readonly [string, string], name?: string): End {
  const written = `${key} ${value}`
  const isWritten = name === undefined || name === value
  return { ...drawPart(name ?? value, [isWritten ? key : written]), id: name ?? written, kind }
}

/** All that is to be known of a part beside its title, as far as it stands well. */
export function factsOf(part: Part): readonly string[] {
  return [...part.details, ...part.gets, ...writeRate(part)]
}

/** Frames a second in words; nothing: they were not counted. */
function writeRate({ rate }: Pick<Part, 'rate'>): string[] {
  return rate === null ? [] : [`${writeCount(rate)} frames/s`]
}

/** How parts stand together: as the worst of them. */
export function standingOf(...parts: readonly Pick<Part, 'remarks'>[]): Standing {
  const ranks = parts.flatMap(({ remarks }) => remarks.map(({ standing }) => standings.indexOf(standing)))
  return standings[Math.max(0, ...ranks)] ?? 'ok'
}

/** Every part of a span, the span itself first. */
export function partsOf(span: GraphSpan): readonly Part[] {
  return [span, ...span.sources.flatMap((source) => [source, source.mirror]), ...span.receivers]
}
