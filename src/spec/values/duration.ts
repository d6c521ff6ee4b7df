/** Milliseconds of each unit, in the order in which a duration has them. */
const units = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

const number = '(\\d+(?:\\.\\d+)?)'
/** Milliseconds: the limit of Node's timers, some 24 days. A longer timer would fire at once. */
const longestTimer = 2 ** 31 - 1

/** `m` must not be the beginning of `ms`. */
const pattern = new RegExp(`^(?=.)(?:${number}h)?(?:${number}m(?!s))?(?:${number}s)?(?:${number}ms)?$`)

/** Milliseconds of a duration such as `500ms`, `30s`, `2m` or `1h30m`, or what the text must be. A unit is required. */
export function readDuration(text: string): number | { readonly problem: string } {
  const parts = pattern.exec(text)?.slice(1)
  if (parts === undefined) return { problem: 'have a unit (h, m, s or ms), as in 500ms, 30s, 5m or 1h30m' }
  const duration = Object.values(units).reduce((sum, unit, index) => sum + Number(parts[index] ?? 0) * unit, 0)
  return duration > longestTimer ? { problem: 'be at most 24 days' } : duration
}

/** Writes milliseconds as {@link readDuration} reads them, rounded to whole ones. */
export function writeDuration(milliseconds: number): string {
  let rest = Math.round(milliseconds)
  let text = ''
  for (const [unit, size] of Object.entries(units)) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) text += `${count}${unit}`
  }
  return text || '0s'
}
