/** The labels of one value, by name. */
export type Labels = Readonly<Record<string, string>>

/** One value of a family. No other value of the family has the same labels. */
export interface Point {
  readonly labels?: Labels
  readonly value: number
}

/** How many observations are at most each bound, how many there are, and their sum. */
export interface Histogram {
  /** In rising order; each bucket counts those before it too. The infinite bound is not here: it is `count`. */
  readonly buckets: readonly { readonly bound: number; readonly count: number }[]
  readonly count: number
  readonly sum: number
}

/** A metric with its values. The unit stands in the name, as Prometheus wants it; a counter's name ends with `_total`. */
export type Family = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly points: readonly Point[] }
  | { readonly type: 'histogram'; readonly histogram: Histogram }
)

/** For the header Content-Type. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

/** Writes Prometheus' text format, version 0.0.4. A family without values is left out. */
export function writeExposition(families: readonly Family[]): string {
  return families.map(writeFamily).join('')
}

function writeFamily(family: Family): string {
  const { name, help, type } = family
  const lines = family.type === 'histogram' ? writeHistogram(name, family.histogram) : writePoints(name, family.points)
  if (lines.length === 0) return ''
  return [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

function writePoints(name: string, points: readonly Point[]): string[] {
  return points.map(({ labels = {}, value }) => `${name}${writeLabels(labels)} ${writeNumber(value)}`)
}

function writeHistogram(name: string, { buckets, count, sum }: Histogram): string[] {
  const bounds = [...buckets, { bound: Number.POSITIVE_INFINITY, count }]
  return [
    ...writePoints(
      `${name}_bucket`,
      bounds.map((bucket) => ({ labels: { le: writeNumber(bucket.bound) }, value: bucket.count }))
    ),
    ...writePoints(`${name}_sum`, [{ value: sum }]),
    ...writePoints(`${name}_count`, [{ value: count }])
  ]
}

function writeLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(value: string): string {
  return escapeHelp(value).replaceAll('"', '\\"')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** As Go reads numbers, which is what the format asks for. */
function writeNumber(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}
