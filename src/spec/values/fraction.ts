/** A part of all: so many of so many. */
export interface Fraction {
  readonly take: number
  readonly of: number
}

/** A sample is drawn from numbers of 16 bits. */
const largestWhole = 2 ** 16

const pattern = /^(0|[1-9]\d{0,8})\/(0|[1-9]\d{0,8})$/

/** Reads `1/10`, which is more than nothing and less than all; or says what is wrong with the text, and what to do. */
export function readFraction(
  text: string
): Fraction | { readonly problem: string; readonly hint?: string | undefined } {
  const [take, of] = pattern.exec(text)?.slice(1).map(Number) ?? []
  if (take === undefined || of === undefined) {
    return { problem: 'must be a fraction such as 1/10', hint: suggestFraction(text) }
  }
  if (of > largestWhole) return { problem: `must have at most ${largestWhole} behind the "/"` }
  if (take === 0) return { problem: 'must be more than 0', hint: 'to copy nothing, remove the source' }
  if (take >= of) return { problem: 'must be less than 1', hint: 'to copy everything, remove the key' }
  return { take, of }
}

/** Writes a fraction as {@link readFraction} reads it. */
export const writeFraction = ({ take, of }: Fraction) => `${take}/${of}`

/** Other ways to write a part of all. Of a number alone, people mean that one of so many is taken. */
const otherWays: readonly (readonly [RegExp, (...parts: readonly string[]) => readonly [number, number]])[] = [
  [/^(\d{1,6}(?:\.\d{1,6})?)\s*%$/, (percent = '') => splitDecimal(percent, 100)],
  [/^(\d{0,6}\.\d{1,6})$/, (decimal = '') => splitDecimal(decimal, 1)],
  [/^(\d{1,9})\s*(?:\/|:|in|of|out of)\s*(\d{1,9})$/, (take, of) => [Number(take), Number(of)]],
  [/^(\d{1,9})$/, (of) => [1, Number(of)]]
]

/** A decimal of a whole as two whole numbers. */
function splitDecimal(decimal: string, whole: number): readonly [number, number] {
  const scale = 10 ** (decimal.split('.')[1]?.length ?? 0)
  return [Math.round(Number(decimal) * scale), whole * scale]
}

/** A hint for another way to write a fraction; undefined: it is none. */
export function suggestFraction(text: string): string | undefined {
  for (const [way, read] of otherWays) {
    const parts = way.exec(text)?.slice(1)
    if (parts === undefined) continue
    const [take, of] = read(...parts)
    const divisor = findDivisor(take, of)
    const found = writeFraction({ take: take / divisor, of: of / divisor })
    return 'take' in readFraction(found) ? `write ${found}` : undefined
  }
  return undefined
}

/** The greatest common divisor; 1 for 0 and 0. */
function findDivisor(one: number, other: number): number {
  return other === 0 ? one || 1 : findDivisor(other, one % other)
}
