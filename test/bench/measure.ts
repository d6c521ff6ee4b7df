/** What the parts of the bench share: how they measure, and how they show what they have found. */

/** One figure: a median, and what it is compared with. */
export interface Row {
  readonly what: string
  readonly unit: 'ms' | 'frames/s' | 'MB' | 'lost' | 'runs' | 'open'
  readonly median: number
  /** Of the rounds, the tenth and the ninetieth percentile. */
  readonly p10: number
  readonly p90: number
  readonly rounds: number
  /** The median of the ratios to what ran beside it in the same round; null: it is what others are compared with. */
  readonly ratio: number | null
  readonly aim: Aim | null
}

/** A limit: of the ratio, or of the median. */
export interface Aim {
  readonly of: 'ratio' | 'median'
  readonly atMost?: number
  readonly atLeast?: number
}

/** Rows that were measured beside each other. */
export interface Table {
  readonly title: string
  /** What each ratio is to. */
  readonly floor: string | null
  readonly rows: readonly Row[]
}

/** One thing that is measured: it gives milliseconds, or whatever the unit is. */
export interface Candidate {
  readonly what: string
  readonly timed: () => number | Promise<number>
  readonly aim?: Aim
}

export const ratioAtMost = (atMost: number): Aim => ({ of: 'ratio', atMost })
export const medianAtMost = (atMost: number): Aim => ({ of: 'median', atMost })

/** Measures in turns, so that what else the machine does meanwhile hits all alike. The first candidate is the floor. */
export async function compare(
  rounds: number,
  [floor, ...others]: readonly [Candidate, ...Candidate[]],
  unit: Row['unit'] = 'ms'
): Promise<Row[]> {
  const bases: number[] = []
  const columns = others.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    bases.push(await floor.timed())
    for (const [index, { timed }] of others.entries()) columns[index]?.push(await timed())
  }
  const rows = others.map(({ what, aim }, index) => makeRow(what, columns[index] ?? [], { unit, bases, aim }))
  return [makeRow(floor.what, bases, { unit }), ...rows]
}

interface RowOptions {
  readonly unit?: Row['unit']
  /** What ran beside each round. */
  readonly bases?: readonly number[]
  readonly aim?: Aim | undefined
}

/** Makes a row of what the rounds gave. */
export function makeRow(what: string, values: readonly number[], { unit = 'ms', bases, aim }: RowOptions = {}): Row {
  return {
    what,
    unit,
    rounds: values.length,
    aim: aim ?? null,
    median: percentile(values, 50),
    p10: percentile(values, 10),
    p90: percentile(values, 90),
    ratio:
      bases === undefined
        ? null
        : percentile(
            values.map((value, index) => value / (bases[index] ?? Number.NaN)),
            50
          )
  }
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN
}

/** Whether a row's aim is met; null: it has none. */
export function isMet({ aim, ratio, median }: Row): boolean | null {
  if (aim === null) return null
  const value = aim.of === 'ratio' ? (ratio ?? Number.NaN) : median
  return value <= (aim.atMost ?? Number.POSITIVE_INFINITY) && value >= (aim.atLeast ?? Number.NEGATIVE_INFINITY)
}

/** A table for people, at most 100 columns wide. */
export function renderTable({ title, floor, rows }: Table): string {
  const lines = rows.map((row) => {
    const spread = `${number(row.median)} ${row.unit.padEnd(8)} ${number(row.p10)} ${number(row.p90)}`
    const ratio = row.ratio === null ? '' : `${row.ratio.toFixed(2)}×`
    return `  ${row.what.padEnd(44)}${spread} ${ratio.padStart(7)}  ${verdict(row)}`.trimEnd()
  })
  const head = `  ${''.padEnd(44)}${'median'.padStart(7)} ${''.padEnd(8)} ${'p10'.padStart(7)} ${'p90'.padStart(7)} ${'ratio'.padStart(7)}`
  return [floor === null ? title : `${title}, to ${floor}`, head, ...lines].join('\n')
}

function verdict(row: Row): string {
  const { aim } = row
  if (aim === null) return ''
  const sign = aim.atMost === undefined ? '≥' : '≤'
  const unit = aim.of === 'ratio' ? '×' : ''
  return `${sign} ${aim.atMost ?? aim.atLeast}${unit} ${isMet(row) ? 'ok' : 'MISSED'}`
}

function number(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0).padStart(7)
}
