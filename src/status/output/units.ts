/** Decimal, as rates of interfaces are. */
const prefixes = ['', 'k', 'M', 'G', 'T', 'P'] as const

/** A whole number of frames, in groups of three digits: `1,234,567`. */
export function writeCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** A number of bytes, with three digits: `12.3 MB`. */
export function writeBytes(bytes: number): string {
  const power = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, Math.round(bytes))) / 3)))
  const value = bytes / 1000 ** power
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${prefixes[power]}B`
}
