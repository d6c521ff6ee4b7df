/** Bits per second of each unit, as tc(8) has them: powers of 1000. */
const units = { kbit: 1e3, mbit: 1e6, gbit: 1e9, tbit: 1e12 } as const

/** The least that a source may be limited to, in bits per second. */
const leastRate = 8e3

/** The most, in bits per second: what tc takes. */
const mostRate = 1e15

/** Bits per second of a rate such as `500mbit` or `2.5gbit`, or what the text must be. A unit is required. */
export function readBitRate(text: string): number | { readonly problem: string } {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([kmgt]bit)$/.exec(text) ?? []
  if (number === undefined || unit === undefined) return { problem: 'have a unit, as in 500mbit or 2gbit' }
  const rate = Math.round(Number(number) * units[unit as keyof typeof units])
  if (rate < leastRate) return { problem: 'be at least 8kbit' }
  return rate > mostRate ? { problem: 'be at most 1000tbit' } : rate
}

/** Writes bits per second as {@link readBitRate} reads them, with the largest unit of which it is 1 or more. */
export function writeBitRate(rate: number): string {
  const [unit, size] = Object.entries(units)
    .reverse()
    .find(([, size]) => rate >= size) ?? ['kbit', units.kbit]
  return `${rate / size}${unit}`
}
