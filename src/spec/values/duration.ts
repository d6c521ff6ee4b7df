/** Milliseconds; in the order in which they may stand. */
const units = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

const number = '(\\d+(?:\\.\\d+)?)'
/** Milliseconds: what a timer of Node's takes, some 24 days. With more, it would end at once. */
const longest = 2 ** 31 - 1

/** `m` that is not the beginning of `ms`. */
const pattern = new RegExp(`^(?=.)(?:${number}h)?(?:${number}m(?!s))?(?:${number}s)?(?:${number}ms)?$`)

/** A duration as `500ms`, `30s`, `2m` or `1h30m`, in milliseconds, or what it must be. Without a unit it might be anything. */
export function readDuration(text: string): number | { readonly problem: string } {
  const parts = pattern.exec(text)?.slice(1)
  if (parts === undefined) return { problem: 'have a unit, as in 500ms, 30s, 5m or 1h30m' }
  const duration = Object.values(units).reduce((sum, unit, index) => sum + Number(parts[index] ?? 0) * unit, 0)
  return duration > longest ? { problem: 'be 24 days at most' } : duration
}

/** A number of milliseconds as {@link readDuration} reads it; what is less than one is rounded. */
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
