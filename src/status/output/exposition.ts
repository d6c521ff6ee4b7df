/** The labels of one value, by name. */
export type Labels = Readonly<Record<string, string>>

/** One value of a family. No other value of the family has the same labels. */
export interface Point {
  readonly labels?: Labels
  readonly value: number
  /** What stands after the name of the family, as in a histogram. */
  readonly suffix?: string
}

/** How many observations are at most each bound, how many there are, and their sum. */
export interface Histogram {
  /** In rising order; each bucket counts those before it too. The infinite bound is not here: it is `count`. */
  readonly buckets: readonly { readonly bound: number; readonly count: number }[]
  readonly count: number
  readonly sum: number
}

/** A metric with its values. The unit stands in the name, as Prometheus wants it; a counter's name ends with `_total`. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly points: readonly Point[]
}

/** For the header Content-Type. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

/** Writes Prometheus' text format, version 0.0.4. A family without values is left out. */
export function writeExposition(families: readonly Family[]): string {
  return families.map(writeFamily).join('')
}

function writeFamily({ name, help, type, points }: Family): string {
  if (points.length === 0) return ''
  const lines = points.map(
    ({ labels = {}, value, suffix = '' }) => `${name}${suffix}${writeLabels(labels)} ${writeNumber(value)}`
  )
  return [`# HELP ${name} ${escapeLine(help)}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

/** The values of a histogram. */
export function histogramPoints({ buckets, count, sum }: Histogram): Point[] {
  const bounds = [...buckets, { bound: Number.POSITIVE_INFINITY, count }]
  return [
    ...bounds.map((bucket) => ({
      suffix: '_bucket',
      labels: { le: writeNumber(bucket.bound) },
      value: bucket.count
    })),
    { suffix: '_sum', value: sum },
    { suffix: '_count', value: count }
  ]
}

function writeLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLine(value).replaceAll('"', '\\"')}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLine(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** As Go reads numbers, which is what the format asks for. */
function writeNumber(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}
