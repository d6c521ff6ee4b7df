import { keysOf } from '../../keys.ts'

/** Bits a second of each unit, as tc(8) has them: powers of 1000. */
const units = { tbit: 1e12, gbit: 1e9, mbit: 1e6, kbit: 1e3 } as const

/** Bits a second. One frame of 1,500 bytes takes a second and a half of it. */
const smallestRate = 8 * units.kbit
/** Bits a second: more than any link has, and an exact number. */
const largestRate = 1000 * units.tbit

const pattern = /^(\d+(?:\.\d+)?)([kmgt]bit)$/

/** Reads `2gbit` as bits a second; or says what is wrong with the text, and what to do. */
export function readRate(text: string): number | { readonly problem: string; readonly hint?: string | undefined } {
  const [, number, name] = pattern.exec(text) ?? []
  const unit = keysOf(units).find((one) => one === name)
  if (unit === undefined) {
    return { problem: 'must be bits a second with a unit, such as 2gbit', hint: suggestRate(text) }
  }
  const rate = Math.round(Number(number) * units[unit])
  if (rate < smallestRate) return { problem: `must be at least ${writeRate(smallestRate)}` }
  if (rate > largestRate) return { problem: `must be at most ${writeRate(largestRate)}` }
  return rate
}

/** Writes bits a second as {@link readRate} reads them, exactly: in the largest unit that takes three decimals at most. */
export function writeRate(rate: number): string {
  const unit = keysOf(units).find((one) => rate >= units[one] && rate % (units[one] / 1000) === 0) ?? 'kbit'
  return `${rate / units[unit]}${unit}`
}

/** Other ways to write a rate: what stands before the "b" is a unit, and a capital "B" stands for bytes. */
const otherWay = /^(\d+(?:\.\d+)?)\s*([kmgt])(bits?|b|bytes?)?(ps|\/s(?:ec)?)?$/i

/** A hint for another way to write a rate, or for a number alone; undefined: it is neither. */
export function suggestRate(text: string): string | undefined {
  const [, number, prefix = '', bits = ''] = otherWay.exec(text) ?? []
  if (number === undefined) return /^\d[\d._, ]*$/.test(text) ? 'give it a unit: kbit, mbit, gbit or tbit' : undefined
  const rate = Number(number) * (bits === 'B' || /^byte/i.test(bits) ? 8 : 1)
  return `did you mean "${rate}${prefix.toLowerCase()}bit"?`
}
